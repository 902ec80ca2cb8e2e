//! Requests to hosts that were not granted.

use serde_json::json;

use super::web;
use crate::lab::Lab;
use crate::row::Row;

pub(crate) fn rows(lab: &Lab) -> Vec<Row> {
    let (granted, forbidden) = (lab.granted.address.to_string(), lab.forbidden.address.to_string());
    let port = lab.forbidden.port();
    let file = |host: &str| json!({ "url": format!("http://{host}/bytes-5") });
    let hosts = |hosts: &[&str]| json!({ "allow": { "http": hosts } });
    let denied = "access-denied";
    let redirect = json!({ "url": format!("http://{granted}/?to=http://{forbidden}/bytes-5"), "follow": true });
    let name = format!("rebound.test:{port}");
    // Even where loopback is granted: the system's resolver takes these for it, as the control shows.
    let odd = |name, host: &str| {
        let attack = web(file(&format!("{host}:{port}")), &["*:*", "127.0.0.0/8:*"]);
        Row::notation(name, attack, "other", format!("{host}:{port}"))
    };
    let header =
        |header: &str| web(json!({ "url": format!("http://{granted}/bytes-5"), "raw_header": header }), &[&granted]);
    vec![
        Row::grant(
            "asks a host that is not granted",
            web(file(&forbidden), &[&granted]),
            denied,
            hosts(&[&forbidden]),
            "5 bytes",
        ),
        Row::grant(
            "is redirected to a host that is not granted",
            web(redirect, &[&granted]),
            denied,
            hosts(&[&granted, &forbidden]),
            "5 bytes",
        ),
        Row::grant(
            "asks a granted name that resolves to loopback",
            web(file(&name), &[&name]),
            denied,
            hosts(&[&name, &forbidden]),
            "5 bytes",
        ),
        Row::grant(
            "asks for loopback as IPv4 in IPv6",
            web(file(&format!("[::ffff:127.0.0.1]:{port}")), &["*:*"]),
            denied,
            hosts(&["127.0.0.0/8:*"]),
            "5 bytes",
        ),
        odd("asks for loopback as 127.1", "127.1"),
        odd("asks for loopback as 2130706433", "2130706433"),
        odd("asks for loopback as 0x7f.0.0.1", "0x7f.0.0.1"),
        odd("asks for loopback as 0177.0.0.1", "0177.0.0.1"),
        Row::wasmtime("forges a second header", header("x: a\r\ny: b"), denied, header("x: a"), "24 bytes"),
        Row::wasmtime(
            "says that it is another host",
            header("host: elsewhere.test"),
            denied,
            header("x: a"),
            "24 bytes",
        ),
        Row::limit(
            "keeps more requests than it may",
            "requests",
            {
                let parameters = json!({ "url": format!("http://{granted}/bytes-100000"), "keep": 5 });
                web(parameters, &[&granted]).with(json!({ "limits": { "requests": 3 } }))
            },
            json!({ "limits": { "requests": 6 } }),
            "100000 bytes",
        )
        .sees("unavailable"),
    ]
}
