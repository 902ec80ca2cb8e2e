//! The path grammar, which only this file knows.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind};

/// An absolute path in a storage driver.
///
/// # Invariants
///
/// - It matches `^(/[A-Za-z0-9._-]+)+$`, or is [the root](StoragePath::root), `/`.
/// - No component is `.` or `..`. Distribution's expression lets both through, and its filesystem driver then joins
///   them, so that `..` climbs out of the root; here they cannot be written down.
///
/// The root is valid for `stat`, `list` and `walk` only; `base` refuses it for the other operations.
///
/// # Example
///
/// ```
/// use wharf::contract::StoragePath;
///
/// for good in ["/", "/a", "/a/b-c/D.9_", "/..."] {
///     assert!(StoragePath::parse(good).is_ok(), "{good}");
/// }
/// for bad in ["", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/a b", "/ä", "/a\0"] {
///     assert!(StoragePath::parse(bad).is_err(), "{bad}");
/// }
/// let path = StoragePath::parse("/a/b")?;
/// assert_eq!(path.file_name(), Some("b"));
/// assert_eq!(path.parent().unwrap().as_str(), "/a");
/// assert_eq!(path.join("c")?.as_str(), "/a/b/c");
/// # Ok::<(), wharf::contract::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoragePath(String);

impl StoragePath {
    /// Returns the root, `/`.
    pub fn root() -> Self {
        StoragePath("/".to_owned())
    }

    /// Checks a path against the grammar.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPath`], with the reason, if it does not follow the grammar.
    pub fn parse(path: impl Into<String>) -> Result<Self, Error> {
        let path = path.into();
        match fault(&path) {
            None => Ok(StoragePath(path)),
            Some(fault) => Err(Error::new(ErrorKind::InvalidPath, fault).with_path_text(path)),
        }
    }

    /// Returns the path below this one that `relative` names, which may have several components.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPath`] if the result does not follow the grammar.
    pub fn join(&self, relative: &str) -> Result<Self, Error> {
        Self::parse(format!("{}{relative}", self.as_prefix()))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// Returns the last component; none for the root.
    pub fn file_name(&self) -> Option<&str> {
        self.0.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// Returns the directory that holds this path; none for the root.
    pub fn parent(&self) -> Option<StoragePath> {
        match self.0.rfind('/') {
            _ if self.is_root() => None,
            Some(0) | None => Some(Self::root()),
            Some(slash) => Some(StoragePath(self.0[..slash].to_owned())),
        }
    }

    /// Returns the components from the root down; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// Returns the path without its leading slash: what a driver with a root of its own appends to that root. Empty
    /// for the root.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// Returns the text with which every path below this one begins: the path and a slash.
    pub fn as_prefix(&self) -> String {
        if self.is_root() { "/".to_owned() } else { format!("{}/", self.0) }
    }

    /// Returns whether `other` lies below this path, at any depth. No path lies below itself.
    pub fn contains(&self, other: &StoragePath) -> bool {
        !other.is_root()
            && (self.is_root() || other.0.strip_prefix(self.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Returns whether `name` can be one component of a path. Listings leave out names that cannot.
    pub fn is_component(name: &str) -> bool {
        !name.is_empty() && name != "." && name != ".." && name.bytes().all(is_component_byte)
    }
}

fn is_component_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Says what is wrong with a path, for the person who wrote it.
fn fault(path: &str) -> Option<&'static str> {
    if path == "/" {
        return None;
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Some("a path begins with '/'");
    };
    for component in rest.split('/') {
        match component {
            "" => return Some("a path has no empty component and does not end in '/'"),
            "." | ".." => return Some("a path has no component '.' or '..'"),
            _ if !component.bytes().all(is_component_byte) => {
                return Some("a path's components hold letters, digits, '.', '_' and '-' only");
            }
            _ => {}
        }
    }
    None
}

impl fmt::Display for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for StoragePath {
    type Err = Error;
    fn from_str(path: &str) -> Result<Self, Error> {
        Self::parse(path)
    }
}

impl TryFrom<String> for StoragePath {
    type Error = Error;
    fn try_from(path: String) -> Result<Self, Error> {
        Self::parse(path)
    }
}

impl From<StoragePath> for String {
    fn from(path: StoragePath) -> String {
        path.0
    }
}

impl AsRef<str> for StoragePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StoragePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Distribution's suite takes for invalid, and what its expression wrongly lets through.
    #[test]
    fn what_is_outside_the_grammar_cannot_be_written_down() {
        let distribution = ["", "abc", "123.abc", "//bcd", "/abc_123/"];
        let climbing = ["/.", "/..", "/a/../b", "/./a", "/a/.."];
        let others = ["/a b", "/a\\b", "/a\n", "/a%2e", "/\u{e4}", "/a:b", "/a//b", "/*", "/~", "/a\0"];
        for text in distribution.into_iter().chain(climbing).chain(others) {
            let error = StoragePath::parse(text).expect_err(text);
            // As it may be shown.
            let shown = super::super::printable(text);
            assert_eq!((error.kind(), error.path()), (&ErrorKind::InvalidPath, Some(&*shown)));
        }
    }
}
