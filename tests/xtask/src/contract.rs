//! `cargo xtask contract`: holds `wit/`, the host and the SDK to one another.
//!
//! - Every item in `wit/` has a doc comment, every field, case and parameter too, and every item says since when it is.
//! - The host speaks the version that `wit/` declares, and `wit/CHANGELOG.md` tells of it.
//! - Host and SDK generate their bindings from this one directory: there is no second copy that could differ.
//!
//! That a built component has the shape of `wit/` is the host's own check when it loads one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Result, project};

const WIT: &str = "wit";
const CHANGELOG: &str = "wit/CHANGELOG.md";
const HOST_VERSION: &str = "host/src/runtime/component.rs";

/// Where bindings are generated, and the path from that package to `wit/`.
const BINDINGS: [(&str, &str); 2] = [("host/src/runtime/bindings.rs", "../wit"), ("sdk/src/bindings.rs", "../wit")];

/// Checks the project, and says everything that is wrong.
pub(crate) fn check() -> Result<()> {
    let root = project();
    let mut faults = Vec::new();
    let mut versions = Vec::new();
    let mut files = Vec::new();
    find_wit(&root, &mut files)?;
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file).display().to_string();
        if file.parent() != Some(root.join(WIT).as_path()) {
            faults.push(format!("{name}: a copy of a contract outside {WIT}/, which could differ from it; remove it"));
            continue;
        }
        let text = read(file)?;
        faults.extend(undocumented(&text).into_iter().map(|fault| format!("{name}:{fault}")));
        versions.extend(text.lines().filter_map(package_version).map(str::to_owned));
    }
    match &versions[..] {
        [version] => faults.extend(disagreements(&root, version)?),
        _ => faults.push(format!("{WIT}/: {} files declare a package with a version; one must", versions.len())),
    }
    if !faults.is_empty() {
        return Err(format!("the contract does not hold together:\n{}", faults.join("\n")));
    }
    println!("contract: {} files in {WIT}/, version {}: documented, and host and SDK agree", files.len(), versions[0]);
    Ok(())
}

/// Says where host, SDK and changelog are not at this version of `wit/`.
fn disagreements(root: &Path, version: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    match host_version(&read(&root.join(HOST_VERSION))?) {
        Some(host) if host == version => {}
        host => {
            let host = host.unwrap_or("no version");
            faults.push(format!("{HOST_VERSION}: CONTRACT_VERSION is {host}, and {WIT}/ declares {version}"));
        }
    }
    for (file, path) in BINDINGS {
        if !read(&root.join(file))?.contains(&format!("path: \"{path}\"")) {
            faults.push(format!("{file}: does not generate its bindings from `path: \"{path}\"`"));
        }
    }
    if !read(&root.join(CHANGELOG))?.lines().any(|line| is_heading_of(line, version)) {
        faults.push(format!("{CHANGELOG}: has no section `## {version}`"));
    }
    Ok(faults)
}

fn is_heading_of(line: &str, version: &str) -> bool {
    line.strip_prefix("## ").is_some_and(|heading| heading.split_whitespace().next() == Some(version))
}

fn package_version(line: &str) -> Option<&str> {
    Some(line.strip_prefix("package ")?.trim_end().strip_suffix(';')?.split_once('@')?.1)
}

fn host_version(source: &str) -> Option<&str> {
    source.split_once("CONTRACT_VERSION: &str = \"")?.1.split('"').next()
}

/// What the lines between two brackets are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// An interface, a world or a resource: items, each with a version.
    Items,
    /// The fields of a record, the cases of a variant, the parameters of a function: documented, of their item's version.
    Members,
}

/// Returns what has no doc comment or no version, as `LINE: WHAT`.
///
/// It reads WIT as this project writes it, one item, member or parameter a line; what it finds written otherwise is a
/// fault too, so that nothing passes unread.
fn undocumented(wit: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    let (mut has_doc, mut has_since) = (false, false);
    for (index, line) in wit.lines().enumerate() {
        let mut fault = |what: String| faults.push(format!("{}: {what}", index + 1));
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            has_doc |= !doc.trim().is_empty();
            continue;
        }
        if line.starts_with('@') {
            has_since |= line.starts_with("@since(version = ");
            continue;
        }
        let (doc, since) = (std::mem::take(&mut has_doc), std::mem::take(&mut has_since));
        if line.is_empty() || line.starts_with("//") || line.starts_with("package ") {
            continue;
        }
        if line.starts_with(['}', ')']) {
            if blocks.pop().is_none() {
                fault("closes what was never opened".to_owned());
            }
            continue;
        }
        let (keyword, name) = name(line);
        let is_reference = matches!(keyword, "use" | "export" | "import" | "include");
        if !doc && !is_reference {
            fault(format!("`{name}` has no doc comment"));
        }
        if !since && blocks.last() != Some(&Block::Members) {
            fault(format!("`{name}` has no `@since`"));
        }
        match line.chars().last() {
            Some('{') => blocks.push(match keyword {
                "interface" | "world" | "resource" => Block::Items,
                _ => Block::Members,
            }),
            Some('(') => blocks.push(Block::Members),
            _ if is_reference => {}
            _ if line.contains(['{', '}']) => fault(format!("`{name}` has its members on its own line")),
            _ if line.contains("func(") && !line.contains("func()") => {
                fault(format!("`{name}` has its parameters on its own line"));
            }
            _ => {}
        }
    }
    if !blocks.is_empty() {
        faults.push(format!("{}: ends inside a bracket", wit.lines().count()));
    }
    faults
}

