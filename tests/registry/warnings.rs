//! Warnings, which a registry may send with any answer.

use crate::bench::Bench;
use crate::content::{absent, content};
use crate::image::{Image, pull};
use crate::requirement::{Outcome, Requirement, ensure, requirements};
use crate::upload::{Upload, push_blob};

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Warnings":
        Must All warnings_of_every_endpoint_have_code_299_no_agent_and_no_date,
    ]
}

/// Every answer in every test is looked at for this; here each endpoint is asked once, so that none is left out. Wharf
/// itself sends none. That the checks see a wrong one is tested beside them.
async fn warnings_of_every_endpoint_have_code_299_no_agent_and_no_date(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let digest = push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    let upload = Upload::begin(&bench.client, &repository).await?;
    let client = &bench.client;
    for request in [
        client.get("/v2/"),
        client.get("/v2/_catalog"),
        client.get(format!("/v2/{repository}/tags/list")),
        client.get(format!("/v2/{repository}/referrers/{digest}")),
        client.get(format!("/v2/{repository}/blobs/{digest}")),
        pull(client, &repository, "latest"),
        client.get(&upload.location),
        upload.finish(&absent(), &content(2, 10)),
        client.delete(format!("/v2/{repository}/manifests/{}", manifest.digest)),
        client.delete(format!("/v2/{repository}/blobs/{digest}")),
    ] {
        let response = request.send().await?;
        let warnings = response.headers.get_all("warning").iter().count();
        ensure(warnings <= 16, response.because("more warnings than anybody reads"))?;
    }
    Ok(())
}
