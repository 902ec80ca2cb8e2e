//! What stands in the log: one line for each change, and behind that of a put the file's bytes.
//!
//! ```text
//! put 5 1764323534 0 /a/file
//! hello
//! move /a/file /b
//! delete /b
//! ```

use wharf_sdk::Timestamp;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A file of so many bytes, which follow with a line feed behind them.
    Put { path: String, size: u64, modified: Timestamp },
    /// A file has another path.
    Move { from: String, to: String },
    /// What was at a path and below it is gone.
    Delete { path: String },
    /// The file at a path is gone.
    Remove { path: String },
}

impl Record {
    /// Returns how many bytes follow the line, the line feed behind them included.
    pub(crate) fn follow(&self) -> u64 {
        match self {
            Record::Put { size, .. } => size + 1,
            _ => 0,
        }
    }

    /// Returns the line, with its line feed. Paths hold neither that nor spaces.
    pub(crate) fn line(&self) -> String {
        match self {
            Record::Put { path, size, modified: Timestamp { seconds, nanoseconds } } => {
                format!("put {size} {seconds} {nanoseconds} {path}\n")
            }
            Record::Move { from, to } => format!("move {from} {to}\n"),
            Record::Delete { path } => format!("delete {path}\n"),
            Record::Remove { path } => format!("remove {path}\n"),
        }
    }

    /// Reads a line, without its line feed; none if it is no record.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let words: Vec<&str> = str::from_utf8(line).ok()?.split(' ').collect();
        let path = |text: &str| text.starts_with('/').then(|| text.to_owned());
        Some(match &words[..] {
            ["put", size, seconds, nanoseconds, name] => Record::Put {
                path: path(name)?,
                size: size.parse().ok().filter(|size| *size < u64::MAX)?,
                modified: Timestamp { seconds: seconds.parse().ok()?, nanoseconds: nanoseconds.parse().ok()? },
            },
            ["move", from, to] => Record::Move { from: path(from)?, to: path(to)? },
            ["delete", name] => Record::Delete { path: path(name)? },
            ["remove", name] => Record::Remove { path: path(name)? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_what_it_was_written_from() {
        let modified = Timestamp { seconds: -3, nanoseconds: 999_999_999 };
        let path = || "/a/b-c_d.e".to_owned();
        for record in [
            Record::Put { path: path(), size: 0, modified },
            Record::Move { from: path(), to: "/x".to_owned() },
            Record::Delete { path: path() },
            Record::Remove { path: path() },
        ] {
            let line = record.line();
            assert_eq!(Record::parse(line.trim_end().as_bytes()), Some(record), "{line}");
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        for line in [
            "",
            "put",
            "put 5 0 0",
            "put x 0 0 /a",
            "put 18446744073709551615 0 0 /a",
            "move /a",
            "delete a",
            "no /a",
            "\u{ff}",
        ] {
            assert_eq!(Record::parse(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(Record::parse(b"delete /\xff"), None);
    }
}
