//! Which resource a path names.

use http::Method;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::registry::auth::{Access, Action};
use crate::registry::error::{Code, Failure, Result};
use crate::registry::{Digest, Reference, RepositoryName};

/// A resource of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(RepositoryName, Reference),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(RepositoryName, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(RepositoryName, Uuid),
    /// `/v2/NAME/tags/list`
    Tags(RepositoryName),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(RepositoryName, Digest),
}

impl Route {
    /// Reads the path of a request. None: nothing of the API is there.
    pub(super) fn parse(path: &str) -> Result<Option<Self>> {
        let Some(rest) = path.strip_prefix("/v2") else { return Ok(None) };
        let rest = match rest.strip_prefix('/') {
            None if rest.is_empty() => return Ok(Some(Route::Base)),
            None => return Ok(None),
            Some(rest) => rest,
        };
        // Names have no character that is encoded, so that decoding never makes a separator of what was none: the parts
        // are cut first.
        let mut parts: Vec<&str> = rest.split('/').collect();
        // Distribution sends clients on to the address without the slash at the end; here it is as good as that.
        if let [.., last, ""] = parts[..]
            && !last.is_empty()
        {
            parts.pop();
        }
        let named = |parts: &[&str]| -> Result<RepositoryName> { Ok(decode(&parts.join("/"))?.parse()?) };
        Ok(Some(match &parts[..] {
            [""] => Route::Base,
            ["_catalog"] => Route::Catalog,
            [name @ .., "tags", "list"] => Route::Tags(named(name)?),
            [name @ .., "manifests", reference] => {
                let name = named(name)?;
                let reference = decode(reference)?;
                let reference = if reference.contains(':') {
                    Reference::Digest(reference.parse()?)
                } else {
                    Reference::Tag(reference.parse().map_err(|invalid| Failure::new(Code::TagInvalid, invalid))?)
                };
                Route::Manifest(name, reference)
            }
            [name @ .., "referrers", digest] => Route::Referrers(named(name)?, decode(digest)?.parse()?),
            [name @ .., "blobs", "uploads"] => Route::Uploads(named(name)?),
            [name @ .., "blobs", "uploads", id] => {
                let name = named(name)?;
                let id = Uuid::try_parse(id)
                    .map_err(|_| Failure::new(Code::BlobUploadUnknown, "there is no such upload"))?;
                Route::Upload(name, id)
            }
            [name @ .., "blobs", digest] => Route::Blob(named(name)?, decode(digest)?.parse()?),
            _ => return Ok(None),
        }))
    }

    /// Returns the name that Distribution's metrics have for it.
    pub(super) fn handler(&self) -> &'static str {
        match self {
            Route::Base => "base",
            Route::Catalog => "catalog",
            Route::Manifest(..) => "manifest",
            Route::Blob(..) => "blob",
            Route::Uploads(_) => "blob_upload",
            Route::Upload(..) => "blob_upload_chunk",
            Route::Tags(_) => "tags",
            Route::Referrers(..) => "referrers",
        }
    }

    /// Returns the methods that it has, as the header `Allow` lists them.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Route::Base | Route::Catalog | Route::Tags(_) | Route::Referrers(..) => "GET, HEAD, OPTIONS",
            Route::Manifest(..) => "GET, HEAD, PUT, DELETE, OPTIONS",
            Route::Blob(..) => "GET, HEAD, DELETE, OPTIONS",
            Route::Uploads(_) => "POST, OPTIONS",
            Route::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE, OPTIONS",
        }
    }

    /// Returns the repository that it is in.
    pub(super) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Route::Base | Route::Catalog => None,
            Route::Manifest(name, _)
            | Route::Blob(name, _)
            | Route::Uploads(name)
            | Route::Upload(name, _)
            | Route::Tags(name)
            | Route::Referrers(name, _) => Some(name),
        }
    }

    /// Returns what a request with that method needs. `mounted_from` is the repository of a blob that is to be mounted.
    pub(super) fn access(&self, method: &Method, mounted_from: Option<&str>) -> Vec<Access> {
        let Some(name) = self.repository() else {
            return if *self == Route::Catalog { vec![Access::catalog()] } else { Vec::new() };
        };
        let access = |action| Access::repository(name.as_str(), action);
        let mut needed = match *method {
            Method::GET | Method::HEAD => vec![access(Action::Pull)],
            // To give an upload up is a part of pushing.
            Method::DELETE if !matches!(self, Route::Upload(..)) => vec![access(Action::Delete)],
            _ => vec![access(Action::Pull), access(Action::Push)],
        };
        needed.extend(mounted_from.map(|from| Access::repository(from, Action::Pull)));
        needed
    }
}

/// Decodes `%3A` and the like.
fn decode(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Failure::new(Code::NameInvalid, "the path is not UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    use super::*;

    #[test]
    fn names_may_hold_the_words_of_the_api() {
        let parse = |path: &str| Route::parse(path).unwrap();
        assert_eq!(parse("/v2/"), Some(Route::Base));
        assert_eq!(parse("/v2"), Some(Route::Base));
        assert_eq!(parse("/v2/a/tags/list"), Some(Route::Tags("a".parse().unwrap())));
        assert_eq!(parse("/v2/tags/list/tags/list"), Some(Route::Tags("tags/list".parse().unwrap())));
        assert_eq!(parse("/v2/blobs/uploads/blobs/uploads/"), Some(Route::Uploads("blobs/uploads".parse().unwrap())));
        assert_eq!(parse("/v2/a/tags/list/"), Some(Route::Tags("a".parse().unwrap())));
        assert_eq!(parse("/v2/a/blobs/uploads"), Some(Route::Uploads("a".parse().unwrap())));
        assert_eq!(parse("/v2/a/blobs"), None);
        assert_eq!(parse("/v3/"), None);
    }

    #[test]
    fn an_encoded_slash_climbs_nowhere() {
        for path in [
            "/v2/..%2f..%2fa/tags/list",
            "/v2/a/../b/tags/list",
            "/v2/%00/tags/list",
            "/v2//tags/list",
            "/v2/a/manifests/..%2fb",
        ] {
            assert!(Route::parse(path).is_err(), "{path}");
        }
        // As Distribution: a slash is a slash.
        assert_eq!(Route::parse("/v2/a%2fb/tags/list").unwrap(), Some(Route::Tags("a/b".parse().unwrap())));
    }
}
