//! `/v2/NAME/referrers/DIGEST`: the manifests that name another one, in pages.

use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Call, OCI_FILTERS_APPLIED};
use crate::registry::error::Result;
use crate::registry::manifest::{MAX_MANIFEST, OCI_INDEX};
use crate::registry::store::WantedReferrers;
use crate::registry::{Digest, RepositoryName};

/// What stands around the descriptors, in bytes: more than it has.
const FRAME: usize = 256;

impl Call<'_> {
    /// `GET` (end-12). A page is an index, and no larger than clients take one.
    pub(super) async fn referrers(&self, name: &RepositoryName, subject: &Digest) -> Result<Response> {
        let wanted = WantedReferrers {
            after: self.query.get("last")?.map(|last| last.parse()).transpose()?,
            kinds: self.query.all("artifactType")?,
            bytes: MAX_MANIFEST - FRAME,
        };
        let read_only = self.registry.settings().read_only;
        let page = self.registry.store().referrers(name, subject, read_only, &wanted).await?;
        let descriptors: Vec<&str> = page.items.iter().map(|(_, descriptor)| &**descriptor).collect();
        let descriptors = descriptors.join(",");
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{descriptors}]}}"#);
        let mut response = super::json(index);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OCI_INDEX));
        if !wanted.kinds.is_empty() {
            response.headers_mut().insert(OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
        if let Some((last, _)) = page.items.last().filter(|_| page.has_more) {
            let kinds = wanted.kinds.iter().map(|kind| utf8_percent_encode(kind, NON_ALPHANUMERIC));
            let kinds: String = kinds.map(|kind| format!("artifactType={kind}&")).collect();
            self.link_next(&mut response, &format!("/v2/{name}/referrers/{subject}?{kinds}last={last}"))?;
        }
        Ok(response)
    }
}
