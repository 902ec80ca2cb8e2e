//! `wharf inspect`: what a component is, and what it wants to touch, without opening it.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use wharf::runtime::{Access, Component, ComponentConfig, ComponentDriver, Grants, Instances};

use crate::open::Store;
use crate::output;

/// Show what a component is, what it imports and what it is granted.
///
/// It is loaded, checked and asked for its description, without any grant; no driver is opened and no store is touched.
/// A file that is no driver is refused with the reason.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// The file of a component, or the name of one that `wharf drivers` shows.
    pub(crate) component: String,
}

/// Prints a component's description, imports and grants.
pub(crate) async fn run(args: &Inspect, store: &Store, as_json: bool) -> Result<()> {
    let name = store.name_of(&args.component);
    let factory = store.factory();
    if factory.offer(name).is_none() {
        // The factory's own words: they list what there is, or say why the file was refused.
        factory.create(name, wharf::factory::Parameters::new()).await?;
    }
    let (Some(component), Some(config)) =
        (factory.component(name).await.map_err(output::sentence)?, factory.component_config(name))
    else {
        bail!("{name} is a native driver: it is compiled in, and there is nothing to inspect; name a component's file");
    };
    // What cannot be granted is refused in the words that an opening would be refused in.
    ComponentDriver::new(component.clone(), config).map_err(output::sentence)?;
    let description = component.description();
    output::print(
        as_json,
        || text(&component, config),
        || {
            json!({
                "name": description.name, "version": description.version, "instances": description.instances,
                "contract": component.contract_version(), "file": component.origin(), "size": component.size(),
                "sha256": component.sha256(), "imports": component.imports(), "granted": config.allow,
                "limits": config.limits,
            })
        },
    )
}

fn text(component: &Component, config: &ComponentConfig) -> String {
    let description = component.description();
    let instances = match description.instances {
        Instances::One => "one: what it stores lives in its memory, and is lost with it",
        Instances::Many => "many: what it stores lives outside",
        Instances::Exclusive => "exclusive: one at a time, and what it stores lives outside",
    };
    let mut lines = vec![
        format!("{} {}", description.name, description.version),
        format!("  file       {}", component.origin()),
        format!("  size       {} bytes", component.size()),
        format!("  sha256     {}", component.sha256()),
        format!("  contract   wharf:storage {}", component.contract_version()),
        format!("  instances  {instances}"),
        "  imports".to_owned(),
    ];
    let width = component.imports().iter().map(|import| import.name.len()).max().unwrap_or(0);
    for import in component.imports() {
        lines.push(format!("    {:<width$}  {}", import.name, answer(import.access)));
    }
    if component.imports().is_empty() {
        lines.push("    nothing".to_owned());
    }
    lines.push("  granted".to_owned());
    lines.extend(grants(&config.allow).into_iter().map(|grant| format!("    {grant}")));
    lines.join("\n")
}

fn answer(access: Access) -> &'static str {
    match access {
        Access::Harmless => "always there; reaches nothing outside",
        Access::Directories => "reaches the granted directories only",
        Access::Http => "reaches the granted hosts only",
        Access::Denied => "there, and every call is refused",
        Access::Refused => "not there",
    }
}

fn grants(allow: &Grants) -> Vec<String> {
    let directories = allow.directories.iter().map(|directory| {
        let mode = if directory.write { "to read and write" } else { "to read" };
        format!("the directory {} as {}, {mode}", directory.host.display(), directory.guest)
    });
    let variables = allow.environment.iter().map(|name| format!("the environment variable {name}"));
    let hosts = allow.http.iter().map(|host| format!("HTTP to {host}"));
    let redirects = allow.redirect.iter().map(|host| format!("to send clients to {host}"));
    let mut lines: Vec<String> = hosts.chain(directories).chain(variables).chain(redirects).collect();
    if lines.is_empty() {
        lines.push(
            "nothing; --grant http:HOST:PORT, --grant dir:HOST=GUEST:rw, --grant env:NAME and --grant \
             redirect:HOST:PORT would grant something"
                .to_owned(),
        );
    }
    lines
}
