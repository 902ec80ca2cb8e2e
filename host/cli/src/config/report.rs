//! What is wrong with a configuration, and what of it does nothing: all of it, from one reading.

use std::fmt;
use std::path::PathBuf;

use super::document::Document;

/// Something for which nothing starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The whole key, such as `http.addr`; or the variable's name.
    pub(crate) key: String,
    /// The line of the file that it stands on; none if it is not in the file, or a variable replaced it.
    pub(crate) line: Option<usize>,
    /// The variables that had a part in it.
    pub(crate) variables: Vec<String>,
    /// What is wrong, and what to write instead. No value of the configuration.
    pub(crate) what: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "`{}`", self.key)?;
        if !self.variables.is_empty() {
            write!(f, " (set by {})", self.variables.join(", "))?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Something in the configuration that does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The whole key, such as `notifications.endpoints`; or the variable's name.
    pub(crate) key: String,
    /// That it is set, and what happens instead.
    pub(crate) sentence: String,
    /// Whether something is missing for it.
    pub(crate) weight: Weight,
}

/// How much it matters that a key does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// What it asks for comes without it, or is not needed.
    Needless,
    /// Somebody expects something that does not happen.
    Missing,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Notice {
    /// A key of which something is missing. The sentence goes on after "is set, and".
    pub(super) fn missing(key: &str, sentence: &str) -> Self {
        Notice { key: key.to_owned(), sentence: format!("`{key}` is set, and {sentence}"), weight: Weight::Missing }
    }
}

/// All that was found in one reading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Nothing starts for any of them.
    pub(crate) refusals: Vec<Refusal>,
    /// What does nothing.
    pub(crate) notices: Vec<Notice>,
}

/// What is said of a key that is needed and not there. It follows from what was said of the key before, if anything was.
pub(super) const MISSING: &str = "is missing";

impl Report {
    /// Refuses what stands at a key of a document.
    pub(super) fn refuse(&mut self, document: &Document, key: &str, what: &str) {
        let is_told = |other: &Refusal| other.key == key && (other.what == what || what == MISSING);
        if !self.refusals.iter().any(is_told) {
            self.refusals.push(document.refusal(key, what));
        }
    }

    /// Returns the error that says all that is refused; none if nothing is.
    pub(super) fn invalid(&self, file: Option<PathBuf>) -> Option<Invalid> {
        let mut refusals = self.refusals.clone();
        // In the order of the file, then what is not in it.
        refusals.sort_by_key(|refusal| refusal.line.unwrap_or(usize::MAX));
        (!refusals.is_empty()).then_some(Invalid { file, refusals })
    }
}

/// The error of a configuration for which nothing starts: all that is wrong with it, one to a line.
#[derive(Debug)]
pub(crate) struct Invalid {
    /// The file; none if there is none.
    pub(crate) file: Option<PathBuf>,
    /// At least one, in the order of the file.
    pub(crate) refusals: Vec<Refusal>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration ")?;
        if let Some(file) = &self.file {
            write!(f, "{} ", file.display())?;
        }
        f.write_str("is not valid:")?;
        match &self.refusals[..] {
            [refusal] => write!(f, " {refusal}"),
            refusals => refusals.iter().try_for_each(|refusal| write!(f, "\n  {refusal}")),
        }
    }
}

impl std::error::Error for Invalid {}