/// Returns an item's keyword and name. What begins with none, such as a field or a function, has no keyword.
fn name(line: &str) -> (&str, &str) {
    const KEYWORDS: [&str; 12] = [
        "interface",
        "world",
        "resource",
        "record",
        "variant",
        "enum",
        "flags",
        "type",
        "use",
        "export",
        "import",
        "include",
    ];
    let end = |text: &str| text.find([':', ',', ';', '(', '{', ' ', '=']).unwrap_or(text.len());
    match line.split_once(' ') {
        Some((keyword, rest)) if KEYWORDS.contains(&keyword) => (keyword, &rest[..end(rest)]),
        _ => ("", &line[..end(line)]),
    }
}

/// Finds every `.wit` file of the project; not in what is built, nor in what begins with a dot.
fn find_wit(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |error: std::io::Error| format!("cannot list {}: {error}", directory.display());
    let mut entries = fs::read_dir(directory).map_err(failed)?.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            if !is_hidden && name != "target" {
                find_wit(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "wit") {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "\
package a:b@0.1.0;

/// An interface.
@since(version = 0.1.0)
interface i {
  @since(version = 0.1.0)
  use types.{error};

  /// A record.
  @since(version = 0.1.0)
  record r {
    /// A field.
    size: u64,
  }

  /// An enum.
  @since(version = 0.1.0)
  enum e {
    /// A case.
    one,
  }

  /// A resource.
  @since(version = 0.1.0)
  resource s {
    /// A method.
    @since(version = 0.1.0)
    %list: async func(
      /// A parameter.
      path: string,
    ) -> result<_, error>;

    /// Another.
    @since(version = 0.1.0)
    describe: func() -> u64;
  }
}
";

    #[test]
    fn a_contract_that_is_documented_has_no_fault() {
        assert_eq!(undocumented(WHOLE), [""; 0]);
    }

    #[test]
    fn each_missing_doc_comment_is_found() {
        let lines: Vec<&str> = WHOLE.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.trim().starts_with("///")) {
            let without: Vec<&str> = [&lines[..index], &lines[index + 1..]].concat();
            let faults = undocumented(&without.join("\n"));
            assert_eq!(faults.len(), 1, "without {line}: {faults:?}");
            assert!(faults[0].ends_with("has no doc comment"), "{faults:?}");
        }
    }

    #[test]
    fn each_missing_version_is_found() {
        let lines: Vec<&str> = WHOLE.lines().collect();
        for (index, _) in lines.iter().enumerate().filter(|(_, line)| line.trim().starts_with('@')) {
            let without: Vec<&str> = [&lines[..index], &lines[index + 1..]].concat();
            let faults = undocumented(&without.join("\n"));
            assert_eq!(faults.len(), 1, "without line {}: {faults:?}", index + 1);
            assert!(faults[0].ends_with("has no `@since`"), "{faults:?}");
        }
    }

    #[test]
    fn members_on_one_line_cannot_hide() {
        let wit = "/// R.\n@since(version = 0.1.0)\nrecord r { size: u64 }\n";
        assert_eq!(undocumented(wit), ["3: `r` has its members on its own line"]);
        let wit = "/// F.\n@since(version = 0.1.0)\nf: func(a: u64) -> u64;\n";
        assert_eq!(undocumented(wit), ["3: `f` has its parameters on its own line"]);
    }

    #[test]
    fn a_doc_comment_that_says_nothing_is_none() {
        assert_eq!(undocumented("///\n@since(version = 0.1.0)\ntype t = u64;"), ["3: `t` has no doc comment"]);
    }

    #[test]
    fn versions_are_read_where_they_stand() {
        assert_eq!(package_version("package wharf:storage@0.1.0;"), Some("0.1.0"));
        assert_eq!(package_version("package wharf:storage;"), None);
        assert_eq!(host_version("pub const CONTRACT_VERSION: &str = \"0.2.1\";"), Some("0.2.1"));
        assert!(is_heading_of("## 0.1.0 (unreleased)", "0.1.0"));
        assert!(!is_heading_of("## 0.1.01", "0.1.0"));
    }
}
