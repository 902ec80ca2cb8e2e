//! As whom a driver works at its store.

use std::time::SystemTime;

use serde::Serialize;

/// As whom a driver works at its store, and how it came to be: what `wharf whoami` shows. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The name by which the store knows whom it takes us for: an ARN, an account's id. None where it does not say.
    pub principal: Option<String>,
    /// What is presented to the store, as far as it is no secret: the id of an access key, an account's name.
    pub credential: String,
    /// Where that comes from, in words.
    pub source: String,
    /// When it ends. It is renewed before. None for what does not end.
    pub expires: Option<SystemTime>,
}
