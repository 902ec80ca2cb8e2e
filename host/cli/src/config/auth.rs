//! The section `auth:`: who is let in.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::Document;

/// How clients prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// With a name and password.
    Htpasswd(Htpasswd),
    /// With a token that somebody else gave them.
    Token(Token),
}

/// Names and passwords from a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Htpasswd {
    /// What the client is told that it is asked for.
    pub(crate) realm: String,
    /// The file, of lines `NAME:BCRYPT`.
    pub(crate) path: PathBuf,
}

/// Tokens of an authorization service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Token {
    /// The address at which the client gets one.
    pub(crate) realm: String,
    /// What the registry is called there: the tokens' audience.
    pub(crate) service: String,
    /// Who must have made the tokens.
    pub(crate) issuer: String,
    /// A file of PEM certificates, that tokens may be signed with.
    pub(crate) rootcertbundle: Option<PathBuf>,
    /// A file of keys, as a JSON Web Key Set.
    pub(crate) jwks: Option<PathBuf>,
    /// Whether the realm has the host by which the client knows the registry.
    #[serde(default)]
    pub(crate) autoredirect: bool,
    /// The realm's path then.
    #[serde(default = "autoredirectpath")]
    pub(crate) autoredirectpath: String,
    /// The algorithms of signatures, by their names in [`ALGORITHMS`]; empty for all.
    #[serde(default)]
    pub(crate) signingalgorithms: Vec<String>,
}

/// What Distribution takes for `signingalgorithms`.
pub(crate) const ALGORITHMS: [&str; 13] = [
    "EdDSA", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
];

fn autoredirectpath() -> String {
    "/auth/token".to_owned()
}

impl Auth {
    /// Returns none if everybody is let in.
    pub(super) fn from_document(document: &Document) -> Result<Option<Self>> {
        let Some(section) = document.section("auth") else { return Ok(None) };
        let Some(section) = section.as_object() else {
            return Err(document.fault("auth", "is neither a map nor the name of a scheme"));
        };
        let mut schemes = section.iter();
        let Some((scheme, parameters)) = schemes.next() else { return Ok(None) };
        if schemes.next().is_some() {
            let names: Vec<_> = section.keys().map(String::as_str).collect();
            bail!("`auth`: must provide exactly one type. Provided: [{}]; remove all but one", names.join(" "));
        }
        let parameters = if parameters.is_null() { &json!({}) } else { parameters };
        match &**scheme {
            "none" => Ok(None),
            "htpasswd" => Ok(Some(Auth::Htpasswd(document.parse_value("auth.htpasswd", parameters)?))),
            "token" => Token::new(document, parameters).map(|token| Some(Auth::Token(token))),
            "silly" => Err(document.fault("auth.silly", "it lets in whoever sends any credentials; name `htpasswd`, `token` or `none`")),
            other => Err(document.fault(
                &format!("auth.{other}"),
                "Wharf has no such scheme, and without it everybody would be let in; name `htpasswd`, `token` or `none`",
            )),
        }
    }
}

impl Token {
    fn new(document: &Document, parameters: &Value) -> Result<Self> {
        let token: Token = document.parse_value("auth.token", parameters)?;
        if token.rootcertbundle.is_none() && token.jwks.is_none() {
            return Err(
                document.fault("auth.token", "has neither `rootcertbundle` nor `jwks`: no token could be verified")
            );
        }
        if !token.signingalgorithms.iter().all(|algorithm| ALGORITHMS.contains(&&**algorithm)) {
            let what = format!("expected some of {}", ALGORITHMS.join(", "));
            return Err(document.fault("auth.token.signingalgorithms", &what));
        }
        Ok(token)
    }
}
