//! What goes wrong, and where.

use std::time::Duration;

use serde::Deserialize;
use wharf_sdk::{Error, ErrorKind, Result, clock};

/// The driver's parameters. Without any it behaves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Which operation misbehaves.
    operation: Option<Operation>,
    /// How it misbehaves.
    fault: Option<Fault>,
    /// Only at this path, and for `move` at this source. Default: at every path.
    path: Option<String>,
    /// For `reader` and `write`: not at once, but after so many bytes of the stream.
    after_bytes: Option<u64>,
    /// How long `wait` takes, in milliseconds. Default 10.
    wait_ms: Option<u64>,
    /// What kind of error `fail` returns. Default `unavailable`.
    kind: Option<Kind>,
}

/// The operations of a driver and of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Open,
    GetContent,
    PutContent,
    Reader,
    Writer,
    Write,
    Close,
    Commit,
    Cancel,
    Stat,
    List,
    Walk,
    Move,
    Delete,
    DeleteFiles,
    RedirectUrl,
    Uploads,
}

/// The ways to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Traps.
    Trap,
    /// Calls itself until the stack is used up, which nobody prints a word of.
    Recurse,
    /// Waits, and goes on as if nothing was.
    Wait,
    /// Never answers, and burns nothing.
    Never,
    /// Never answers, and burns a processor.
    Spin,
    /// Takes memory until there is none.
    Allocate,
    /// Writes to the log without end.
    Flood,
    /// Returns an error; in a stream, ends it with one.
    Fail,
    /// `reader`, `list`, `walk`: ends the stream early, as if it was complete.
    EndEarly,
    /// `reader`, `list`, `walk`: never ends the stream.
    Endless,
    /// `reader`, `stat`: tells one byte more than there is.
    WrongSize,
    /// `reader`, `stat`, `list`, `walk`: tells a path that nobody asked for.
    WrongPath,
    /// `list`, `walk`: tells what is no path at all.
    NotAPath,
    /// `list`, `walk`: tells the entries backwards.
    OutOfOrder,
    /// `list`, `walk`: tells every entry twice.
    Duplicates,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    PathNotFound,
    InvalidPath,
    InvalidOffset,
    Unsupported,
    InvalidParameters,
    AccessDenied,
    QuotaExceeded,
    TooLarge,
    Conflict,
    Throttled,
    Unavailable,
    OutcomeUnknown,
    Corrupt,
    Other,
}

/// Calls itself until the stack is used up.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the fault")]
fn recurse(depth: u64) -> u64 {
    // What is done after the call keeps it from becoming a loop.
    recurse(std::hint::black_box(depth + 1)) + std::hint::black_box(1)
}

impl Parameters {
    /// Returns the fault of an operation at a path, if it has one.
    pub(crate) fn fault(&self, operation: Operation, path: &str) -> Option<Fault> {
        let here = self.operation == Some(operation) && self.path.as_deref().is_none_or(|only| only == path);
        self.fault.filter(|_| here)
    }

    /// Returns after how many bytes of a stream the fault comes; none: at once.
    pub(crate) fn after_bytes(&self) -> Option<u64> {
        self.after_bytes
    }

    /// Misbehaves at the beginning of an operation, if it is this one's turn, and the fault is none of a stream's.
    pub(crate) async fn strike(&self, operation: Operation, path: &str) -> Result<()> {
        let streams = matches!(operation, Operation::Reader | Operation::Write);
        match self.fault(operation, path) {
            Some(fault) if !streams || self.after_bytes.is_none() => self.commit(fault).await,
            _ => Ok(()),
        }
    }

    /// Misbehaves.
    pub(crate) async fn commit(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Trap => panic!("the fault that the parameters asked for"),
            Fault::Recurse => {
                recurse(0);
            }
            Fault::Wait => clock::sleep(Duration::from_millis(self.wait_ms.unwrap_or(10))).await,
            Fault::Never => std::future::pending().await,
            Fault::Spin => loop {
                std::hint::spin_loop();
            },
            Fault::Allocate => {
                let mut hoard = Vec::new();
                loop {
                    // Ones, since memory that is never written may never be there.
                    hoard.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            Fault::Flood => loop {
                eprintln!("{}", "the same line again, ".repeat(50));
            },
            Fault::Fail => return Err(self.error()),
            Fault::EndEarly
            | Fault::Endless
            | Fault::WrongSize
            | Fault::WrongPath
            | Fault::NotAPath
            | Fault::OutOfOrder
            | Fault::Duplicates => {}
        }
        Ok(())
    }

    fn error(&self) -> Error {
        let kind = match self.kind.unwrap_or(Kind::Unavailable) {
            Kind::PathNotFound => ErrorKind::PathNotFound,
            Kind::InvalidPath => ErrorKind::InvalidPath,
            Kind::InvalidOffset => ErrorKind::InvalidOffset,
            Kind::Unsupported => ErrorKind::Unsupported,
            Kind::InvalidParameters => ErrorKind::InvalidParameters,
            Kind::AccessDenied => ErrorKind::AccessDenied,
            Kind::QuotaExceeded => ErrorKind::QuotaExceeded,
            Kind::TooLarge => ErrorKind::TooLarge,
            Kind::Conflict => ErrorKind::Conflict,
            Kind::Throttled => ErrorKind::Throttled { retry_after: Some(Duration::from_millis(10)) },
            Kind::Unavailable => ErrorKind::Unavailable,
            Kind::OutcomeUnknown => ErrorKind::OutcomeUnknown,
            Kind::Corrupt => ErrorKind::Corrupt,
            Kind::Other => ErrorKind::Other,
        };
        Error::new(kind, "the error that the parameters asked for")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(operation: Operation, path: Option<&str>) -> Parameters {
        Parameters {
            operation: Some(operation),
            fault: Some(Fault::Trap),
            path: path.map(str::to_owned),
            ..Parameters::default()
        }
    }

    #[test]
    fn without_parameters_nothing_goes_wrong() {
        assert_eq!(Parameters::default().fault(Operation::Stat, "/a"), None);
    }

    #[test]
    fn a_fault_strikes_only_its_operation_and_only_at_its_path() {
        let everywhere = parameters(Operation::Stat, None);
        assert_eq!(everywhere.fault(Operation::Stat, "/a"), Some(Fault::Trap));
        assert_eq!(everywhere.fault(Operation::List, "/a"), None);
        let at_one = parameters(Operation::Stat, Some("/a"));
        assert_eq!(at_one.fault(Operation::Stat, "/a"), Some(Fault::Trap));
        assert_eq!(at_one.fault(Operation::Stat, "/b"), None);
    }
}
