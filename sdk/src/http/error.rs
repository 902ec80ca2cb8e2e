//! What becomes of an HTTP failure: the kind on which the host acts.

use std::time::Duration;

use wasip3::http::types as wasi;

use crate::{Error, ErrorKind};

/// Where a request went, and whether it may have changed something there: what an error needs of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// `HOST:PORT`.
    pub(super) place: String,
    pub(super) is_change: bool,
}

impl Sent {
    /// Makes an error of what `wasi:http` reports.
    pub(super) fn failed(&self, cause: &wasi::ErrorCode) -> Error {
        use wasi::ErrorCode as Code;
        let place = &self.place;
        let message = format!("{place}: {}", words(cause));
        match cause {
            Code::DestinationIpProhibited => Error::access_denied(format!(
                "{place} leads to an address that is not public, which has to be granted beside \
                 `allow: {{ http: [\"{place}\"] }}`; the host's log has the line that grants it"
            )),
            Code::HttpRequestDenied => Error::access_denied(format!(
                "the host does not let this driver send requests to {place}; its configuration grants hosts by \
                 `allow: {{ http: [\"{place}\"] }}`"
            )),
            Code::TlsCertificateError => Error::access_denied(message),
            // There was no connection yet, so nothing was sent.
            Code::DnsTimeout
            | Code::DnsError(_)
            | Code::DestinationNotFound
            | Code::DestinationUnavailable
            | Code::DestinationIpUnroutable
            | Code::ConnectionRefused
            | Code::ConnectionTimeout
            | Code::ConnectionLimitReached => Error::unavailable(message),
            // The connection was lost, or what came over it was no answer. Hosts report a connection that ends in the
            // middle of an answer as a protocol error too.
            Code::ConnectionTerminated
            | Code::ConnectionReadTimeout
            | Code::ConnectionWriteTimeout
            | Code::HttpResponseIncomplete
            | Code::HttpResponseTimeout
            | Code::HttpProtocolError => self.lost(message, ErrorKind::Unavailable),
            // There was an answer, or there may have been one, and trying again does not help.
            Code::HttpResponseHeaderSectionSize(_)
            | Code::HttpResponseHeaderSize(_)
            | Code::HttpResponseBodySize(_)
            | Code::HttpResponseTrailerSectionSize(_)
            | Code::HttpResponseTrailerSize(_)
            | Code::HttpResponseTransferCoding(_)
            | Code::HttpResponseContentCoding(_)
            | Code::HttpUpgradeFailed
            | Code::InternalError(_) => self.lost(message, ErrorKind::Other),
            _ => Error::other(message),
        }
    }

    /// An answer is lost: nobody knows whether a change happened. `otherwise` is for requests that change nothing.
    fn lost(&self, message: String, otherwise: ErrorKind) -> Error {
        Error::new(if self.is_change { ErrorKind::OutcomeUnknown } else { otherwise }, message)
    }

    /// Makes an error of an answer, as [`status_error`] does. But of what a gateway answers to a change after it lost
    /// the server behind it, nobody knows whether the change happened.
    pub(super) fn answered(&self, status: u16, retry_after: Option<Duration>, what: &str) -> Error {
        let error = status_error(status, retry_after, what);
        if self.is_change && matches!(status, 502 | 504) {
            return Error::outcome_unknown(error.message());
        }
        error
    }
}

/// Makes an error of a status: what its kind tells the host to do. `what` was done, for the message.
///
/// | Status | [`ErrorKind`] |
/// |---|---|
/// | 401, 403 | `AccessDenied` |
/// | 404 | `PathNotFound` |
/// | 409, 412 | `Conflict` |
/// | 413 | `TooLarge` |
/// | 429, 503 | `Throttled`, with `retry_after` |
/// | 507 | `QuotaExceeded` |
/// | other 5xx | `Unavailable` |
/// | anything else | `Other` |
///
/// Where a status means something else to a store, look at it first: 416, for instance, is usually
/// [`Error::invalid_offset`]. [`Response::error`](super::Response::error) calls this with what the answer says.
///
/// ```
/// use wharf_sdk::ErrorKind;
/// use wharf_sdk::http::status_error;
///
/// let error = status_error(403, None, "upload");
/// assert_eq!(error.kind(), ErrorKind::AccessDenied);
/// assert_eq!(error.to_string(), "upload: the server answered 403; check the credentials and what they permit");
/// ```
pub fn status_error(status: u16, retry_after: Option<Duration>, what: &str) -> Error {
    let (kind, advice) = match status {
        401 | 403 => (ErrorKind::AccessDenied, "; check the credentials and what they permit"),
        404 => (ErrorKind::PathNotFound, ""),
        409 | 412 => (ErrorKind::Conflict, ""),
        413 => (ErrorKind::TooLarge, ", too large"),
        429 | 503 => (ErrorKind::Throttled { retry_after }, ", too many requests"),
        507 => (ErrorKind::QuotaExceeded, ", no space left; free some, or raise the quota"),
        500..=599 => (ErrorKind::Unavailable, ""),
        _ => (ErrorKind::Other, ""),
    };
    Error::new(kind, format!("{what}: the server answered {status}{advice}"))
}

