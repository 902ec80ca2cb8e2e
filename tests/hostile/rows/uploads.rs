//! Uploads whose instance dies: continued where they can be, ended cleanly where not.

use serde_json::json;

use super::{data, hostile};
use crate::attack::Operation;
use crate::lab::Lab;
use crate::row::Row;

pub(crate) fn rows(lab: &Lab) -> Vec<Row> {
    let dies = |resumable: bool| {
        let parameters = json!({ "attack": "trap", "at": "write", "after_bytes": 200_000, "resumable": resumable });
        hostile(Operation::Resume, parameters).with(data(lab, true))
    };
    let lives = hostile(Operation::Resume, json!({})).with(data(lab, true));
    let at_once = "524288 bytes committed at once";
    vec![
        Row::wasmtime(
            "dies in an upload that can be continued",
            dies(true),
            "outcome-unknown; went on at what was kept, 524288 bytes committed",
            lives.clone(),
            at_once,
        ),
        Row::wasmtime("dies in an upload that cannot", dies(false), "unsupported", lives, at_once),
    ]
}
