//! A path is accepted exactly if it is the root, or matches `^(/[A-Za-z0-9._-]+)+$` without components `.` and `..`; and
//! what is accepted prints as it was written.

use wharf::contract::{ErrorKind, StoragePath, printable};

/// Holds the parser against a grammar that is written another way.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match StoragePath::parse(text) {
        Ok(path) => {
            assert!(is_path(text), "{text:?} was accepted");
            assert_eq!(path.to_string(), text);
            assert_eq!(StoragePath::parse(path.to_string()).expect("it was accepted before"), path);
            let rebuilt = path.components().try_fold(StoragePath::root(), |above, name| above.join(name));
            assert_eq!(rebuilt.expect("its components are components"), path);
            if let Some(parent) = path.parent() {
                assert!(parent.contains(&path) && is_path(parent.as_str()), "{parent} is not the parent of {path}");
            }
        }
        Err(error) => {
            assert!(!is_path(text), "{text:?} was refused: {error}");
            // An error shows nothing that drives a terminal.
            assert_eq!((error.kind(), error.path()), (&ErrorKind::InvalidPath, Some(&*printable(text))));
        }
    }
}

/// The grammar, character by character.
fn is_path(text: &str) -> bool {
    if text == "/" {
        return true;
    }
    // The component so far; none before the first slash.
    let mut component: Option<String> = None;
    for character in text.chars().chain(['/']) {
        match (character, &mut component) {
            ('/', None) => component = Some(String::new()),
            ('/', Some(name)) if matches!(&**name, "" | "." | "..") => return false,
            ('/', Some(name)) => name.clear(),
            ('A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-', Some(name)) => name.push(character),
            _ => return false,
        }
    }
    text.len() > 1
}
