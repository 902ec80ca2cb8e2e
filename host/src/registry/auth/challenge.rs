//! The header `WWW-Authenticate`.

use std::fmt::Write;

use http::HeaderValue;

/// Writes a challenge: a scheme and its parameters, each as a quoted string, as RFC 9110 has them in section 11.6.1.
///
/// Control characters, which no header may hold, are left out.
pub(super) fn challenge(scheme: &'static str, parameters: &[(&str, &str)]) -> HeaderValue {
    let mut text = scheme.to_owned();
    for (number, (name, value)) in parameters.iter().enumerate() {
        // No space after the comma: Distribution has none, and some clients split by hand.
        text.push(if number == 0 { ' ' } else { ',' });
        // Writing to a String does not fail.
        let _ = write!(text, "{name}=\"");
        for character in value.chars().filter(|character| !character.is_ascii_control()) {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
    }
    // Cannot fail without control characters; and if it did, the scheme alone is a challenge too.
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(scheme))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_quote_or_a_line_end_in_a_parameter_cannot_end_it() {
        let challenge = challenge("Basic", &[("realm", "a \"b\" \\ \r\nX-Evil: 1"), ("charset", "é")]);
        assert_eq!(challenge.as_bytes(), "Basic realm=\"a \\\"b\\\" \\\\ X-Evil: 1\",charset=\"é\"".as_bytes());
    }
}
