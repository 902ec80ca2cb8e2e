//! What a client is told when a request fails: a code of the specification, a sentence, and the HTTP status.

use std::fmt::Display;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::api::authority::Malformed;
use super::auth::Denied;
use super::{Digest, InvalidDigest, InvalidName};
use crate::contract::{Error, ErrorKind, escape_json};

/// The longest wait that a client is asked for because the store asks for it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// The result of a request.
pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

/// The codes of errors: the specification's table, and those of Docker's API that it left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::upper_case_acronyms, reason = "as they stand in answers")]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    PaginationNumberInvalid,
    RangeInvalid,
    SizeInvalid,
    TagInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
    Unavailable,
    Unknown,
}

impl Code {
    /// Returns the code as clients see it, and the status that goes with it where nothing says otherwise.
    fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Code::BlobUnknown => ("BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Code::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", StatusCode::BAD_REQUEST),
            Code::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", StatusCode::NOT_FOUND),
            Code::DigestInvalid => ("DIGEST_INVALID", StatusCode::BAD_REQUEST),
            Code::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Code::ManifestInvalid => ("MANIFEST_INVALID", StatusCode::BAD_REQUEST),
            Code::ManifestUnknown => ("MANIFEST_UNKNOWN", StatusCode::NOT_FOUND),
            Code::NameInvalid => ("NAME_INVALID", StatusCode::BAD_REQUEST),
            Code::NameUnknown => ("NAME_UNKNOWN", StatusCode::NOT_FOUND),
            Code::PaginationNumberInvalid => ("PAGINATION_NUMBER_INVALID", StatusCode::BAD_REQUEST),
            Code::RangeInvalid => ("RANGE_INVALID", StatusCode::RANGE_NOT_SATISFIABLE),
            Code::SizeInvalid => ("SIZE_INVALID", StatusCode::BAD_REQUEST),
            Code::TagInvalid => ("TAG_INVALID", StatusCode::BAD_REQUEST),
            Code::Unauthorized => ("UNAUTHORIZED", StatusCode::UNAUTHORIZED),
            Code::Denied => ("DENIED", StatusCode::FORBIDDEN),
            Code::Unsupported => ("UNSUPPORTED", StatusCode::METHOD_NOT_ALLOWED),
            Code::TooManyRequests => ("TOOMANYREQUESTS", StatusCode::TOO_MANY_REQUESTS),
            Code::Unavailable => ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
            Code::Unknown => ("UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    status: StatusCode,
    message: String,
    detail: Value,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// More than the client is told.
    cause: Option<String>,
}

impl Failure {
    /// A failure of that code, with a sentence for the client.
    pub(super) fn new(code: Code, message: impl Display) -> Self {
        let (_, status) = code.parts();
        let inner =
            Inner { code, status, message: message.to_string(), detail: Value::Null, headers: Vec::new(), cause: None };
        Failure(Box::new(inner))
    }

    /// Adds what a program may read.
    pub(super) fn with_detail(mut self, detail: Value) -> Self {
        self.0.detail = detail;
        self
    }

    /// Answers with another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Adds a header to the answer.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The request is not one of HTTP, or names no host that can be: 400, whatever else it asks for.
    pub(super) fn malformed(Malformed(why): Malformed) -> Self {
        Self::new(Code::Unsupported, why).with_status(StatusCode::BAD_REQUEST)
    }

    /// The method is none of the resource's.
    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::new(Code::Unsupported, format_args!("the method is not one of {allowed}"))
            .with_header(ALLOW, HeaderValue::from_static(allowed))
    }

    /// What may not be done by the registry's configuration.
    pub(super) fn switched_off(message: &'static str) -> Self {
        Self::new(Code::Unsupported, message)
    }

    /// Returns the status.
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns what the operator is told.
    pub(super) fn told(&self) -> String {
        let (code, _) = self.0.code.parts();
        match &self.0.cause {
            Some(cause) => format!("{code}: {}: {cause}", self.0.message),
            None => format!("{code}: {}", self.0.message),
        }
    }

    /// Turns it into the answer.
    pub(super) fn into_response(self) -> Response {
        let Inner { code, status, message, detail, headers, .. } = *self.0;
        let (code, _) = code.parts();
        let mut error = json!({ "code": code, "message": message });
        if !detail.is_null() {
            error["detail"] = detail;
        }
        let mut response = Response::new(Body::from(escape_json(json!({ "errors": [error] }).to_string())));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(headers);
        response
    }
}

/// What the store says. The client is told what it can do about it, and nothing of paths or credentials.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = match error.kind() {
            ErrorKind::Throttled { retry_after } => {
                // Clients obey, and some sleep as long as they are told.
                let seconds = retry_after.unwrap_or_default().as_secs().clamp(1, MAX_RETRY_AFTER.as_secs());
                Failure::new(Code::TooManyRequests, "the store asks for fewer requests; try again later")
                    .with_header(RETRY_AFTER, HeaderValue::from(seconds))
            }
            ErrorKind::QuotaExceeded => {
                Failure::new(Code::Unknown, "the registry's store is full; its operator has to free room")
                    .with_status(StatusCode::INSUFFICIENT_STORAGE)
            }
            ErrorKind::Unavailable | ErrorKind::Quarantined | ErrorKind::OutcomeUnknown => {
                Failure::new(Code::Unavailable, "the registry's store cannot be reached; try again later")
                    .with_header(RETRY_AFTER, HeaderValue::from_static("5"))
            }
            ErrorKind::LimitExceeded { .. } => {
                Failure::new(Code::Unavailable, "the registry's store is at a limit; try again later")
                    .with_header(RETRY_AFTER, HeaderValue::from_static("5"))
            }
            ErrorKind::Corrupt => {
                let message = "the registry's store has other bytes than were pushed; its operator has to restore them, \
                               or push them again";
                Failure::new(Code::DigestInvalid, message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
            ErrorKind::Conflict => Failure::new(Code::Unknown, "somebody else works on the same; look, then try again")
                .with_status(StatusCode::CONFLICT),
            _ => Failure::new(Code::Unknown, "the registry's store failed; the registry's log says why"),
        };
        failure.because(error)
    }
}

impl Failure {
    /// What the store says when it is asked for the bytes of a digest, which the client is told if they are damaged.
    pub(super) fn reading(digest: &Digest) -> impl FnOnce(Error) -> Failure {
        let detail = json!({ "digest": digest.as_str() });
        move |error| match error.kind() {
            ErrorKind::Corrupt => Failure::from(error).with_detail(detail),
            _ => error.into(),
        }
    }

    /// Adds why, for the log alone.
    pub(super) fn because(mut self, cause: impl Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthenticated { challenge, message } | Denied::Insufficient { challenge, message } => {
                Failure::new(Code::Unauthorized, message).with_header(WWW_AUTHENTICATE, challenge)
            }
            Denied::Forbidden { message } => Failure::new(Code::Denied, message),
            Denied::TooManyRequests { message, retry_after } => {
                let seconds = retry_after.as_secs().max(1);
                Failure::new(Code::TooManyRequests, message).with_header(RETRY_AFTER, HeaderValue::from(seconds))
            }
            Denied::Unavailable { message } => {
                Failure::new(Code::Unavailable, message).with_header(RETRY_AFTER, HeaderValue::from_static("5"))
            }
        }
    }
}

impl From<InvalidDigest> for Failure {
    fn from(invalid: InvalidDigest) -> Self {
        Failure::new(Code::DigestInvalid, invalid)
    }
}

impl From<InvalidName> for Failure {
    fn from(invalid: InvalidName) -> Self {
        Failure::new(Code::NameInvalid, invalid)
    }
}
