//! What a request asks for.

use wasip3::http::types as wasi;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// `GET`: the content.
    Get,
    /// `HEAD`: the headers that a `GET` would give.
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// Any other, in capitals: `PROPFIND`. One that is no token is refused when it is sent.
    Other(String),
}

impl Method {
    /// Everything but `GET` and `HEAD` counts as a change: see [`crate::ErrorKind::OutcomeUnknown`].
    pub(super) fn is_change(&self) -> bool {
        !matches!(self, Method::Get | Method::Head)
    }
}

impl From<Method> for wasi::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => wasi::Method::Get,
            Method::Head => wasi::Method::Head,
            Method::Post => wasi::Method::Post,
            Method::Put => wasi::Method::Put,
            Method::Delete => wasi::Method::Delete,
            Method::Patch => wasi::Method::Patch,
            Method::Other(name) => wasi::Method::Other(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_methods_but_get_and_head_are_changes() {
        assert!(![Method::Get, Method::Head].iter().any(Method::is_change));
        let others = [Method::Post, Method::Put, Method::Delete, Method::Patch, Method::Other("MKCOL".to_owned())];
        assert!(others.iter().all(Method::is_change));
    }
}
