//! The section `auth:`: who is let in.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use wharf::base::nearest;

use super::document::Document;
use super::report::{MISSING, Report};

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

/// The schemes there are. `none` is our own: everybody is let in, and somebody said so.
const SCHEMES: [&str; 3] = ["htpasswd", "token", "none"];

impl Auth {
    /// Returns none if everybody is let in.
    pub(super) fn from_document(document: &Document, report: &mut Report) -> Option<Self> {
        let section = document.section("auth")?;
        let Some(section) = section.as_object() else {
            report.refuse(document, "auth", "is neither a map nor the name of a scheme");
            return None;
        };
        for scheme in section.keys().filter(|scheme| !SCHEMES.contains(&&***scheme)) {
            let known = "name `htpasswd`, `token` or `none`";
            let what = match (&**scheme, nearest(scheme, SCHEMES)) {
                ("silly", _) => format!("it lets in whoever sends any credentials; {known}"),
                (_, Some(near)) => format!("Wharf has no such scheme; did you mean `{near}`?"),
                (_, None) => format!("Wharf has no such scheme, and without it everybody would be let in; {known}"),
            };
            report.refuse(document, &format!("auth.{scheme}"), &what);
        }
        if section.len() > 1 {
            let names: Vec<_> = section.keys().map(String::as_str).collect();
            let what = format!("must provide exactly one type. Provided: [{}]; remove all but one", names.join(" "));
            report.refuse(document, "auth", &what);
        }
        if section.is_empty() {
            // Somebody began to restrict access: without a scheme, everybody would be let in.
            report.refuse(
                document,
                "auth",
                "names no scheme; name `htpasswd` or `token`, or `none` to let everybody in",
            );
        }
        let none = Value::Object(Map::new());
        let given = |scheme: &str| section.get(scheme).map(|given| if given.is_null() { &none } else { given });
        let htpasswd = given("htpasswd").and_then(|given| Htpasswd::new(document, given, report)).map(Auth::Htpasswd);
        let token = given("token").and_then(|given| Token::new(document, given, report)).map(Auth::Token);
        htpasswd.or(token)
    }
}

/// Refuses the keys that are needed and not there. A reading ends at the first.
fn require(document: &Document, section: &str, keys: &[&str], given: &Value, report: &mut Report) {
    for key in keys.iter().filter(|key| given.is_object() && given.get(**key).is_none()) {
        report.refuse(document, &format!("{section}.{key}"), MISSING);
    }
}

impl Htpasswd {
    fn new(document: &Document, given: &Value, report: &mut Report) -> Option<Self> {
        let htpasswd = document.parse_value("auth.htpasswd", given, report);
        require(document, "auth.htpasswd", &["realm", "path"], given, report);
        htpasswd
    }
}

impl Token {
    fn new(document: &Document, given: &Value, report: &mut Report) -> Option<Self> {
        let token: Option<Token> = document.parse_value("auth.token", given, report);
        require(document, "auth.token", &["realm", "service", "issuer"], given, report);
        let has = |key: &str| given.get(key).is_some();
        if given.is_object() && !has("rootcertbundle") && !has("jwks") {
            let what = "has neither `rootcertbundle` nor `jwks`: no token could be verified";
            report.refuse(document, "auth.token", what);
        }
        let algorithms = given.get("signingalgorithms").and_then(Value::as_array);
        let is_known = |name: &Value| name.as_str().is_some_and(|name| ALGORITHMS.contains(&name));
        if algorithms.is_some_and(|names| !names.iter().all(is_known)) {
            let what = format!("expected some of {}", ALGORITHMS.join(", "));
            report.refuse(document, "auth.token.signingalgorithms", &what);
        }
        token
    }
}
