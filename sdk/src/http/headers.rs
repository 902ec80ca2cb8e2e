//! Names and values.

use crate::{Error, Result};

/// Headers in the order of the message. A name may occur more than once.
#[derive(Clone, Default)]
pub(super) struct Headers(pub(super) Vec<(String, Vec<u8>)>);

impl Headers {
    /// Adds one that a request may have.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<()> {
        // What RFC 9110 calls a token.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Error::other(format!("{name:?} cannot be the name of a header")));
        }
        if name.eq_ignore_ascii_case("content-length") {
            return Err(Error::other("the header content-length follows from the request's body; do not set it"));
        }
        // The value may be a secret.
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(Error::other(format!(
                "the value of the header {name} holds a line's end or a control character"
            )));
        }
        self.0.push((name.to_owned(), value.as_bytes().to_vec()));
        Ok(())
    }

    /// Returns the first value of a name, if it is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Returns the first value of a name, if it is a number without a sign.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let text = self.text(name)?.trim_ascii();
        if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;

    fn received(headers: &[(&str, &[u8])]) -> Headers {
        Headers(headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect())
    }

    #[test]
    fn a_header_is_found_in_any_case() {
        let mut headers = Headers::default();
        headers.add("X-Name", "value").unwrap();
        assert_eq!(headers.text("x-name"), Some("value"));
    }

    #[test]
    fn of_several_values_the_first_is_returned() {
        assert_eq!(received(&[("a", b"1"), ("A", b"2")]).text("a"), Some("1"));
    }

    #[test]
    fn a_name_that_is_no_token_is_refused() {
        for name in ["", "a b", "a:", "a\r\nb", "ä"] {
            assert!(Headers::default().add(name, "value").is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_value_that_would_end_the_line_is_refused_and_not_repeated() {
        for value in ["secret\r\nb: c", "secret\n", "secret\0"] {
            let error = Headers::default().add("a", value).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_length_of_the_body_is_not_the_authors_to_set() {
        assert!(Headers::default().add("Content-Length", "1").is_err());
    }

    #[test]
    fn a_received_value_that_is_no_text_is_none() {
        assert_eq!(received(&[("a", b"\xff")]).text("a"), None);
    }

    #[test]
    fn a_received_length_that_is_no_number_is_none() {
        for length in ["", "+1", "-1", "1, 1", "99999999999999999999999"] {
            assert_eq!(received(&[("content-length", length.as_bytes())]).number("content-length"), None, "{length:?}");
        }
        assert_eq!(received(&[("content-length", b"12")]).number("content-length"), Some(12));
    }
}
