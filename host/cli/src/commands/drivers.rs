//! `wharf drivers`: what the factory offers.

use anyhow::Result;
use serde_json::json;

use crate::open::Store;
use crate::output;

/// Prints the name and origin of every driver, sorted by name. One line or one JSON object for each.
pub(crate) fn run(store: &Store, as_json: bool) -> Result<()> {
    for offer in store.factory().offers() {
        let file = offer.origin.file().map(|file| file.display().to_string());
        let kind = if file.is_some() { "component" } else { "native" };
        let shown = file.as_deref().unwrap_or("");
        output::print(
            as_json,
            || format!("{:<20} {kind:<10} {shown}", offer.name).trim_end().to_owned(),
            || json!({ "name": offer.name, "kind": kind, "file": file }),
        )?;
    }
    Ok(())
}
