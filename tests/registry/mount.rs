//! Mounting blobs from other repositories.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use wharf::registry::auth::{AccessController, AccessRequest, Action, Denied, User};

use crate::bench::Bench;
use crate::client::with_query;
use crate::content::{absent, content, sha256};
use crate::requirement::{Outcome, Requirement, requirements, same};
use crate::upload::{Upload, lacks, pulls, push_blob};

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Mounting a blob":
        Must All end_11_a_mounted_blob_is_201_and_can_be_pulled_or_an_upload_begins,
        Should All end_11_a_blob_that_is_nowhere_begins_an_upload,
        Should All end_11_a_blob_that_the_source_lacks_is_not_mounted_from_it,
        Must All end_11_a_mount_without_a_source_mounts_or_begins_an_upload,
        Should All end_11_an_upload_that_a_mount_began_creates_the_blob,
        Wharf Own end_11_a_blob_is_mounted_without_an_upload,
        Wharf All end_11_a_mounted_blob_stays_when_the_source_loses_it,
        Wharf Own end_11_a_source_that_the_client_may_not_read_begins_an_upload,
    ]
}

/// Asks for a mount; returns the status, and where the blob is or the upload goes on.
async fn mount(bench: &Bench, repository: &str, digest: &str, from: Option<&str>) -> Outcome<(u16, String)> {
    let target = format!("/v2/{repository}/blobs/uploads/?mount={digest}");
    let target = from.map_or(target.clone(), |from| with_query(&target, &format!("from={from}")));
    let response = bench.client.post(target).expect_one_of(&[201, 202]).await?;
    Ok((response.status, response.location()?))
}

async fn end_11_a_mounted_blob_is_201_and_can_be_pulled_or_an_upload_begins(bench: &Bench) -> Outcome {
    let (repository, other, blob) = (bench.repository(), bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let (status, location) = mount(bench, &other, &digest, Some(&repository)).await?;
    if status == 201 {
        bench.client.get(location).expect(200).await?.has_body(&blob)?;
    } else {
        Upload { client: bench.client.clone(), location }.finish(&digest, &blob).expect(201).await?;
    }
    pulls(&bench.client, &other, &digest, &blob).await
}

async fn end_11_a_blob_that_is_nowhere_begins_an_upload(bench: &Bench) -> Outcome {
    let (repository, other) = (bench.repository(), bench.repository());
    push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    same("the status", mount(bench, &other, &absent(), Some(&repository)).await?.0, 202)?;
    same("the status", mount(bench, &other, &absent(), Some(&bench.repository())).await?.0, 202)?;
    lacks(&bench.client, &other, &absent()).await
}

/// Else whoever may read the source could take what is in every other repository.
async fn end_11_a_blob_that_the_source_lacks_is_not_mounted_from_it(bench: &Bench) -> Outcome {
    let (repository, source, target) = (bench.repository(), bench.repository(), bench.repository());
    let digest = push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    push_blob(&bench.client, &source, &content(2, 1000)).await?;
    same("the status", mount(bench, &target, &digest, Some(&source)).await?.0, 202)?;
    lacks(&bench.client, &target, &digest).await
}

async fn end_11_a_mount_without_a_source_mounts_or_begins_an_upload(bench: &Bench) -> Outcome {
    let (repository, other, blob) = (bench.repository(), bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let (status, location) = mount(bench, &other, &digest, None).await?;
    if status == 202 {
        lacks(&bench.client, &other, &digest).await?;
        Upload { client: bench.client.clone(), location }.finish(&digest, &blob).expect(201).await?;
    }
    pulls(&bench.client, &other, &digest, &blob).await
}

async fn end_11_an_upload_that_a_mount_began_creates_the_blob(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let (status, location) = mount(bench, &repository, &absent(), Some(&bench.repository())).await?;
    same("the status", status, 202)?;
    Upload { client: bench.client.clone(), location }.finish(&sha256(&blob), &blob).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn end_11_a_blob_is_mounted_without_an_upload(bench: &Bench) -> Outcome {
    let (repository, other, blob) = (bench.repository(), bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    same("the status", mount(bench, &other, &digest, Some(&repository)).await?.0, 201)?;
    pulls(&bench.client, &other, &digest, &blob).await
}

async fn end_11_a_mounted_blob_stays_when_the_source_loses_it(bench: &Bench) -> Outcome {
    let (repository, other, blob) = (bench.repository(), bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let (status, location) = mount(bench, &other, &digest, Some(&repository)).await?;
    if status == 202 {
        Upload { client: bench.client.clone(), location }.finish(&digest, &blob).expect(201).await?;
    }
    bench.client.delete(format!("/v2/{repository}/blobs/{digest}")).expect(202).await?;
    lacks(&bench.client, &repository, &digest).await?;
    pulls(&bench.client, &other, &digest, &blob).await
}

/// Lets everybody who says who he is do everything in one repository, and nothing in others.
#[derive(Debug)]
struct OneRepository {
    name: String,
    /// Whether it says that other credentials may do more, or that none do.
    insufficient: bool,
}

#[async_trait]
impl AccessController for OneRepository {
    async fn authorize(&self, request: AccessRequest<'_>) -> Result<Option<User>, Denied> {
        let scope = request.needed.iter().map(|access| format!("{}:{}", access.name, access.action.name()));
        let scope: Vec<String> = scope.collect();
        let challenge = HeaderValue::try_from(format!("Test scope=\"{}\"", scope.join(" "))).unwrap();
        if request.authorization.is_none() {
            return Err(Denied::Unauthenticated { challenge, message: "who are you?".to_owned() });
        }
        match request.needed.iter().all(|access| access.name == self.name && access.action != Action::All) {
            true => Ok(None),
            false if self.insufficient => Err(Denied::Insufficient { challenge, message: "not that".to_owned() }),
            false => Err(Denied::Forbidden { message: "not that".to_owned() }),
        }
    }
}

/// Distribution answers 401, and the client that has all the rights that it can get cannot push.
async fn end_11_a_source_that_the_client_may_not_read_begins_an_upload(bench: &Bench) -> Outcome {
    for insufficient in [true, false] {
        let (source, target, blob) = (bench.repository(), bench.repository(), content(1, 1000));
        let digest = push_blob(&bench.client, &source, &blob).await?;
        let controller = OneRepository { name: target.clone(), insufficient };
        let server = bench.serve(|builder| builder.access(Arc::new(controller))).await?;
        let path = format!("/v2/{target}/blobs/uploads/?mount={digest}&from={source}");
        // A client that has not logged in learns of all that it has to ask for.
        let response = server.client.post(&path).expect(401).await?;
        response.has("www-authenticate", &format!("Test scope=\"{target}:pull {target}:push {source}:pull\""))?;
        let known = |request: crate::client::Request| request.header("authorization", "x");
        let response = known(server.client.post(&path)).expect(202).await?;
        lacks(&bench.client, &target, &digest).await?;
        let upload = Upload { client: server.client.clone(), location: response.location()? };
        known(upload.finish(&digest, &blob)).expect(201).await?;
        pulls(&bench.client, &target, &digest, &blob).await?;
        // Whoever may not push to the target is not helped by that.
        let path = format!("/v2/{source}/blobs/uploads/?mount={digest}&from={target}");
        let status = if insufficient { 401 } else { 403 };
        known(server.client.post(path)).expect(status).await?;
    }
    Ok(())
}
