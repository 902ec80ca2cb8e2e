//! Reading a directory a little at a time, when its reader asks for more: between the steps it holds a descriptor and some
//! names, and no thread.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::channel::oneshot;
use rustix::fs::{AtFlags, Dir, FileType, statat};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};
use wasmtime_wasi::p3::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use super::super::state::State;
use super::super::threads::Threads;
use super::{Outcome, error_code};

/// How many names one step brings, at most: of 255 bytes each they are 8 KiB.
const STEP: usize = 32;

/// A name in a directory, and what has it.
pub(super) struct Name {
    /// None: it is no text.
    pub(super) name: Option<String>,
    pub(super) file_type: FileType,
}

/// What one step brings: the directory, to be read on, and names; none at the end.
type Read = (Option<Dir>, io::Result<Vec<Name>>);

/// A directory that is being read.
pub(super) struct Directory {
    threads: Arc<Threads>,
    directory: Arc<File>,
    /// None: before the first step, while one is under way, and after the last.
    open: Option<Dir>,
    begun: bool,
    step: Option<JoinHandle<Read>>,
    names: VecDeque<Name>,
}

impl Directory {
    pub(super) fn new(directory: Arc<File>, threads: Arc<Threads>) -> Self {
        Directory { threads, directory, open: None, begun: false, step: None, names: VecDeque::new() }
    }

    /// Returns the next name; none at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Name>>> {
        loop {
            if let Some(name) = self.names.pop_front() {
                return Poll::Ready(Some(Ok(name)));
            }
            let step = match &mut self.step {
                Some(step) => step,
                None => {
                    let open = self.open.take();
                    if self.begun && open.is_none() {
                        return Poll::Ready(None);
                    }
                    self.begun = true;
                    let directory = Arc::clone(&self.directory);
                    self.step.insert(self.threads.spawn(move || read_step(&directory, open)))
                }
            };
            let read = ready!(Pin::new(step).poll(cx));
            self.step = None;
            match read.map_err(io::Error::from) {
                Ok((open, Ok(names))) => {
                    self.open = open.filter(|_| !names.is_empty());
                    self.names = names.into();
                }
                Ok((_, Err(error))) | Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// Does the same, for a call that waits.
    pub(super) async fn next(&mut self) -> Option<io::Result<Name>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// Reads some names. May block.
fn read_step(directory: &File, open: Option<Dir>) -> Read {
    let mut open = match open {
        Some(open) => open,
        // One that is opened anew, with a position of its own.
        None => match Dir::read_from(directory) {
            Ok(open) => open,
            Err(error) => return (None, Err(error.into())),
        },
    };
    let mut names = Vec::new();
    while names.len() < STEP {
        let Some(entry) = open.read() else { break };
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return (None, Err(error.into())),
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let file_type = match entry.file_type() {
            // Not every file system says it.
            FileType::Unknown => match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => FileType::from_raw_mode(found.st_mode),
                // Somebody has removed it.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(error) => return (None, Err(error.into())),
            },
            file_type => file_type,
        };
        names.push(Name { name: name.to_str().ok().map(str::to_owned), file_type });
    }
    (Some(open), Ok(names))
}

/// Says in the words of WASI 0.3 what something is.
pub(super) fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        _ => DescriptorType::Other(None),
    }
}

/// A directory as a stream of WASI 0.3: read when the guest reads.
pub(super) struct DirectoryProducer {
    pub(super) directory: Directory,
    pub(super) result: Option<oneshot::Sender<Outcome>>,
    /// Counts its descriptor.
    pub(super) _open: OwnedSemaphorePermit,
}

impl DirectoryProducer {
    fn end(&mut self, outcome: Outcome) {
        if let Some(result) = self.result.take() {
            // A guest that is gone does not want to know.
            let _ = result.send(outcome);
        }
    }
}

impl Drop for DirectoryProducer {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl StreamProducer<State> for DirectoryProducer {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A guest that asks for none wants to know whether there are any: it will see.
        let room = destination.remaining(&mut store).unwrap_or(STEP);
        if room == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut entries = Vec::new();
        let ended = loop {
            // What is there is delivered before the next step is waited for.
            if entries.len() == room || (!entries.is_empty() && self.directory.names.is_empty()) {
                break StreamResult::Completed;
            }
            match self.directory.poll_next(cx) {
                Poll::Ready(Some(Ok(Name { name: Some(name), file_type }))) => {
                    entries.push(DirectoryEntry { type_: descriptor_type(file_type), name });
                }
                Poll::Ready(Some(Ok(Name { name: None, .. }))) => {
                    self.end(Err(ErrorCode::IllegalByteSequence));
                    break StreamResult::Dropped;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.end(Err(error_code(error)));
                    break StreamResult::Dropped;
                }
                Poll::Ready(None) => {
                    self.end(Ok(()));
                    break StreamResult::Dropped;
                }
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        };
        store.data().stretch.progress();
        destination.set_buffer(entries.into());
        Poll::Ready(Ok(ended))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;
    use std::num::NonZeroU32;

    use super::*;

    #[tokio::test]
    async fn a_directory_comes_whole_in_steps_and_holds_no_thread_between_them() {
        let place = tempfile::tempdir().unwrap();
        let expected: BTreeSet<String> = (0..5 * STEP).map(|number| format!("file-{number}")).collect();
        for name in &expected {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        let threads = Arc::new(Threads::new(NonZeroU32::new(1).unwrap()).unwrap());
        let open = || Directory::new(Arc::new(File::open(place.path()).unwrap()), Arc::clone(&threads));
        // More of them than there are threads, each begun and left.
        let mut begun: Vec<Directory> = (0..8).map(|_| open()).collect();
        for directory in &mut begun {
            assert!(directory.next().await.unwrap().is_ok());
            assert!(directory.names.len() < STEP);
        }
        let mut directory = open();
        let mut found = BTreeSet::new();
        while let Some(name) = directory.next().await {
            let name = name.unwrap();
            assert_eq!(name.file_type, FileType::RegularFile);
            assert!(found.insert(name.name.unwrap()));
        }
        assert_eq!(found, expected);
        assert!(directory.next().await.is_none());
    }

    #[tokio::test]
    async fn a_directory_is_read_on_the_threads_of_its_driver() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        let threads = Arc::new(Threads::new(NonZeroU32::new(1).unwrap()).unwrap());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let busy = threads.spawn(move || held.recv().is_ok());
        let mut directory = Directory::new(Arc::new(File::open(place.path()).unwrap()), Arc::clone(&threads));
        let waited = tokio::time::timeout(std::time::Duration::from_millis(50), directory.next()).await;
        assert!(waited.is_err(), "their only thread is busy");
        release.send(()).unwrap();
        assert!(directory.next().await.unwrap().is_ok());
        assert!(busy.await.unwrap());
    }
}
