//! `/v2/NAME/tags/list` and `/v2/_catalog`: lists in pages.

use axum::response::Response;
use http::HeaderValue;
use http::header::LINK;
use serde_json::json;

use super::{Call, json};
use crate::registry::error::{Code, Failure, Result};
use crate::registry::{RepositoryName, Tag};

impl Call<'_> {
    /// `GET` (end-8).
    pub(super) async fn tags(&self, name: &RepositoryName) -> Result<Response> {
        let store = self.registry.store();
        let limit = self.query.page(self.registry.settings().tags_limit)?;
        let last = self.query.get("last")?;
        let page = store.tags(name, last.as_deref(), limit).await?;
        if page.items.is_empty() && !store.has_repository(name).await? {
            return Err(Failure::new(Code::NameUnknown, "there is no such repository")
                .with_detail(json!({ "name": name.as_str() })));
        }
        let mut response = json(json!({ "name": name.as_str(), "tags": page.items }).to_string());
        if let Some(last) = page.items.last().filter(|_| page.has_more) {
            debug_assert!(Tag::is_valid(last));
            self.link_next(&mut response, &format!("/v2/{name}/tags/list?last={last}&n={limit}"))?;
        }
        Ok(response)
    }

    /// `GET`, of Docker's API.
    pub(super) async fn catalog(&self) -> Result<Response> {
        let limit = self.query.page(self.registry.settings().catalog_limit)?;
        let last = self.query.get("last")?;
        let page = match limit {
            0 => super::super::store::Page { items: Vec::new(), has_more: false },
            limit => self.registry.store().repositories(last.as_deref(), limit).await?,
        };
        let names: Vec<&str> = page.items.iter().map(RepositoryName::as_str).collect();
        let mut response = json(json!({ "repositories": names }).to_string());
        if let Some(last) = names.last().filter(|_| page.has_more) {
            let last = last.replace('/', "%2F");
            self.link_next(&mut response, &format!("/v2/_catalog?last={last}&n={limit}"))?;
        }
        Ok(response)
    }

    /// Says where the next page is (RFC 5988).
    pub(super) fn link_next(&self, response: &mut Response, target: &str) -> Result<()> {
        let prefix = self.parts.extensions.get::<super::address::PathPrefix>().map_or("", |prefix| &*prefix.0);
        let link = HeaderValue::try_from(format!("<{prefix}{target}>; rel=\"next\""));
        response.headers_mut().insert(LINK, link.map_err(|error| Failure::new(Code::Unknown, error))?);
        Ok(())
    }
}
