//! The names of repositories and tags, by the grammar of the OCI distribution specification 1.1.

use std::fmt;
use std::str::FromStr;

use super::Digest;

/// The longest name of a repository, in bytes: what clients and Distribution take.
pub const MAX_NAME: usize = 255;

/// The longest tag, in bytes.
pub const MAX_TAG: usize = 128;

/// A repository's name: components of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`,
/// with `/` between them.
///
/// ```
/// use wharf::registry::RepositoryName;
///
/// for good in ["a", "library/debian", "a.b/c_d/e__f/g---h"] {
///     assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
/// }
/// for bad in ["", "A", "a/", "/a", "a//b", "a..b", "-a", "a___b", "a._b", "a/../b"] {
///     assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(String);

/// A name that breaks the grammar of repositories or tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(&'static str);

impl RepositoryName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidName;
    fn from_str(name: &str) -> Result<Self, InvalidName> {
        if name.len() > MAX_NAME {
            return Err(InvalidName("a repository's name has at most 255 characters"));
        }
        if !name.split('/').all(is_component) {
            return Err(InvalidName(
                "a repository's name has components of a-z and 0-9, joined by '.', '_', '__' or '-', with '/' between",
            ));
        }
        Ok(RepositoryName(name.to_owned()))
    }
}

/// Returns whether a text is `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let mut rest = text.as_bytes();
    loop {
        let word = rest.iter().take_while(|byte| is_alphanumeric(**byte)).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        let separator = match rest {
            [] => return true,
            [b'.', ..] => 1,
            [b'_', b'_', ..] => 2,
            [b'_', ..] => 1,
            _ => rest.iter().take_while(|byte| **byte == b'-').count(),
        };
        if separator == 0 {
            return false;
        }
        rest = &rest[separator..];
    }
}

/// A tag: a letter, digit or `_`, and then at most 127 letters, digits, `.`, `_` and `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Returns the tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a text is a tag.
    pub fn is_valid(text: &str) -> bool {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        text.len() <= MAX_TAG
            && text.bytes().next().is_some_and(is_word)
            && text.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
    }

    /// Returns the tag under which clients list the referrers of a manifest where a registry does not (specification,
    /// "Referrers Tag Schema").
    pub fn of_referrers(subject: &Digest) -> Tag {
        let hex = subject.hex();
        Tag(format!("{}-{}", subject.algorithm().name(), hex.get(..64).unwrap_or(hex)))
    }
}

impl FromStr for Tag {
    type Err = InvalidName;
    fn from_str(tag: &str) -> Result<Self, InvalidName> {
        if !Tag::is_valid(tag) {
            return Err(InvalidName(
                "a tag has at most 128 letters, digits, '.', '_' and '-', and does not begin with '.' or '-'",
            ));
        }
        Ok(Tag(tag.to_owned()))
    }
}

/// What names a manifest in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A tag, which may name another manifest later.
    Tag(Tag),
    /// The manifest's own digest.
    Digest(Digest),
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => f.write_str(tag.as_str()),
            Reference::Digest(digest) => f.write_str(digest.as_str()),
        }
    }
}
