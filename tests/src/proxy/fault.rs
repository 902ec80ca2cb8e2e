//! The classes of faults.

use std::fmt;
use std::time::Duration;

/// A class of faults.
///
/// Where it says "before", the server never hears of the request; where it says "after", the server has done what was
/// asked, and the client cannot know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The request waits before it is forwarded.
    Delay,
    /// The connection is reset before anything is forwarded.
    ResetBefore,
    /// The request is forwarded, the answer read and dropped, and the connection reset.
    ResetAfter,
    /// The connection is closed in the middle of the answer's body. Only of an answer that has a body.
    Cut,
    /// 500 `InternalError` before anything is forwarded.
    ErrorBefore,
    /// The request is forwarded, and 500 `InternalError` takes the place of the answer.
    ErrorAfter,
    /// 503 `SlowDown` with `Retry-After: 1`, before anything is forwarded.
    SlowDown,
    /// 503 `ServiceUnavailable` without a `Retry-After`, before anything is forwarded.
    Unavailable,
    /// 429 `TooManyRequests`, before anything is forwarded.
    TooManyRequests,
    /// The request is forwarded, and once the server has answered it is forwarded again; the client gets the first
    /// answer after the second was given. Only of a request whose body is not longer than 1 MiB.
    Twice,
    /// The beginning of the answer's body comes in five pieces with pauses between them. Only of an answer that has a
    /// body.
    Trickle,
}

impl Fault {
    /// Every class.
    pub const ALL: [Fault; 11] = [
        Fault::Delay,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Cut,
        Fault::ErrorBefore,
        Fault::ErrorAfter,
        Fault::SlowDown,
        Fault::Unavailable,
        Fault::TooManyRequests,
        Fault::Twice,
        Fault::Trickle,
    ];

    /// Returns the class's name, such as `reset-before`.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Delay => "delay",
            Fault::ResetBefore => "reset-before",
            Fault::ResetAfter => "reset-after",
            Fault::Cut => "cut",
            Fault::ErrorBefore => "error-before",
            Fault::ErrorAfter => "error-after",
            Fault::SlowDown => "slow-down",
            Fault::Unavailable => "unavailable",
            Fault::TooManyRequests => "too-many-requests",
            Fault::Twice => "twice",
            Fault::Trickle => "trickle",
        }
    }

    /// Whether it takes place in the body of an answer.
    pub(super) fn needs_answer_body(self) -> bool {
        matches!(self, Fault::Cut | Fault::Trickle)
    }

    /// The answer of the proxy's own that the client gets.
    pub(super) fn answer(self) -> Option<Answer> {
        let internal = "We encountered an internal error. Please try again.";
        let (status, reason, code, message) = match self {
            Fault::ErrorBefore | Fault::ErrorAfter => (500, "Internal Server Error", "InternalError", internal),
            Fault::SlowDown => (503, "Slow Down", "SlowDown", "Please reduce your request rate."),
            Fault::Unavailable => (503, "Service Unavailable", "ServiceUnavailable", "Please try again."),
            Fault::TooManyRequests => (429, "Too Many Requests", "TooManyRequests", "Please reduce your request rate."),
            Fault::Delay | Fault::ResetBefore | Fault::ResetAfter | Fault::Cut | Fault::Twice | Fault::Trickle => {
                return None;
            }
        };
        let retry_after = self == Fault::SlowDown;
        Some(Answer { status, reason, code, message, retry_after })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An answer of the proxy's own, in the words of S3.
pub(super) struct Answer {
    pub(super) status: u16,
    reason: &'static str,
    code: &'static str,
    message: &'static str,
    retry_after: bool,
}

impl Answer {
    /// Returns the answer's bytes and how many of them are its body.
    pub(super) fn bytes(&self, number: u64, is_head: bool, close: bool) -> (Vec<u8>, usize) {
        let Answer { status, reason, code, message, retry_after } = self;
        let id = format!("tx{number:021}-proxy");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message>\
             <RequestId>{id}</RequestId><HostId>proxy</HostId></Error>"
        );
        let retry_after = if *retry_after { "Retry-After: 1\r\n" } else { "" };
        let close = if close { "Connection: close\r\n" } else { "" };
        let length = body.len();
        let mut answer = format!(
            "HTTP/1.1 {status} {reason}\r\nx-amz-request-id: {id}\r\nContent-Type: application/xml\r\n\
             Content-Length: {length}\r\n{retry_after}{close}\r\n"
        );
        if is_head {
            return (answer.into_bytes(), 0);
        }
        answer.push_str(&body);
        (answer.into_bytes(), length)
    }
}

/// Which requests to break, and how.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The share of requests that is struck, from 0 to 1.
    pub rate: f64,
    /// The same seed strikes the same requests, if they come in the same order.
    pub seed: u64,
    /// The classes to strike with. They take turns, in an order that the seed decides, for each operation by itself (a
    /// method with its query's names), so that every operation meets every class.
    pub classes: Vec<Fault>,
    /// How long [`Fault::Delay`] waits: 200 ms.
    pub delay: Duration,
}

impl Faults {
    /// Returns faults of every class.
    pub fn new(rate: f64, seed: u64) -> Self {
        Faults { rate, seed, classes: Fault::ALL.to_vec(), delay: Duration::from_millis(200) }
    }

    /// Returns the same with these classes alone.
    pub fn only(self, classes: &[Fault]) -> Self {
        Faults { classes: classes.to_vec(), ..self }
    }
}
