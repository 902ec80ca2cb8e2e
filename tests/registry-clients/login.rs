//! A registry that wants a password: each client logs in, pushes and pulls, and does nothing without.

use libtest_mimic::Failed;
use serde_json::json;
use wharf_conformance::stores::Kind;

use crate::Promise;
use crate::bench::{Bench, Output};
use crate::check::{Outcome, ensure};

pub(crate) const PROMISES: &[Promise] = &[
    promise("skopeo", "with_a_password_it_pushes_and_pulls_and_without_neither", skopeo),
    promise("podman", "with_a_password_it_pushes_and_pulls_and_without_neither", podman),
    promise("buildah", "with_a_password_it_pushes_and_pulls_and_without_neither", buildah),
];

const USER: &str = "somebody";
const PASSWORD: &str = "a password: with \"quotes\"";
/// What `htpasswd -B -C 5` made of both.
const USERS: &str = "somebody:$2y$05$6bqO3pFjlMcLqlCmKjcSB.xJvCLwgt9pGImyIKySPgC7MA81Cqs2G\n";

const fn promise(client: &'static str, name: &'static str, test: fn(&Bench) -> Outcome<String>) -> Promise {
    // Drivers have no part in it.
    Promise { client, name, kinds: &[Kind::Filesystem], test }
}

/// Makes a registry that wants a password. The one that every test is given wants none.
fn guarded() -> Outcome<Bench> {
    Bench::with(Kind::Filesystem, |directory| {
        let file = directory.join("htpasswd");
        std::fs::write(&file, USERS)?;
        Ok(json!({ "auth": { "htpasswd": { "realm": "tests", "path": file } } }))
    })
}

/// Tries a client's two commands before logging in, with a wrong password, and logged in.
fn attempt(
    run: impl Fn(&Bench, &[&str]) -> Outcome<Output>,
    push: impl Fn(&Bench) -> Vec<String>,
    pull: impl Fn(&Bench) -> Vec<String>,
) -> Outcome<String> {
    let bench = guarded()?;
    let told = |failed: Failed| -> Failed {
        format!("{}\nthe registry printed:\n{}", failed.message().unwrap_or_default(), bench.registry.log()).into()
    };
    let command = |words: &[String]| run(&bench, &words.iter().map(|word| &**word).collect::<Vec<&str>>());
    let host = bench.host();
    let login = |password: &str| run(&bench, &["login", "--username", USER, "--password", password, &host]);
    let tried = || -> Outcome {
        let refused = command(&push(&bench))?;
        ensure(!refused.success, "a push without a password succeeded")?;
        let words = refused.stderr.to_lowercase();
        ensure(words.contains("unauthorized") || words.contains("authentication"), &refused.stderr)?;
        ensure(!login("another")?.success, "a wrong password was accepted")?;
        let accepted = login(PASSWORD)?;
        ensure(accepted.success, format_args!("login failed:\n{}", accepted.stderr))?;
        for words in [push(&bench), pull(&bench)] {
            let output = command(&words)?;
            ensure(output.success, format_args!("{} failed:\n{}", words.join(" "), output.stderr))?;
        }
        ensure(run(&bench, &["logout", &host])?.success, "logout failed")?;
        ensure(!command(&pull(&bench))?.success, "a pull without a password succeeded")
    };
    tried().map_err(told)?;
    Ok("refused, then let in".to_owned())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn skopeo(_: &Bench) -> Outcome<String> {
    let copy = ["copy", "--insecure-policy", "--quiet"];
    attempt(
        |bench, arguments| match arguments {
            // This one command wants to be told that the registry speaks plain HTTP.
            ["login", rest @ ..] => bench.try_skopeo(&[&["login", "--tls-verify=false"], rest].concat()),
            _ => bench.try_skopeo(arguments),
        },
        |bench| words(&[&copy[..], &[&bench.layout("one"), &bench.docker("team/app:v1")]].concat()),
        |bench| {
            let destination = format!("dir:{}", bench.path("pulled").display());
            words(&[&copy[..], &[&bench.docker("team/app:v1"), &destination]].concat())
        },
    )
}

fn podman(_: &Bench) -> Outcome<String> {
    attempt(
        |bench, arguments| {
            if arguments.first() == Some(&"push") {
                bench.podman(&["pull", "--quiet", &bench.layout("one")])?;
            }
            bench.try_podman(arguments)
        },
        |bench| words(&["push", "--quiet", image(bench), &bench.docker("team/app:v1")]),
        |bench| words(&["pull", "--quiet", &bench.at("team/app:v1")]),
    )
}

fn buildah(_: &Bench) -> Outcome<String> {
    attempt(
        |bench, arguments| {
            if arguments.first() == Some(&"push") {
                bench.buildah(&["pull", "--quiet", &bench.layout("one")])?;
            }
            bench.try_buildah(arguments)
        },
        |bench| words(&["push", "--quiet", image(bench), &bench.docker("team/app:v1")]),
        |bench| words(&["pull", "--quiet", "--policy", "always", &bench.at("team/app:v1")]),
    )
}

/// Returns the number of the image `one` in a client's storage.
fn image(bench: &Bench) -> &str {
    bench.one.configuration.digest.trim_start_matches("sha256:")
}
