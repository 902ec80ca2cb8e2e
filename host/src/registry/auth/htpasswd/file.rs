//! The file, read again when it changes.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::super::OpenError;
use super::entries::Entries;

/// The largest file that is read, in bytes: about 200,000 users.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// How long the file is taken to be as it was.
const FRESH: Duration = Duration::from_secs(1);
/// How long a request waits for the file. It is longer only where a disk or a network does not answer.
const WAIT: Duration = Duration::from_secs(5);
/// A file that changed so recently may change again under the same time: file systems count in steps of up to 2 s.
const SETTLED: Duration = Duration::from_secs(2);

/// The file, and its entries as they were when it was last looked at.
///
/// It is looked at by the request that finds it due, in a blocking thread; the others wait for that one, so that nobody
/// is let in by entries that are older than a second.
pub(super) struct File {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// The entries, or why there are none.
    entries: Result<Arc<Entries>, String>,
    /// What the file was when it was read; `None` reads it again.
    stamp: Option<Stamp>,
    checked: Instant,
    /// A look at the file that began and whose end nobody has seen yet: the request that began it may be gone.
    look: Option<JoinHandle<Look>>,
}

/// What changes when a file does.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    /// Editors put a new file in the place of the old.
    #[cfg(unix)]
    identity: (u64, u64),
}

enum Look {
    Unchanged,
    /// With no stamp if it has to be read again the next time, whatever its stamp is then.
    Read(Entries, Option<Stamp>),
    Failed(String),
}

impl File {
    /// Reads the file. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let (entries, stamp) = match look(path, None) {
            Ok(Look::Read(entries, stamp)) => (entries, stamp),
            Ok(Look::Failed(why)) => return Err(OpenError::wrong("auth: htpasswd: path", path, why)),
            // It cannot be unchanged without a stamp to compare with.
            Ok(Look::Unchanged) => return Err(OpenError::new("`auth: htpasswd: path` was not read")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::new(format!(
                    "the file {0} of `auth: htpasswd: path` does not exist; create it with `htpasswd -Bc {0} USER`",
                    path.display()
                )));
            }
            Err(error) => return Err(OpenError::unreadable("auth: htpasswd: path", path, error)),
        };
        log_unusable(path, &entries);
        if entries.len() == 0 {
            tracing::warn!(path = %path.display(), "the htpasswd file has no users: nobody can log in");
        }
        let state = State { entries: Ok(Arc::new(entries)), stamp, checked: Instant::now(), look: None };
        Ok(File { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// Returns the entries, not older than a second; or why there are none, for people, without the file's name.
    ///
    /// # Cancel safety
    ///
    /// A look that began goes on, and the next caller gets what it saw.
    pub(super) async fn entries(&self) -> Result<Arc<Entries>, String> {
        timeout(WAIT, self.fresh()).await.unwrap_or_else(|_| {
            tracing::error!(path = %self.path.display(), "the htpasswd file cannot be looked at: no answer for {WAIT:?}");
            Err("the users' passwords could not be read in time; try again later".to_owned())
        })
    }

    async fn fresh(&self) -> Result<Arc<Entries>, String> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        if state.look.is_none() && state.checked.elapsed() >= FRESH {
            let (path, stamp) = (self.path.clone(), state.stamp.clone());
            // From here on: a change after this instant may be missed, one before it is seen.
            state.checked = Instant::now();
            state.look = Some(spawn_blocking(move || {
                look(&path, stamp.as_ref()).unwrap_or_else(|error| Look::Failed(format!("it cannot be read: {error}")))
            }));
        }
        if let Some(look) = &mut state.look {
            let seen = look.await.unwrap_or_else(|_| Look::Failed("the server is shutting down".to_owned()));
            state.look = None;
            self.keep(state, seen);
        }
        state.entries.clone()
    }

    /// Puts other entries in the place of the file's.
    #[cfg(test)]
    pub(super) fn replace(&mut self, entries: Entries) {
        self.state.get_mut().entries = Ok(Arc::new(entries));
    }

    fn keep(&self, state: &mut State, seen: Look) {
        let path = self.path.display();
        match seen {
            Look::Unchanged => {}
            Look::Read(entries, stamp) => {
                tracing::debug!(%path, users = entries.len(), "the htpasswd file was read again");
                log_unusable(&self.path, &entries);
                state.entries = Ok(Arc::new(entries));
                state.stamp = stamp;
            }
            Look::Failed(why) => {
                // Once, not each second.
                if state.entries.is_ok() {
                    tracing::error!(%path, why, "the htpasswd file is wrong; nobody is let in until it is right");
                }
                state.entries = Err("the users' passwords cannot be read; the server's log says why".to_owned());
                state.stamp = None;
            }
        }
    }
}

/// Says which users cannot log in.
fn log_unusable(path: &Path, entries: &Entries) {
    for why in entries.unusable() {
        tracing::error!(path = %path.display(), "in the htpasswd file, {why}");
    }
}

/// Reads the file if its stamp is another one. Blocks.
fn look(path: &Path, known: Option<&Stamp>) -> io::Result<Look> {
    // Before it is read: what is changed meanwhile has a later stamp, and is read the next time.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        // A pipe would block until somebody writes to it.
        return Ok(Look::Failed("it is no regular file".to_owned()));
    }
    if metadata.len() > MAX_FILE {
        return Ok(Look::Failed(format!("it is larger than {MAX_FILE} bytes")));
    }
    let stamp = stamp(&metadata)?;
    if known == Some(&stamp) {
        return Ok(Look::Unchanged);
    }
    let mut text = Vec::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut text)?;
    let settled = stamp.modified.elapsed().is_ok_and(|age| age >= SETTLED);
    Ok(match Entries::parse(&text) {
        Ok(entries) => Look::Read(entries, settled.then_some(stamp)),
        Err(why) => Look::Failed(why),
    })
}

fn stamp(metadata: &fs::Metadata) -> io::Result<Stamp> {
    Ok(Stamp {
        modified: metadata.modified()?,
        length: metadata.len(),
        #[cfg(unix)]
        identity: {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        },
    })
}