/// What people call it.
fn words(cause: &wasi::ErrorCode) -> String {
    use wasi::ErrorCode as Code;
    let words = match cause {
        Code::DnsTimeout => "the name server did not answer",
        Code::DnsError(_) | Code::DestinationNotFound => "the name is not known; check the host in the URL",
        Code::DestinationUnavailable => "it cannot be reached",
        Code::DestinationIpUnroutable => "there is no route to its address",
        Code::ConnectionRefused => "connection refused; check the port, and whether the server runs",
        Code::ConnectionTerminated => "the connection was lost",
        Code::ConnectionTimeout => "no connection in time",
        Code::ConnectionReadTimeout | Code::HttpResponseTimeout => "no answer in time",
        Code::ConnectionWriteTimeout => "the request was not taken in time",
        Code::ConnectionLimitReached => "too many connections are open",
        Code::TlsProtocolError => "TLS failed; check whether the port speaks TLS",
        Code::TlsCertificateError => "its certificate is not trusted",
        Code::HttpRequestLengthRequired => "the request's body needs a length",
        Code::HttpRequestBodySize(_) => "the request's body is not as long as its length says",
        Code::HttpRequestMethodInvalid => "the host does not send this method",
        Code::HttpRequestUriInvalid => "the host does not take this URL",
        Code::HttpRequestUriTooLong => "the URL is too long",
        Code::HttpResponseBodySize(_) => "the answer is not as long as its length says, or longer than the host takes",
        Code::HttpResponseIncomplete => "the answer was cut off",
        Code::HttpProtocolError => "the answer was cut off, or is not HTTP",
        Code::InternalError(Some(words)) => words,
        other => return format!("{other:?}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use wasi::ErrorCode as Code;

    use super::*;

    fn failed(is_change: bool, cause: Code) -> Error {
        Sent { place: "a.example:443".to_owned(), is_change }.failed(&cause)
    }

    #[test]
    fn a_request_that_the_host_denies_tells_which_grant_is_missing() {
        for cause in [Code::HttpRequestDenied, Code::DestinationIpProhibited] {
            let error = failed(false, cause);
            assert_eq!(error.kind(), ErrorKind::AccessDenied);
            assert!(error.message().contains("allow: { http: [\"a.example:443\"] }"), "{error}");
        }
    }

    #[test]
    fn without_a_connection_nothing_happened() {
        for cause in [Code::ConnectionRefused, Code::DnsTimeout, Code::ConnectionTimeout, Code::ConnectionLimitReached]
        {
            assert_eq!(failed(true, cause).kind(), ErrorKind::Unavailable);
        }
    }

    #[test]
    fn a_change_whose_answer_is_lost_may_have_happened() {
        let lost = [Code::ConnectionTerminated, Code::ConnectionReadTimeout, Code::HttpResponseIncomplete];
        for cause in lost.into_iter().chain([Code::HttpProtocolError, Code::InternalError(None)]) {
            assert_eq!(failed(true, cause).kind(), ErrorKind::OutcomeUnknown);
        }
    }

    #[test]
    fn a_read_whose_answer_is_lost_can_be_repeated() {
        for cause in [Code::ConnectionTerminated, Code::ConnectionReadTimeout, Code::HttpResponseIncomplete] {
            assert_eq!(failed(false, cause).kind(), ErrorKind::Unavailable);
        }
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_no_matter_of_repeating() {
        assert_eq!(failed(true, Code::TlsCertificateError).kind(), ErrorKind::AccessDenied);
    }

    #[test]
    fn a_failure_without_a_kind_of_its_own_says_what_it_was() {
        let error = failed(false, Code::LoopDetected);
        assert_eq!((error.kind(), error.message()), (ErrorKind::Other, "a.example:443: ErrorCode::LoopDetected"));
    }

    #[test]
    fn every_status_has_its_kind() {
        let kinds = [
            (302, ErrorKind::Other),
            (400, ErrorKind::Other),
            (401, ErrorKind::AccessDenied),
            (403, ErrorKind::AccessDenied),
            (404, ErrorKind::PathNotFound),
            (409, ErrorKind::Conflict),
            (412, ErrorKind::Conflict),
            (413, ErrorKind::TooLarge),
            (429, ErrorKind::Throttled { retry_after: None }),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Throttled { retry_after: None }),
            (507, ErrorKind::QuotaExceeded),
            (599, ErrorKind::Unavailable),
            (999, ErrorKind::Other),
        ];
        for (status, kind) in kinds {
            assert_eq!(status_error(status, None, "").kind(), kind, "{status}");
        }
    }

    #[test]
    fn a_wait_that_the_server_asks_for_is_passed_on() {
        let retry_after = Some(Duration::from_secs(7));
        assert_eq!(status_error(503, retry_after, "").kind(), ErrorKind::Throttled { retry_after });
    }

    #[test]
    fn a_change_that_a_gateway_lost_may_have_happened() {
        let sent = |is_change| Sent { place: String::new(), is_change };
        assert_eq!(sent(true).answered(504, None, "").kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(sent(false).answered(504, None, "").kind(), ErrorKind::Unavailable);
    }
}
