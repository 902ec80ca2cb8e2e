//! What the store's answers mean.

use std::error::Error as _;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::contract::{Error, ErrorKind, Result, StoragePath};

/// Whether a request changes something, and so what it means when its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing happened.
    Reads,
    /// It may have happened.
    Writes,
}

impl Effect {
    /// Returns the kind of error of a request whose answer is lost.
    pub(super) fn lost(self) -> ErrorKind {
        match self {
            Effect::Reads => ErrorKind::Unavailable,
            Effect::Writes => ErrorKind::OutcomeUnknown,
        }
    }
}

/// The store's own answer that it will not do this, now or later. What it means depends on what was asked.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    /// S3's name for it; empty where the answer had none.
    pub(super) code: String,
    message: String,
}

impl Refusal {
    /// Returns whether nothing is at the key.
    pub(super) fn is_not_found(&self) -> bool {
        // The answer to a HEAD has no body, and so no code.
        matches!(&*self.code, "NoSuchKey" | "NotFound") || (self.status == 404 && self.code.is_empty())
    }

    /// Returns whether there is no such upload. Ceph says `NoSuchKey` for one that was aborted.
    pub(super) fn is_no_upload(&self) -> bool {
        matches!(&*self.code, "NoSuchUpload" | "NoSuchKey" | "NotFound")
    }

    /// Returns whether it may be for the credentials, which others may have replaced.
    pub(super) fn is_of_credentials(&self) -> bool {
        matches!(&*self.code, "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken" | "InvalidAccessKeyId")
            || matches!(self.status, 401 | 403)
    }

    /// Returns whether the range begins beyond the object's end.
    pub(super) fn is_beyond_end(&self) -> bool {
        self.status == 416 || self.code == "InvalidRange"
    }

    /// Returns the error of an operation on a file that is not there.
    pub(super) fn into_error_at(self, path: &StoragePath) -> Error {
        if self.is_not_found() { Error::path_not_found(path) } else { self.into() }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let Refusal { status, code, message } = refusal;
        let (kind, advice) = match (&*code, status) {
            ("NoSuchBucket", _) => (ErrorKind::InvalidParameters, "create the bucket, or correct `bucket`"),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
            | (_, 301 | 307) => (ErrorKind::InvalidParameters, "the bucket is in another region; correct `region`"),
            ("AccessControlListNotSupported", _) => {
                (ErrorKind::InvalidParameters, "the bucket takes no ACLs; set `objectacl: \"\"`, which sends none")
            }
            ("RequestTimeTooSkewed", _) => (ErrorKind::AccessDenied, "set this machine's clock"),
            ("ExpiredToken" | "TokenRefreshRequired", _) => {
                (ErrorKind::AccessDenied, "the credentials have expired; renew them")
            }
            ("QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage", _) | (_, 507) => {
                (ErrorKind::QuotaExceeded, "")
            }
            ("InvalidObjectState", _) => (ErrorKind::Other, "the object is archived; restore it"),
            ("EntityTooLarge" | "MaxMessageLengthExceeded", _) | (_, 413) => (ErrorKind::TooLarge, ""),
            ("EntityTooSmall", _) => (ErrorKind::Other, "the upload has a part below 5 MiB that is not its last"),
            // Ceph's gateway has its own word for a key that is too long.
            ("KeyTooLongError" | "InvalidObjectName", _) => (ErrorKind::InvalidPath, ""),
            ("NoSuchUpload", _) => (ErrorKind::Conflict, "somebody else completed or aborted the upload"),
            ("PreconditionFailed" | "ConditionalRequestConflict" | "InvalidPart" | "InvalidPartOrder", _)
            | (_, 412) => (ErrorKind::Conflict, "somebody else changed it"),
            ("NotImplemented" | "MethodNotAllowed", _) | (_, 501) => {
                (ErrorKind::Unsupported, "the store does not do this")
            }
            (_, 401 | 403) => (ErrorKind::AccessDenied, ""),
            _ => (ErrorKind::Other, ""),
        };
        let separator = if advice.is_empty() { "" } else { "; " };
        Error::new(kind, format!("{message}{separator}{advice}"))
    }
}

