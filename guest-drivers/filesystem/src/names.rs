//! Names on the disk.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns a path of the contract as one below the root directory.
pub(crate) fn relative(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        relative => relative,
    }
}

/// Returns the directory that holds a path, below the root directory.
pub(crate) fn parent(path: &str) -> &str {
    relative(path).rsplit_once('/').map_or(".", |(parent, _)| parent)
}

/// Returns a name for a file that is not finished, in the directory of `path`, so that a rename publishes it.
///
/// `~` keeps it out of every listing and out of every caller's reach, since no path may hold it. The number is random, so
/// that neither another instance nor one that died had the same.
pub(crate) fn temporary(path: &str) -> String {
    thread_local! { static COUNT: Cell<u64> = const { Cell::new(0) } }
    let count = COUNT.replace(COUNT.get().wrapping_add(1));
    let mut random = RandomState::new().build_hasher();
    random.write_u64(count);
    let name = format!("~wharf-{:016x}.tmp", random.finish());
    match parent(path) {
        "." => name,
        parent => format!("{parent}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_sdk::is_path_component;

    #[test]
    fn a_path_is_below_the_root_as_it_is() {
        assert_eq!(relative("/a/b"), "a/b");
        assert_eq!(relative("/"), ".");
        assert_eq!(parent("/a/b"), "a");
        assert_eq!(parent("/a"), ".");
    }

    #[test]
    fn a_temporary_lies_beside_its_file_and_in_nobodys_reach() {
        let name = temporary("/a/b/file");
        let name = name.strip_prefix("a/b/").expect("it lies beside the file");
        assert!(!is_path_component(name));
        assert!(!temporary("/file").contains('/'));
    }

    #[test]
    fn no_two_temporaries_have_one_name() {
        let names: std::collections::BTreeSet<_> = (0..1000).map(|_| temporary("/file")).collect();
        assert_eq!(names.len(), 1000);
    }
}
