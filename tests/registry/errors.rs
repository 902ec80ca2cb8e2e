//! How the registry refuses: codes, statuses, the form of errors; and what it does not refuse.

use crate::bench::Bench;
use crate::content::{absent, content};
use crate::image::{Image, pull};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::{Upload, pulls, push_blob};

pub(crate) fn requirements() -> Vec<Requirement> {
    let mut all = requirements!["Determining support":
        Must All end_1_v2_is_200,
        Wharf All end_1_v2_without_its_slash_is_answered,
        Wharf All end_1_head_of_v2_is_200,
    ];
    all.extend(requirements!["Error codes":
        Must All errors_have_the_form_of_the_specification,
        Wharf All errors_are_json,
        Wharf All errors_say_what_was_wrong_with_what,
        Must All an_invalid_name_is_refused,
        Must All an_invalid_tag_is_refused,
        Must All a_name_of_several_parts_is_served,
        Must All a_name_that_looks_like_an_endpoint_is_served,
        Should All another_method_is_405_with_those_that_are_allowed,
        Wharf Own options_are_answered_without_credentials_with_the_methods,
        Must All an_unknown_path_is_404,
        Wharf All an_error_of_head_has_no_body,
    ]);
    all
}

async fn end_1_v2_is_200(bench: &Bench) -> Outcome {
    bench.client.get("/v2/").expect(200).await.map(drop)
}

async fn end_1_v2_without_its_slash_is_answered(bench: &Bench) -> Outcome {
    let response = bench.client.get("/v2").expect_one_of(&[200, 301, 307, 308]).await?;
    if response.status != 200 {
        same("Location", response.location()?, "/v2/".to_owned())?;
    }
    Ok(())
}

async fn end_1_head_of_v2_is_200(bench: &Bench) -> Outcome {
    bench.client.head("/v2/").expect(200).await?.has_body(b"")
}

/// Requests of every kind that cannot succeed.
async fn failures(bench: &Bench) -> Outcome<Vec<crate::client::Response>> {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let upload = Upload::begin(&bench.client, &repository).await?;
    let unknown = upload.location.clone();
    upload.cancel().expect(204).await?;
    let other = Upload::begin(&bench.client, &repository).await?;
    let client = &bench.client;
    let mut responses = Vec::new();
    for request in [
        pull(client, &repository, "other"),
        client.get(format!("/v2/{repository}/blobs/{}", absent())),
        client.get(format!("/v2/{}/tags/list", bench.repository())),
        client.get(unknown),
        other.finish(&absent(), &content(1, 100)),
        other.finish("none", &content(1, 100)),
        manifest.put(client, &repository, &absent()),
        Image::new(2).manifest().put(client, &repository, "missing"),
        client.delete(format!("/v2/{repository}/blobs/{}", absent())),
        client.delete(format!("/v2/{repository}/manifests/other")),
    ] {
        let response = request.send().await?;
        ensure((400..500).contains(&response.status), response.because("no 4xx"))?;
        responses.push(response);
    }
    Ok(responses)
}

/// The form is seen to for every answer; here all of them are errors, and have to have it.
async fn errors_have_the_form_of_the_specification(bench: &Bench) -> Outcome {
    for response in failures(bench).await? {
        for code in response.error_codes()? {
            let named = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            ensure(named, response.because(format!("the code {code:?}")))?;
        }
    }
    Ok(())
}

async fn errors_are_json(bench: &Bench) -> Outcome {
    for response in failures(bench).await? {
        same(&*response.what, response.media_type(), Some("application/json"))?;
    }
    Ok(())
}

async fn errors_say_what_was_wrong_with_what(bench: &Bench) -> Outcome {
    for response in failures(bench).await? {
        let json = response.json()?;
        let message = json["errors"][0]["message"].as_str().unwrap_or_default();
        ensure(message.len() > 5, response.because("no message that says anything"))?;
    }
    Ok(())
}

/// What the grammar of names leaves out. The hostile requirements have worse.
async fn an_invalid_name_is_refused(bench: &Bench) -> Outcome {
    // What is refused below is refused for its name.
    Image::new(1).push(&bench.client, &bench.repository(), "latest").await?;
    for name in
        ["Upper", "a/B", "-a", "a-", ".a", "a.", "_a", "a_", "a..b", "a___b", "a._b", "a//b", "a b", "é", "a/-b"]
    {
        let name = name.replace(' ', "%20").replace('é', "%C3%A9");
        for request in [
            bench.client.post(format!("/v2/{name}/blobs/uploads/")),
            bench.client.get(format!("/v2/{name}/tags/list")),
            Image::new(1).manifest().put(&bench.client, &name, "latest"),
        ] {
            // A redirect leads to the path without its doubled slash.
            let response = request.expect_one_of(&[301, 308, 400, 404]).await?;
            // A registry that does not even take it for a name answers in any form.
            if response.media_type() == Some("application/json") {
                let codes = response.error_codes()?;
                let named = ["NAME_INVALID", "NAME_UNKNOWN", "UNSUPPORTED"];
                ensure(codes.iter().all(|code| named.contains(&&**code)), response.because("another code"))?;
            }
        }
    }
    Ok(())
}