/// Says what became of a request that did not succeed: the store refused it, or there is an error, whose kind says whether
/// another attempt may help.
pub(super) fn failure<E>(error: SdkError<E, HttpResponse>, effect: Effect) -> Result<Refusal>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let lost = |what: String| Err(Error::new(effect.lost(), what));
    match &error {
        SdkError::ServiceError(answer) => service(answer.raw(), answer.err(), effect),
        // The answer began and could not be read to its end: what its document would have said is not known, unless the
        // status says enough.
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let text = format!("the answer, of HTTP status {status}, could not be read: {}", root_cause(&error));
            match by_status(answer.raw(), status, "", text.clone(), effect) {
                Ok(_) => lost(text),
                transient => transient,
            }
        }
        SdkError::DispatchFailure(failure) => {
            if let Some(error) = credentials_error(&error) {
                return Err(error);
            }
            let text = root_cause(&error);
            match () {
                // Before a connection is there, nothing can have happened.
                () if is_connect(&error) => Err(Error::new(ErrorKind::Unavailable, format!("cannot connect: {text}"))),
                () if failure.is_user() => Err(Error::new(ErrorKind::Other, text)),
                () => lost(text),
            }
        }
        SdkError::TimeoutError(_) => lost("no answer in time".to_owned()),
        _ => Err(credentials_error(&error).unwrap_or_else(|| Error::new(ErrorKind::Other, root_cause(&error)))),
    }
}

fn service<E: ProvideErrorMetadata>(raw: &HttpResponse, error: &E, effect: Effect) -> Result<Refusal> {
    let status = raw.status().as_u16();
    let code = error.meta().code().unwrap_or_default();
    let mut text = match (code, error.meta().message()) {
        ("", _) => format!("HTTP status {status}"),
        (code, Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (code, _) => format!("{code} (HTTP status {status})"),
    };
    if let Some(id) = error.meta().request_id().or_else(|| raw.headers().get("x-amz-request-id")) {
        text.push_str(&format!(" (request id {id})"));
    }
    by_status(raw, status, code, text, effect)
}

fn by_status(raw: &HttpResponse, status: u16, code: &str, message: String, effect: Effect) -> Result<Refusal> {
    let kind = match (code, status) {
        ("SlowDown" | "TooManyRequests" | "RequestLimitExceeded" | "Throttling" | "ThrottlingException", _)
        | (_, 429 | 503) => {
            let seconds = raw.headers().get("retry-after").and_then(|text| text.trim().parse().ok());
            ErrorKind::Throttled { retry_after: seconds.map(Duration::from_secs) }
        }
        // The store waited for the request's body, or refused it because it arrived changed: nothing happened.
        ("RequestTimeout" | "BadDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody" | "OperationAborted", _)
        | (_, 408) => ErrorKind::Unavailable,
        // In a success too, whose body tells of an error: S3 had begun to answer before it knew.
        ("InternalError", _) | (_, 500 | 502 | 504) => effect.lost(),
        // A success whose document cannot be read. Ceph's gateway sends one for an upload to a long key: it cuts the
        // location in the answer to a completion, and sends bytes after it that XML does not have.
        ("", 200..=299) => effect.lost(),
        _ => return Ok(Refusal { status, code: code.to_owned(), message }),
    };
    Err(Error::new(kind, message))
}

/// Returns what it means if the request was not sent because there were no credentials.
fn credentials_error(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let credentials = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    let text = root_cause(credentials);
    Some(match credentials {
        CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => {
            Error::new(ErrorKind::Unavailable, format!("no credentials could be got: {text}"))
        }
        _ => Error::new(ErrorKind::AccessDenied, format!("there are no credentials: {text}")),
    })
}

fn is_connect(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).any(|cause| cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect))
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Returns the innermost error's text: the SDK's own say only that something failed.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    texts.dedup();
    // The last two: `connection error` alone would not say what was wrong with it.
    texts.split_off(texts.len().saturating_sub(2)).join(": ")
}

