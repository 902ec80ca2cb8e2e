//! What lies in a store in a directory, read without any registry.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wharf_conformance::content::named;

use crate::check::{Outcome, ensure, same};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    blobs: usize,
    links: usize,
    uploads: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { blobs, links, uploads } = self;
        write!(
            f,
            "on the disk {blobs} blobs that are what their names say, {links} whole links, {uploads} half uploads"
        )
    }
}

/// Fails unless every blob hashes to its name, and every link is whole and leads to a blob.
pub(crate) fn check(root: &Path) -> Outcome<Found> {
    let root = root.join("docker/registry/v2");
    let mut found = Found::default();
    for path in files(&root.join("blobs"))? {
        // A driver's own temporaries are no blobs.
        if path.file_name().is_none_or(|name| name != "data") {
            continue;
        }
        let name = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        same(path.display(), hash(&path)?, format!("sha256:{name}"))?;
        found.blobs += 1;
    }
    for path in files(&root.join("repositories"))? {
        found.uploads += usize::from(path.file_name().is_some_and(|name| name == "startedat"));
        if path.file_name().is_none_or(|name| name != "link") {
            continue;
        }
        let text = fs::read(&path)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64).unwrap_or_default();
        let whole = !hex.is_empty() && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        ensure(whole, format_args!("{} is torn: {text:?}", path.display()))?;
        let blob = root.join("blobs/sha256").join(&hex[..2]).join(hex).join("data");
        ensure(blob.is_file(), format_args!("{} leads to {}, which is not there", path.display(), blob.display()))?;
        found.links += 1;
    }
    Ok(found)
}

fn files(root: &Path) -> Outcome<Vec<PathBuf>> {
    let (mut files, mut directories) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() { directories.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    Ok(files)
}

fn hash(path: &Path) -> Outcome<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(named(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}
