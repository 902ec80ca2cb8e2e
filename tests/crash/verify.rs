//! What must be on the disk, given what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::content;

/// What was found, over all rounds.
#[derive(Default)]
pub(crate) struct Tally {
    acknowledged: u64,
    interrupted_whole: u64,
    interrupted_prefix: u64,
    interrupted_absent: u64,
    interrupted_moves: u64,
}

impl Tally {
    /// Fails where the kills never struck in the middle of anything: such a run has shown nothing.
    pub(crate) fn is_telling(&self) -> Result<(), String> {
        if self.acknowledged < 100
            || self.interrupted_absent == 0
            || self.interrupted_whole + self.interrupted_prefix == 0
        {
            return Err(format!("the kills came at the wrong moments to show anything: {self}"));
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files acknowledged, all there and whole; interrupted: {} whole, {} a prefix of an upload, {} absent, {} moves",
            self.acknowledged,
            self.interrupted_whole,
            self.interrupted_prefix,
            self.interrupted_absent,
            self.interrupted_moves
        )
    }
}

/// Looks at everything below `root`.
pub(crate) fn check(root: &Path, acknowledged: &[String], tally: &mut Tally) -> Result<(), String> {
    let mut whole = BTreeSet::new();
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut replaced: BTreeMap<&str, u64> = BTreeMap::new();
    let mut moving: BTreeMap<&str, &str> = BTreeMap::new();
    for line in acknowledged {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["whole", file] => {
                parts.remove(file);
                whole.insert(file);
            }
            ["part", file, size] => {
                parts.insert(file, size.parse().map_err(|_| format!("cannot read {line:?}"))?);
            }
            ["replaced", file, count] => {
                replaced.insert(file, count.parse().map_err(|_| format!("cannot read {line:?}"))?);
            }
            ["moving", from, to] => {
                whole.remove(from);
                moving.insert(from, to);
            }
            ["moved", from, to] => {
                moving.remove(from);
                whole.insert(to);
                if exists(root, from)? {
                    return Err(format!("{from} was moved away, and is still there"));
                }
            }
            _ => return Err(format!("cannot read {line:?}")),
        }
    }
    tally.acknowledged += (whole.len() + parts.len() + replaced.len()) as u64;

    for file in &whole {
        let stored_as = file.replace("/moved", "/put");
        let got = read(root, file)?.ok_or_else(|| format!("{file} was acknowledged, and is not there"))?;
        if got != content::of(&stored_as) {
            return Err(format!("{file} was acknowledged, and has {} other bytes", got.len()));
        }
    }
    for (file, size) in &parts {
        let got = read(root, file)?.ok_or_else(|| format!("the closed upload {file} is not there"))?;
        if (got.len() as u64) < *size || !content::of(file).starts_with(&got) {
            return Err(format!("the upload {file}, closed with {size} bytes, has {} or others", got.len()));
        }
    }
    for (from, to) in &moving {
        tally.interrupted_moves += 1;
        let (there, arrived) = (read(root, from)?, read(root, to)?);
        let expected = content::of(from);
        if there.is_none() && arrived.is_none() || there.into_iter().chain(arrived).any(|got| got != expected) {
            return Err(format!("the move of {from} to {to} lost it, or left a part"));
        }
    }
    for task in 0..4 {
        let file = format!("task{task}/replaced");
        check_replaced(root, &file, replaced.get(file.as_str()).copied(), tally)?;
        check_interrupted(root, task, &whole, &parts, tally)?;
    }
    Ok(())
}

/// A file that is replaced again and again is what was acknowledged last, or the next.
fn check_replaced(root: &Path, file: &str, last: Option<u64>, tally: &mut Tally) -> Result<(), String> {
    let next = last.map_or(0, |last| last + 1);
    match (read(root, file)?, last) {
        (None, None) => Ok(()),
        (None, Some(last)) => Err(format!("{file} was replaced {last} times, and is not there")),
        (Some(got), _) if got == content::of(&format!("{file} {next}")) => {
            tally.interrupted_whole += 1;
            Ok(())
        }
        (Some(got), Some(last)) if got == content::of(&format!("{file} {last}")) => Ok(()),
        (Some(got), last) => {
            Err(format!("{file} has {} bytes that are neither version {last:?} nor the next", got.len()))
        }
    }
}

/// What a task was doing when it was killed: nothing of it may be there but what may.
fn check_interrupted(
    root: &Path,
    task: usize,
    whole: &BTreeSet<&str>,
    parts: &BTreeMap<&str, u64>,
    tally: &mut Tally,
) -> Result<(), String> {
    // The last directory that was begun is the only one with something unfinished in it.
    let last = (0u64..).take_while(|count| root.join(format!("task{task}/deep{count}")).exists()).last();
    let Some(last) = last else { return Ok(()) };
    for kind in ["put", "commit", "upload"] {
        let file = format!("task{task}/deep{last}/{kind}");
        if whole.contains(file.as_str()) || parts.contains_key(file.as_str()) {
            continue;
        }
        let moved = whole.contains(format!("task{task}/deep{last}/moved").as_str());
        let expected = content::of(&file);
        match read(root, &file)? {
            None if kind == "put" && moved => {}
            None => tally.interrupted_absent += 1,
            Some(got) if got == expected => tally.interrupted_whole += 1,
            Some(got) if kind != "put" && expected.starts_with(&got) => tally.interrupted_prefix += 1,
            Some(got) => return Err(format!("{file}, interrupted, has {} bytes of something else", got.len())),
        }
    }
    Ok(())
}

fn read(root: &Path, file: &str) -> Result<Option<Vec<u8>>, String> {
    match fs::read(root.join(file)) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{file} cannot be read: {error}")),
    }
}

fn exists(root: &Path, file: &str) -> Result<bool, String> {
    root.join(file).try_exists().map_err(|error| format!("{file} cannot be looked for: {error}"))
}
