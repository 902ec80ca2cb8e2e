//! The rows of the table.

mod advisories;
mod computing;
mod files;
mod handles;
mod hoards;
mod lies;
mod loading;
mod memory;
mod network;
mod slots;
mod streams;
mod traps;
mod uploads;

use serde_json::{Value, json};

use crate::attack::{Attack, File, Operation};
use crate::lab::Lab;
use crate::row::Row;

/// Every row, in the order of the table.
pub(crate) fn all(lab: &Lab) -> Vec<Row> {
    [
        computing::rows(),
        memory::rows(),
        streams::rows(),
        lies::rows(),
        handles::rows(lab),
        traps::rows(),
        uploads::rows(lab),
        files::rows(lab),
        network::rows(lab),
        loading::rows(),
        hoards::rows(lab),
        slots::rows(),
        advisories::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `hostile`, asked this, with these parameters.
fn hostile(operation: Operation, parameters: Value) -> Attack {
    Attack::new(operation, parameters)
}

/// `hostile-http`, asked for a content, with these hosts granted.
fn web(parameters: Value, hosts: &[&str]) -> Attack {
    let attack = Attack::new(Operation::GetContent, parameters).of(File::Ours("hostile-http"));
    attack.with(json!({ "allow": { "http": hosts } }))
}

/// `hostile` behaving.
fn quiet(operation: Operation) -> Attack {
    hostile(operation, json!({}))
}

fn limits(limits: Value) -> Value {
    json!({ "limits": limits })
}

/// The granted directory, as `/data`.
fn data(lab: &Lab, write: bool) -> Value {
    json!({ "allow": { "directories": [{ "host": lab.inside(), "guest": "/data", "write": write }] } })
}

/// Hosts that clients may be sent to.
fn redirects(hosts: &[&str]) -> Value {
    json!({ "allow": { "redirect": hosts } })
}
