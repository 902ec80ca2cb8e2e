//! The API over HTTP: one file for each kind of resource.

pub(super) mod address;
pub(super) mod authority;
mod blobs;
mod byteranges;
mod held;
pub(super) mod incoming;
mod lists;
mod manifests;
mod query;
mod referrers;
mod refused;
mod route;
mod uploads;

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, request};
use http_body::Body as _;

use super::auth::{Access, AccessRequest, Denied, User};
use super::error::{Code, Failure, Result};
use super::{Digest, Handled, Registry};
use held::Held;
use incoming::{SMALL, client};
use query::Query;
use refused::Lent;
use route::Route;

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const DOCKER_API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// How many bytes of an answer that is held in memory count as one download.
const HELD: u64 = 256 * 1024;

/// An extension of requests: the address that connected to the server: the client's, or that of a proxy before it. Drivers
/// answer addresses by it, and clients are bounded by it; for proxies that [are named](super::TrustedProxies), by what they say.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub std::net::IpAddr);

/// Answers a request.
pub(super) async fn answer(registry: &Registry, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let mut handled = Handled::default();
    let (lent, body) = Lent::lend(body, &parts.headers);
    let answered = async {
        let response = answer_route(registry, &parts, body, &mut handled).await?;
        held(registry, &parts, response).await
    };
    let mut response = match answered.await {
        Ok(response) => response,
        Err(failure) => {
            let told = failure.told();
            if failure.status().is_server_error() {
                tracing::error!(method = %parts.method, path = parts.uri.path(), status = failure.status().as_u16(), "{told}");
            }
            handled.error = Some(told);
            if let Some(lent) = lent {
                lent.drain().await;
            }
            let mut response = failure.into_response();
            if parts.method == Method::HEAD {
                *response.body_mut() = Body::empty();
            }
            response
        }
    };
    response.headers_mut().insert(DOCKER_API_VERSION, HeaderValue::from_static("registry/2.0"));
    response.extensions_mut().insert(handled);
    response
}

/// Counts an answer that is held in memory, if it is not small, until its client has taken it.
async fn held(registry: &Registry, parts: &request::Parts, response: Response) -> Result<Response> {
    let size = response.body().size_hint().exact().unwrap_or(0);
    if size <= SMALL {
        return Ok(response);
    }
    let weight = usize::try_from(size.div_ceil(HELD)).unwrap_or(usize::MAX);
    let room = registry.downloads().enter(client(registry, parts), weight, Duration::ZERO).await?;
    Ok(response.map(|body| Held::body(body, room)))
}

async fn answer_route(
    registry: &Registry,
    parts: &request::Parts,
    body: Body,
    handled: &mut Handled,
) -> Result<Response> {
    let host = authority::host(parts).map_err(Failure::malformed)?;
    let Some(route) = Route::parse(parts.uri.path())? else {
        return Err(Failure::new(Code::Unsupported, "nothing of the registry's API is at this path")
            .with_status(StatusCode::NOT_FOUND));
    };
    handled.handler = route.handler();
    handled.repository = route.repository().map(ToString::to_string);
    let query = Query::new(parts.uri.query());
    let mounted_from = match &route {
        Route::Uploads(_) if parts.method == Method::POST && query.get("mount")?.is_some() => query.get("from")?,
        _ => None,
    };
    // It tells nothing that is not known, and a browser that asks whether it may ask sends no credentials.
    if parts.method == Method::OPTIONS {
        let mut response = empty(StatusCode::OK);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(route.methods()));
        return Ok(response);
    }
    let (user, may_mount) = authorize(registry, parts, host, &route, mounted_from.as_deref()).await?;
    handled.user = user.map(|user| user.name);

    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    if changes && registry.settings().read_only && !matches!(route, Route::Base | Route::Catalog) {
        return Err(Failure::switched_off("the registry is read-only"));
    }
    let call = Call { registry, parts, query, may_mount };
    match (&route, parts.method.as_str()) {
        (Route::Base, "GET" | "HEAD") => Ok(json("{}".to_owned())),
        (Route::Catalog, "GET" | "HEAD") => call.catalog().await,
        (Route::Tags(name), "GET" | "HEAD") => call.tags(name).await,
        (Route::Referrers(name, subject), "GET" | "HEAD") => call.referrers(name, subject).await,
        (Route::Manifest(name, reference), "GET" | "HEAD") => call.get_manifest(name, reference).await,
        (Route::Manifest(name, reference), "PUT") => call.put_manifest(name, reference, body).await,
        (Route::Manifest(name, reference), "DELETE") => call.delete_manifest(name, reference).await,
        (Route::Blob(name, digest), "GET" | "HEAD") => call.get_blob(name, digest).await,
        (Route::Blob(name, digest), "DELETE") => call.delete_blob(name, digest).await,
        (Route::Uploads(name), "POST") => call.begin_upload(name, body).await,
        (Route::Upload(name, id), "GET" | "HEAD") => call.upload_status(name, *id).await,
        (Route::Upload(name, id), "PATCH") => call.add_to_upload(name, *id, body).await,
        (Route::Upload(name, id), "PUT") => call.end_upload(name, *id, body).await,
        (Route::Upload(name, id), "DELETE") => call.cancel_upload(name, *id).await,
        (route, _) => Err(Failure::method_not_allowed(route.methods())),
    }
}