async fn an_invalid_tag_is_refused(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    for tag in [".a", "-a", "a%20b", "a%2Fb", "%C3%A9", "a+b", "a@b", "a:b", "a~", "%00", "."] {
        image.manifest().put(&bench.client, &repository, tag).expect_one_of(&[400, 404]).await?;
        pull(&bench.client, &repository, tag).expect_one_of(&[400, 404]).await?;
    }
    bench.client.get(format!("/v2/{repository}/tags/list")).expect(404).await.map(drop)
}

async fn a_name_of_several_parts_is_served(bench: &Bench) -> Outcome {
    let repository = format!("{}/a.b/c__d/e---f/0", bench.repository());
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

/// The last words of a path say what is asked; those before are the name's.
async fn a_name_that_looks_like_an_endpoint_is_served(bench: &Bench) -> Outcome {
    let root = bench.repository();
    for name in ["tags/list", "blobs/uploads", "manifests/latest", "blobs", "manifests", "referrers", "a/tags", "v2"] {
        let repository = format!("{root}/{name}");
        let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
        pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)?;
        let list = bench.client.get(format!("/v2/{repository}/tags/list")).expect(200).await?;
        same("the tags", list.strings("tags")?, vec!["latest".to_owned()])?;
        let blob = content(3, 100);
        let digest = push_blob(&bench.client, &repository, &blob).await?;
        pulls(&bench.client, &repository, &digest, &blob).await?;
    }
    Ok(())
}

async fn another_method_is_405_with_those_that_are_allowed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    for (method, target, allowed) in [
        ("POST", "/v2/".to_owned(), "GET"),
        ("POST", format!("/v2/{repository}/manifests/latest"), "GET"),
        ("PATCH", format!("/v2/{repository}/manifests/latest"), "PUT"),
        ("PUT", format!("/v2/{repository}/blobs/{}", absent()), "GET"),
        ("POST", format!("/v2/{repository}/tags/list"), "GET"),
        ("DELETE", format!("/v2/{repository}/tags/list"), "GET"),
        ("PUT", format!("/v2/{repository}/blobs/uploads/"), "POST"),
        ("POST", "/v2/_catalog".to_owned(), "GET"),
    ] {
        let response = bench.client.request(method, target).expect(405).await?;
        let allow = response.required("allow")?.to_ascii_uppercase();
        let named = allow.split(',').any(|name| name.trim() == allowed);
        ensure(named, response.because(format!("Allow without {allowed}")))?;
    }
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

/// A page in a browser asks before it asks for more (Fetch, "CORS-preflight request"), and without credentials. The headers
/// that let it are the operator's to set.
async fn options_are_answered_without_credentials_with_the_methods(bench: &Bench) -> Outcome {
    #[derive(Debug)]
    struct Nobody;
    #[async_trait::async_trait]
    impl wharf::registry::auth::AccessController for Nobody {
        async fn authorize(
            &self,
            _: wharf::registry::auth::AccessRequest<'_>,
        ) -> Result<Option<wharf::registry::auth::User>, wharf::registry::auth::Denied> {
            Err(wharf::registry::auth::Denied::Forbidden { message: "nobody".to_owned() })
        }
    }
    let server = bench.serve(|builder| builder.access(std::sync::Arc::new(Nobody)).read_only(true)).await?;
    for (path, methods) in [
        ("/v2/", "GET, HEAD, OPTIONS"),
        ("/v2/_catalog", "GET, HEAD, OPTIONS"),
        ("/v2/a/tags/list", "GET, HEAD, OPTIONS"),
        ("/v2/a/manifests/latest", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/v2/a/blobs/uploads/", "POST, OPTIONS"),
    ] {
        let request = server.client.request("OPTIONS", path).header("origin", "https://ui.example.com");
        let response = request.header("access-control-request-method", "GET").expect_one_of(&[200, 204]).await?;
        response.has("allow", methods)?;
        response.has_body(b"")?;
        // The control: everything else is refused.
        server.client.get(path).expect_one_of(&[403, 405]).await?;
    }
    server.client.request("OPTIONS", "/v2/a/other").expect(404).await.map(drop)
}

async fn an_unknown_path_is_404(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    for target in [
        format!("/v2/{repository}"),
        format!("/v2/{repository}/"),
        format!("/v2/{repository}/manifests"),
        format!("/v2/{repository}/manifests/"),
        format!("/v2/{repository}/blobs/"),
        format!("/v2/{repository}/tags"),
        format!("/v2/{repository}/tags/latest"),
        "/v2/_other".to_owned(),
        "/v2//".to_owned(),
    ] {
        bench.client.get(target).expect_one_of(&[301, 308, 400, 404]).await?;
    }
    Ok(())
}

async fn an_error_of_head_has_no_body(bench: &Bench) -> Outcome {
    // The same asked with GET has one.
    let error = pull(&bench.client, &bench.repository(), "latest").expect(404).await?;
    ensure(!error.body.is_empty(), error.because("no body"))?;
    for target in [format!("/v2/{}/manifests/latest", bench.repository()), "/v2/Upper/manifests/latest".to_owned()] {
        bench.client.head(target).expect_one_of(&[400, 404]).await?.has_body(b"")?;
    }
    Ok(())
}
