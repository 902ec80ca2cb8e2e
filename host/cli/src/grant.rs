//! `--grant`: what components may touch, as written on the command line.

use std::str::FromStr;

use wharf::runtime::{DirectoryGrant, Grants, HttpGrant};

const FORMS: &str = "write dir:HOST=GUEST:rw, dir:HOST=GUEST:ro, env:NAME, http:HOST:PORT or redirect:HOST:PORT";

/// One `--grant`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// `dir:HOST=GUEST:rw|ro`: a directory of this machine.
    Directory(DirectoryGrant),
    /// `env:NAME`: an environment variable of this process.
    Environment(String),
    /// `http:HOST:PORT`: outgoing HTTP.
    Http(HttpGrant),
    /// `redirect:HOST:PORT`: a host that clients may be sent to.
    Redirect(HttpGrant),
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; {FORMS}");
        match text.split_once(':') {
            Some(("dir", rest)) => directory(rest).map(Grant::Directory).map_err(|why| wrong(&why)),
            Some(("env", name)) if !name.is_empty() && !name.contains('=') => Ok(Grant::Environment(name.to_owned())),
            Some(("env", _)) => Err(wrong("`env:` takes the name of a variable; its value comes from the environment")),
            Some(("http", place)) => place.parse().map(Grant::Http).map_err(|why| wrong(&why.to_string())),
            Some(("redirect", place)) => place.parse().map(Grant::Redirect).map_err(|why| wrong(&why.to_string())),
            _ => Err(wrong("this is no grant")),
        }
    }
}

/// Reads `HOST=GUEST:rw`. The ends are looked for from the right: only the host's path may hold `=` and `:`.
fn directory(text: &str) -> Result<DirectoryGrant, String> {
    let (paths, mode) = text.rsplit_once(':').ok_or("`dir:` ends with :rw or :ro")?;
    let write = match mode {
        "rw" => true,
        "ro" => false,
        _ => return Err("`dir:` ends with :rw or :ro".to_owned()),
    };
    let (host, guest) = paths.rsplit_once('=').ok_or("`dir:` takes two paths with `=` between them")?;
    if host.is_empty() {
        return Err("the directory of this machine is missing".to_owned());
    }
    if !guest.starts_with('/') {
        return Err(format!("the path that the component sees, {guest:?}, does not begin with /"));
    }
    Ok(DirectoryGrant { host: host.into(), guest: guest.to_owned(), write })
}

/// Adds what the command line grants to what the configuration grants.
pub(crate) fn add(given: &[Grant], to: &mut Grants) {
    for grant in given {
        match grant {
            // The command line wins where both say what the component sees at one path.
            Grant::Directory(directory) => {
                to.directories.retain(|other| other.guest != directory.guest);
                to.directories.push(directory.clone());
            }
            Grant::Environment(name) if !to.environment.contains(name) => to.environment.push(name.clone()),
            Grant::Http(place) if !to.http.contains(place) => to.http.push(place.clone()),
            Grant::Redirect(place) if !to.redirect.contains(place) => to.redirect.push(place.clone()),
            Grant::Environment(_) | Grant::Http(_) | Grant::Redirect(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
    use super::*;

    #[test]
    fn a_directory_is_writable_only_if_it_says_so() {
        for (mode, write) in [("rw", true), ("ro", false)] {
            let Grant::Directory(grant) = format!("dir:/a=b:c=/data:{mode}").parse().unwrap() else { panic!() };
            assert_eq!((grant.host.to_str().unwrap(), grant.guest.as_str(), grant.write), ("/a=b:c", "/data", write));
        }
    }

    #[test]
    fn a_grant_that_says_less_than_it_must_is_refused_with_the_forms() {
        for text in [
            "",
            "dir",
            "dir:/a=/b",
            "dir:/a=/b:rx",
            "dir:/a:rw",
            "dir:=/b:rw",
            "dir:/a=b:rw",
            "env:",
            "env:A=B",
            "http:example.com",
            "http::443",
            "redirect:example.com",
            "redirect:https://example.com:443",
            "file:/a",
        ] {
            let error = text.parse::<Grant>().unwrap_err();
            assert!(error.contains("dir:HOST=GUEST:rw"), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_wins_at_one_path_and_adds_at_others() {
        let mut grants: Grants = serde_json::from_str(
            r#"{ "directories": [{ "host": "/old", "guest": "/data" }, { "host": "/x", "guest": "/other" }] }"#,
        )
        .unwrap();
        let given = ["dir:/new=/data:rw", "env:A", "env:A", "redirect:a.example:443", "redirect:a.example:443"];
        add(&given.map(|grant| grant.parse().unwrap()), &mut grants);
        let hosts: Vec<_> = grants.directories.iter().map(|grant| grant.host.to_str().unwrap()).collect();
        assert_eq!((hosts, grants.environment), (vec!["/x", "/new"], vec!["A".to_owned()]));
        assert_eq!((grants.redirect, grants.http), (vec!["a.example:443".parse().unwrap()], vec![]));
    }
}