/// Lets a request in. Returns as whom, and whether a blob may be mounted from the repository that the client names: whoever may
/// push here and not read there goes on with an upload (specification, "Mounting a blob from another repository").
async fn authorize(
    registry: &Registry,
    parts: &request::Parts,
    host: Option<&str>,
    route: &Route,
    mounted_from: Option<&str>,
) -> Result<(Option<User>, bool)> {
    let Some(controller) = &registry.settings().access else { return Ok((None, true)) };
    let client = registry.settings().trusted_proxies.client(parts);
    let authorize = async |needed: &[Access]| {
        let authorization = parts.headers.get(AUTHORIZATION);
        controller.authorize(AccessRequest { authorization, host, client, needed }).await
    };
    match authorize(&route.access(&parts.method, mounted_from)).await {
        Ok(user) => Ok((user, true)),
        Err(denied @ (Denied::Insufficient { .. } | Denied::Forbidden { .. })) if mounted_from.is_some() => {
            // The first answer names all that the client may ask for.
            let here = authorize(&route.access(&parts.method, None)).await;
            here.map(|user| (user, false)).map_err(|_| denied.into())
        }
        Err(denied) => Err(denied.into()),
    }
}

/// Returns the answer to a request that names no host, or two, or one that is none: 400. None if nothing is wrong with it. For
/// what a server answers beside the registry, which looks itself.
pub fn refuse_malformed(request: &request::Parts) -> Option<Response> {
    authority::host(request).err().map(|malformed| Failure::malformed(malformed).into_response())
}

/// A request that was let in.
struct Call<'a> {
    registry: &'a Registry,
    parts: &'a request::Parts,
    query: Query<'a>,
    /// Whether a blob may be taken from the repository that the client names.
    may_mount: bool,
}

impl Call<'_> {
    fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    /// Returns the client's address, if the server knows it.
    fn client(&self) -> Option<std::net::IpAddr> {
        self.registry.settings().trusted_proxies.client(self.parts)
    }

    /// Returns a header that is text; none if there is none.
    fn header(&self, name: HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Fails unless things may be deleted.
    fn may_delete(&self) -> Result<()> {
        match self.registry.settings().delete {
            true => Ok(()),
            false => Err(Failure::switched_off("the registry does not delete; its operator can switch that on")),
        }
    }
}

/// An answer with a status and no body.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// An answer that is a JSON document.
fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A digest as a header's value.
fn digest_value(digest: &Digest) -> Result<HeaderValue> {
    HeaderValue::try_from(digest.as_str()).map_err(|error| Failure::new(Code::Unknown, error))
}
