//! The scheme `Basic` of RFC 7617.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The longest header that is read, in bytes: more is no user and password.
const MAX_HEADER: usize = 8 * 1024;

/// A user, and what he says is his password. Does not print.
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Credentials {
    /// Reads a header `Authorization`. `None` if it is another scheme's, or malformed.
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        if header.len() > MAX_HEADER {
            return None;
        }
        let (scheme, encoded) = header.split_at_checked("Basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let mut user = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let colon = user.iter().position(|byte| *byte == b':')?;
        let password = user.split_off(colon + 1);
        user.truncate(colon);
        Some(Credentials { user, password })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_colons_and_a_scheme_be_in_any_case() {
        for scheme in ["Basic", "basic", "BASIC"] {
            let header = format!("{scheme} {}", STANDARD.encode("alice:a:b:"));
            let credentials = Credentials::read(header.as_bytes()).unwrap();
            assert_eq!((credentials.user.as_slice(), credentials.password.as_slice()), (&b"alice"[..], &b"a:b:"[..]));
        }
    }

    #[test]
    fn what_is_no_user_and_password_is_none() {
        let long = format!("Basic {}", STANDARD.encode(format!("alice:{}", "x".repeat(MAX_HEADER))));
        for header in ["", "Basic", "Basic ", "Basic !", "Bearer YTpi", "BasicYTpi", "Basic YQ==", "Basic YTpi=", &long]
        {
            assert!(Credentials::read(header.as_bytes()).is_none(), "{header}");
        }
    }
}
