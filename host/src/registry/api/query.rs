//! The parameters of a request.

use percent_encoding::percent_decode_str;

use crate::registry::error::{Code, Failure, Result};

/// The query of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn new(query: Option<&'a str>) -> Self {
        Query(query.unwrap_or(""))
    }

    /// Returns the first value of a parameter. Empty counts as not given.
    pub(super) fn get(&self, name: &str) -> Result<Option<String>> {
        Ok(self.all(name)?.into_iter().next())
    }

    /// Returns every value of a parameter.
    pub(super) fn all(&self, name: &str) -> Result<Vec<String>> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let values = pairs.filter(|(key, value)| *key == name && !value.is_empty());
        // '+' is itself, and no space: digests and media types hold it, and clients do not encode it.
        let decoded = values.map(|(_, value)| percent_decode_str(value).decode_utf8().map(Into::into));
        decoded.collect::<Result<_, _>>().map_err(|_| {
            Failure::new(Code::Unsupported, format_args!("the parameter {name} is not UTF-8"))
                .with_status(http::StatusCode::BAD_REQUEST)
        })
    }

    /// Returns `n`, how many entries a page is to have, at most `limit`.
    pub(super) fn page(&self, limit: usize) -> Result<usize> {
        let Some(text) = self.get("n")? else { return Ok(limit) };
        // A sign, or what is too large for any list.
        match text.parse::<u64>() {
            Ok(wanted) => Ok(usize::try_from(wanted).unwrap_or(limit).min(limit)),
            Err(_) => Err(Failure::new(Code::PaginationNumberInvalid, "n is no number of entries")),
        }
    }
}
