//! The SDK's requests, sent by the HTTP client that all native drivers share.

use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::base::http;
use crate::contract::Result;

/// The SDK's HTTP client, on ours.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: reqwest::Client,
    /// Added to the SDK's `User-Agent`; empty for nothing.
    user_agent: String,
    /// Whether each request is logged at level info.
    logs: bool,
    /// What the store called itself in its first answer.
    server: Arc<OnceLock<String>>,
}

impl Connector {
    pub(super) fn new(skip_verify: bool, user_agent: &str, logs: bool) -> Result<Self> {
        let client = http::client(skip_verify)?;
        Ok(Connector { client, user_agent: user_agent.to_owned(), logs, server: Arc::default() })
    }

    /// Returns the same for requests to others than the store, as to those that give credentials: what they call themselves
    /// is not what the store does.
    pub(super) fn for_others(&self) -> Self {
        Connector { server: Arc::default(), ..self.clone() }
    }

    /// Returns what the store calls itself: the header `Server` of its first answer.
    pub(super) fn server(&self) -> Option<&str> {
        self.server.get().map(String::as_str)
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Connector { client, user_agent, logs, server } = self.clone();
        HttpConnectorFuture::new(async move {
            let log = logs.then(|| (request.method().to_owned(), request.uri().to_owned()));
            let answer = send(client, &user_agent, request).await;
            if let Ok(answer) = &answer {
                server.get_or_init(|| answer.headers().get("server").unwrap_or_default().to_owned());
            }
            if let Some((method, uri)) = log {
                match &answer {
                    Ok(answer) => {
                        let id = answer.headers().get("x-amz-request-id");
                        tracing::info!(target: "wharf::s3", method, uri, status = answer.status().as_u16(), id, "request");
                    }
                    Err(error) => tracing::info!(target: "wharf::s3", method, uri, %error, "request"),
                }
            }
            answer
        })
    }
}

async fn send(
    client: reqwest::Client,
    user_agent: &str,
    request: HttpRequest,
) -> std::result::Result<HttpResponse, ConnectorError> {
    let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    if !user_agent.is_empty() {
        append_user_agent(request.headers_mut(), user_agent).map_err(|error| ConnectorError::user(error.into()))?;
    }
    if request.body().content_length() == Some(0)
        && matches!(*request.method(), ::http::Method::PUT | ::http::Method::POST)
    {
        // hyper leaves it out for a body that it is given as a stream, and stores ask for it.
        request.headers_mut().insert(::http::header::CONTENT_LENGTH, ::http::HeaderValue::from_static("0"));
    }
    // An SDK's body in memory is sent as the bytes that it is, without a copy.
    let request = request.map(reqwest::Body::wrap);
    let request = reqwest::Request::try_from(request).map_err(|error| ConnectorError::user(error.into()))?;
    let answer = client.execute(request).await.map_err(|error| {
        if error.is_timeout() {
            ConnectorError::timeout(error.into())
        } else if error.is_builder() {
            ConnectorError::user(error.into())
        } else {
            ConnectorError::io(error.into())
        }
    })?;
    let answer = ::http::Response::<reqwest::Body>::from(answer).map(SdkBody::from_body_1_x);
    HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
}

fn append_user_agent(
    headers: &mut ::http::HeaderMap,
    more: &str,
) -> std::result::Result<(), ::http::header::InvalidHeaderValue> {
    let own = headers.get(::http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let value = ::http::HeaderValue::from_str(format!("{own} {more}").trim())?;
    headers.insert(::http::header::USER_AGENT, value);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn who_gives_credentials_is_not_taken_for_the_store() {
        let connector = Connector::new(false, "", false).unwrap();
        connector.for_others().server.set("EC2ws".to_owned()).unwrap();
        assert_eq!(connector.server(), None);
        connector.clone().server.set("SeaweedFS".to_owned()).unwrap();
        assert_eq!(connector.server(), Some("SeaweedFS"));
    }
}
