//! `wharf drivers`: what the factory offers, and which files it refused.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use wharf::factory::Factory;
use wharf::runtime::{ComponentDriver, HttpGrant};

use crate::open::Store;
use crate::output;

/// Which drivers there are.
#[derive(Args, Debug)]
pub(crate) struct Drivers {
    /// Load every component and say what is wrong with those that are not good. Exits with 1 if one is not.
    #[arg(long)]
    check: bool,
}

/// Prints the name and origin of every driver, sorted by name, then the files that are not offered. One line or one
/// JSON object for each.
pub(crate) async fn run(args: &Drivers, store: &Store, as_json: bool) -> Result<()> {
    let factory = store.factory();
    let (mut components, mut bad) = (0, 0);
    for offer in factory.offers() {
        let file = offer.origin.file().map(|file| file.display().to_string());
        let kind = if file.is_some() { "component" } else { "native" };
        let mut line = format!("{:<20} {kind:<10} {}", offer.name, file.as_deref().unwrap_or(""));
        let mut value = json!({ "name": offer.name, "kind": kind, "file": file });
        if args.check && file.is_some() {
            components += 1;
            match check(factory, offer.name).await {
                Ok(found) => {
                    line.push_str(&format!("  good: {found}"));
                    value["good"] = true.into();
                    if let Some(config) = factory.component_config(offer.name) {
                        if !config.allow.redirect.is_empty() {
                            let hosts: Vec<String> = config.allow.redirect.iter().map(HttpGrant::to_string).collect();
                            line.push_str(&format!("; clients may be sent to {}", hosts.join(", ")));
                        }
                        value["granted"] = json!(config.allow);
                    }
                }
                Err(error) => {
                    bad += 1;
                    line.push_str(&format!("\n  not good: {error:#}"));
                    value["good"] = false.into();
                    value["reason"] = format!("{error:#}").into();
                }
            }
        }
        output::print(as_json, || line.trim_end().to_owned(), || value)?;
    }
    for refusal in factory.refusals() {
        components += 1;
        bad += 1;
        output::print(
            as_json,
            || format!("{:<20} refused    {}", refusal.name, refusal.reason),
            || json!({ "name": refusal.name, "kind": "refused", "reason": refusal.reason }),
        )?;
    }
    if args.check && bad > 0 {
        bail!("{bad} of {components} components cannot be used; the reasons stand above");
    }
    Ok(())
}

/// Loads a component and puts it together with what it is granted. Returns what it says of itself.
async fn check(factory: &Factory, name: &str) -> Result<String> {
    let (Some(component), Some(config)) =
        (factory.component(name).await.map_err(output::sentence)?, factory.component_config(name))
    else {
        bail!("{name} is no component");
    };
    let driver = ComponentDriver::new(component, config).map_err(output::sentence)?;
    let description = driver.component().description();
    Ok(format!("{} {}", description.name, description.version))
}
