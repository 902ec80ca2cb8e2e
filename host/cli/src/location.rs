//! Where bytes come from and go to, as written on the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wharf::contract::StoragePath;
use wharf::factory::is_driver_name;

/// A place named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// `-`: standard input or output.
    Stdio,
    /// A path of this machine.
    Local(PathBuf),
    /// `NAME:/path` or `FILE.wasm:/path`: a path in a driver.
    Store {
        /// The driver's name, or its file.
        driver: String,
        /// The path in it.
        path: StoragePath,
    },
}

impl Location {
    /// Reads `-`, `NAME:/path`, `FILE.wasm:/path` or the path of a local file. A local file whose name looks like
    /// `NAME:/path` is written with `./` before it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Location::Stdio);
        }
        if let Some((driver, path)) = text.split_once(':')
            && is_driver_name(driver)
            && (path.is_empty() || path.starts_with('/'))
        {
            return Self::in_driver(driver, path);
        }
        if let Some((driver, path)) = text.split_once(".wasm:/") {
            return Self::in_driver(&format!("{driver}.wasm"), &format!("/{path}"));
        }
        Ok(Location::Local(PathBuf::from(text)))
    }

    /// Reads the location of something stored: `NAME:/path`, or `/path` where `--driver` names the driver.
    pub(crate) fn parse_stored(text: &str, driver: Option<&str>) -> Result<(String, StoragePath)> {
        let location = match driver {
            Some(driver) if text.starts_with('/') => Self::in_driver(driver, text)?,
            _ => Self::parse(text)?,
        };
        match location {
            Location::Store { driver, path } => Ok((driver, path)),
            _ => bail!("`{text}` names no driver: write NAME:/path, for instance filesystem:/a, or add --driver NAME"),
        }
    }

    fn in_driver(driver: &str, path: &str) -> Result<Self> {
        let path = match path.trim_end_matches('/') {
            "" => StoragePath::root(),
            path => StoragePath::parse(path).with_context(|| format!("`{driver}:{path}` is no location"))?,
        };
        Ok(Location::Store { driver: driver.to_owned(), path })
    }
}

/// Returns whether a driver is named by its file and not by its name.
pub(crate) fn is_file(driver: &str) -> bool {
    driver.ends_with(".wasm") || driver.contains(std::path::is_separator)
}

/// Returns the drivers that the texts of a command line name, by name or file; a text that names none is passed over.
pub(crate) fn drivers<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let driver = |text| match Location::parse(text) {
        Ok(Location::Store { driver, .. }) => Some(driver),
        _ => None,
    };
    texts.into_iter().filter_map(driver).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
    use super::*;

    #[test]
    fn a_name_a_colon_and_a_slash_mean_a_driver() {
        let Location::Store { driver, path } = Location::parse("inmemory:/a/b/").unwrap() else { panic!() };
        assert_eq!((driver.as_str(), path.as_str()), ("inmemory", "/a/b"));
    }

    #[test]
    fn a_driver_alone_means_its_root() {
        let Location::Store { path, .. } = Location::parse("inmemory:").unwrap() else { panic!() };
        assert!(path.is_root());
    }

    #[test]
    fn a_components_file_a_colon_and_a_slash_mean_a_driver() {
        let Location::Store { driver, path } = Location::parse("./a:b/c.wasm:/d").unwrap() else { panic!() };
        assert_eq!((driver.as_str(), path.as_str()), ("./a:b/c.wasm", "/d"));
        assert!(is_file(&driver) && is_file("c.wasm") && !is_file("c"));
    }

    #[test]
    fn everything_else_is_a_local_path() {
        for text in ["a", "./inmemory:/a", "/a:/b", "a:b"] {
            assert_eq!(Location::parse(text).unwrap(), Location::Local(text.into()), "{text}");
        }
        assert_eq!(Location::parse("-").unwrap(), Location::Stdio);
    }

    #[test]
    fn a_path_that_could_climb_out_of_the_store_is_refused() {
        assert!(Location::parse("filesystem:/a/../../b").is_err());
    }

    #[test]
    fn the_driver_option_completes_a_plain_path() {
        let (driver, path) = Location::parse_stored("/a", Some("filesystem")).unwrap();
        assert_eq!((driver.as_str(), path.as_str()), ("filesystem", "/a"));
        assert!(Location::parse_stored("/a", None).is_err());
    }
}