/// Returns the error of a body that ended before its end.
pub(super) fn cut(error: &aws_smithy_types::byte_stream::error::Error) -> Error {
    let text = root_cause(error);
    let mismatch = std::iter::successors(error.source(), |error| (*error).source())
        .any(|cause| cause.to_string().contains("checksum mismatch"));
    if mismatch {
        return Error::new(ErrorKind::Corrupt, format!("{text}; read it again, and restore it if that does not help"));
    }
    Error::new(ErrorKind::Unavailable, format!("the answer was cut: {text}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn kind(status: u16, code: &str, effect: Effect) -> ErrorKind {
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        let error: Error = by_status(&raw, status, code, String::new(), effect).map_or_else(|error| error, Error::from);
        error.kind().clone()
    }

    /// Distribution makes a 500 of its own of everything but `NoSuchKey` (distribution#3456).
    #[test]
    fn what_the_store_answers_has_a_kind_that_says_what_to_do() {
        let throttled = ErrorKind::Throttled { retry_after: None };
        for (status, code, expected) in [
            (503, "SlowDown", throttled.clone()),
            (503, "", throttled.clone()),
            (429, "TooManyRequests", throttled.clone()),
            // A success whose body tells of an error.
            (200, "SlowDown", throttled),
            (403, "AccessDenied", ErrorKind::AccessDenied),
            (403, "SignatureDoesNotMatch", ErrorKind::AccessDenied),
            (403, "QuotaExceeded", ErrorKind::QuotaExceeded),
            (507, "", ErrorKind::QuotaExceeded),
            (404, "NoSuchBucket", ErrorKind::InvalidParameters),
            (301, "PermanentRedirect", ErrorKind::InvalidParameters),
            (400, "AccessControlListNotSupported", ErrorKind::InvalidParameters),
            (404, "NoSuchUpload", ErrorKind::Conflict),
            (412, "PreconditionFailed", ErrorKind::Conflict),
            (400, "EntityTooLarge", ErrorKind::TooLarge),
            (400, "KeyTooLongError", ErrorKind::InvalidPath),
            (400, "InvalidObjectName", ErrorKind::InvalidPath),
            (501, "NotImplemented", ErrorKind::Unsupported),
            (400, "BadDigest", ErrorKind::Unavailable),
            (400, "RequestTimeout", ErrorKind::Unavailable),
            (418, "", ErrorKind::Other),
        ] {
            for effect in [Effect::Reads, Effect::Writes] {
                assert_eq!(kind(status, code, effect), expected, "{status} {code}");
            }
        }
    }

    #[test]
    fn a_failure_of_the_store_leaves_a_reads_outcome_known_and_a_writes_unknown() {
        // A success without a code is one whose document could not be read.
        for (status, code) in [(500, "InternalError"), (200, "InternalError"), (502, ""), (504, ""), (200, "")] {
            assert_eq!(kind(status, code, Effect::Reads), ErrorKind::Unavailable, "{status}");
            assert_eq!(kind(status, code, Effect::Writes), ErrorKind::OutcomeUnknown, "{status}");
        }
    }

    /// A cut 404 was once taken for a refusal without a code, and an upload given up for it.
    #[test]
    fn an_answer_that_was_cut_is_no_refusal() {
        let cut = |status: u16, effect| {
            let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
            let error: SdkError<GetObjectError, _> = SdkError::response_error("cut", raw);
            failure(error, effect).unwrap_err().kind().clone()
        };
        for status in [200, 404, 409] {
            assert_eq!(cut(status, Effect::Reads), ErrorKind::Unavailable, "{status}");
            assert_eq!(cut(status, Effect::Writes), ErrorKind::OutcomeUnknown, "{status}");
        }
        assert_eq!(cut(503, Effect::Writes), ErrorKind::Throttled { retry_after: None });
    }

    #[test]
    fn a_store_that_says_how_long_to_wait_is_heard() {
        let mut raw = HttpResponse::new(503.try_into().unwrap(), SdkBody::empty());
        raw.headers_mut().insert("retry-after", "7");
        let error = by_status(&raw, 503, "SlowDown", String::new(), Effect::Reads).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Throttled { retry_after: Some(Duration::from_secs(7)) });
    }

    #[test]
    fn a_missing_object_is_not_taken_for_a_missing_bucket() {
        let refusal = |code: &str| Refusal { status: 404, code: code.to_owned(), message: String::new() };
        assert!(refusal("NoSuchKey").is_not_found() && refusal("").is_not_found());
        assert!(!refusal("NoSuchBucket").is_not_found() && !refusal("NoSuchUpload").is_not_found());
    }
}
