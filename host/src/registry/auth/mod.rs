//! Who may do what: the interface to access controllers, and those that Distribution has.
//!
//! - [`Htpasswd`]: users and their passwords from a file, as `auth: htpasswd`.
//! - [`TokenAuth`]: tokens that a token server signs, as `auth: token`.
//!
//! Distribution's `auth: silly`, which believes whatever it is told, is left out.
//!
//! A controller is asked before anything else is done for a request, and sees what the request needs, not what is stored.
//! Anything else that lets people in, such as another service, is one of its own:
//!
//! # Example: everybody may pull, one robot may do the rest
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use http::HeaderValue;
//! use wharf::drivers::inmemory::InMemory;
//! use wharf::registry::Registry;
//! use wharf::registry::auth::{AccessController, AccessRequest, Action, Denied, User};
//!
//! #[derive(Debug)]
//! struct PublicMirror;
//!
//! #[async_trait]
//! impl AccessController for PublicMirror {
//!     async fn authorize(&self, request: AccessRequest<'_>) -> Result<Option<User>, Denied> {
//!         // `/v2/` needs nothing, and is how a client finds out whether to ask for a password.
//!         if request.needed.iter().all(|access| access.action == Action::Pull) {
//!             return Ok(None);
//!         }
//!         match request.authorization {
//!             Some(header) if header == "Basic cm9ib3Q6c2VjcmV0" => Ok(Some(User { name: "robot".to_owned() })),
//!             _ => Err(Denied::Unauthenticated {
//!                 challenge: HeaderValue::from_static("Basic realm=\"mirror\""),
//!                 message: "only the robot may push".to_owned(),
//!             }),
//!         }
//!     }
//! }
//!
//! let registry = Registry::builder(Arc::new(InMemory::new())).access(Arc::new(PublicMirror)).build();
//! ```

mod challenge;
mod error;
mod htpasswd;
mod token;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;

pub use error::OpenError;
pub use htpasswd::Htpasswd;
pub use token::{TokenAuth, TokenSettings};

/// What a request wants to do with a resource, as token servers and Distribution name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Delete.
    Delete,
    /// Everything: asked for the catalog.
    All,
}

impl Action {
    /// Returns the action's name in scopes and tokens.
    pub fn name(self) -> &'static str {
        match self {
            Action::Pull => "pull",
            Action::Push => "push",
            Action::Delete => "delete",
            Action::All => "*",
        }
    }
}

/// One thing that a request needs: an action on a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// `repository` or `registry`.
    pub kind: &'static str,
    /// The repository's name; `catalog` of the registry.
    pub name: String,
    /// What is to be done with it.
    pub action: Action,
}

impl Access {
    /// An action on a repository.
    pub fn repository(name: impl Into<String>, action: Action) -> Self {
        Access { kind: "repository", name: name.into(), action }
    }

    /// Listing every repository.
    pub fn catalog() -> Self {
        Access { kind: "registry", name: "catalog".to_owned(), action: Action::All }
    }
}

/// A request, as far as an access controller needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// The header `Authorization`. Its value is marked as sensitive and does not print.
    pub authorization: Option<&'a HeaderValue>,
    /// The host that the request is for, a name or an address with or without a port: from the target, or the header `Host`.
    pub host: Option<&'a str>,
    /// The client's address, if the server knows it.
    pub client: Option<IpAddr>,
    /// Everything that the request needs. Empty for `/v2/`, which asks only who the client is.
    pub needed: &'a [Access],
}

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, for the access log.
    pub name: String,
}

/// Why a request was not let in.
#[derive(Clone, Debug)]
pub enum Denied {
    /// The client can try again with (other) credentials: 401.
    Unauthenticated {
        /// The header `WWW-Authenticate`.
        challenge: HeaderValue,
        /// Why, for people. No secret.
        message: String,
    },
    /// The client is who it says, and may not do all that the request needs; others may, or it itself once it has asked for
    /// more: 401. Of a blob that is to be mounted from another repository, what is needed there is let off.
    Insufficient {
        /// The header `WWW-Authenticate`.
        challenge: HeaderValue,
        /// Why, for people. No secret.
        message: String,
    },
    /// Credentials would not help: 403. Of a blob that is to be mounted, as above.
    Forbidden {
        /// Why, for people.
        message: String,
    },
    /// The client asks for more at a time than one may: 429.
    TooManyRequests {
        /// Why, for people.
        message: String,
        /// When to come again; at least a second.
        retry_after: Duration,
    },
    /// It could not be found out: 503, to come again in 5 s.
    Unavailable {
        /// Why, for people.
        message: String,
    },
}

/// Decides who may do what.
///
/// # Cancel safety
///
/// The future may be dropped at any time: the client went away.
#[async_trait]
pub trait AccessController: Send + Sync + fmt::Debug {
    /// Lets a request in, or says why not. `None`: let in, and nobody knows as whom.
    async fn authorize(&self, request: AccessRequest<'_>) -> Result<Option<User>, Denied>;
}
