//! `wharf whoami`: as whom a driver works at its store.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use crate::open::Store;
use crate::output;

/// Show as whom a driver works at its store, and where the credentials come from.
///
/// Asks the store by what name it knows them. No secret is shown.
#[derive(Args, Debug)]
pub(crate) struct Whoami {
    /// The driver's name. Default: the one of --driver, or the only one in the configuration's `storage:`.
    pub(crate) name: Option<String>,
}

/// Prints a driver's identity.
pub(crate) async fn run(args: &Whoami, store: &Store, driver: Option<&str>, as_json: bool) -> Result<()> {
    let Some(name) = args.name.as_deref().or(driver).or_else(|| store.configured()) else {
        bail!("name a driver, for instance `wharf whoami s3 --config config.yml`");
    };
    let Some(identity) = store.factory().identify(name, store.parameters(name)?).await.map_err(output::sentence)?
    else {
        bail!("the driver {name} presents no credentials to its store");
    };
    let expires = identity.expires.map(|time| humantime::format_rfc3339_seconds(time).to_string());
    output::print(
        as_json,
        || {
            let principal = identity.principal.as_deref().unwrap_or("(the store does not say)");
            let lines = [
                format!("principal   {principal}"),
                format!("credential  {}", identity.credential),
                format!("source      {}", identity.source),
                format!("expires     {}", expires.as_deref().unwrap_or("never")),
            ];
            lines.join("\n")
        },
        || {
            json!({ "principal": identity.principal, "credential": identity.credential, "source": identity.source,
                "expires": expires })
        },
    )
}
