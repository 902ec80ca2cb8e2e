//! The algorithms of signatures, by their names in RFC 7518 and RFC 8037.

use std::fmt;

/// An algorithm of signatures that can be verified here.
///
/// Those with a shared secret (`HS256` and its like) are not among them, whatever the settings say: whoever could verify
/// such a token could make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 9] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];

    /// Those that Distribution has and that are not verified here: with a shared secret, and on a curve that ring lacks.
    const UNVERIFIABLE: [&str; 4] = ["HS256", "HS384", "HS512", "ES512"];

    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    /// Returns the algorithm of a name, in the case that RFC 7518 writes it in. `none` is no algorithm.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Reads the setting `signingalgorithms`; an empty one allows all.
    pub(super) fn allowed(names: &[String]) -> Result<Vec<Self>, String> {
        if names.is_empty() {
            return Ok(Algorithm::ALL.to_vec());
        }
        let mut allowed = Vec::new();
        for name in names {
            match Algorithm::by_name(name) {
                Some(algorithm) => allowed.push(algorithm),
                // Distribution's documentation lists them among the defaults, so they are in files that were copied.
                None if Algorithm::UNVERIFIABLE.contains(&name.as_str()) => {
                    tracing::warn!(
                        algorithm = name,
                        "tokens signed by this algorithm of `signingalgorithms` are refused"
                    );
                }
                None => return Err(format!("`signingalgorithms` has {name:?}, which is none; use {}", known())),
            }
        }
        if allowed.is_empty() {
            return Err(format!("`signingalgorithms` has none that can be verified here; use {}", known()));
        }
        Ok(allowed)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn known() -> String {
    Algorithm::ALL.map(Algorithm::name).join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn allowed(names: &[&str]) -> Result<Vec<Algorithm>, String> {
        Algorithm::allowed(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn all_are_allowed_unless_some_are_named() {
        assert_eq!(allowed(&[]).unwrap(), Algorithm::ALL);
        assert_eq!(allowed(&["ES256", "RS256"]).unwrap(), [Algorithm::Es256, Algorithm::Rs256]);
    }

    #[test]
    fn a_list_of_distributions_holds_but_none_that_cannot_be_verified() {
        assert_eq!(allowed(&["HS256", "ES512", "PS384"]).unwrap(), [Algorithm::Ps384]);
        assert!(allowed(&["HS256", "ES512"]).is_err());
    }

    #[test]
    fn an_unknown_algorithm_is_refused_by_name() {
        for name in ["none", "None", "rs256", "RS1", ""] {
            let error = allowed(&["RS256", name]).unwrap_err();
            assert!(error.contains(&format!("{name:?}")) && error.contains("EdDSA"), "{error}");
        }
    }
}
