//! Uploads: a new one into a temporary that is renamed at the end, a continued one in place.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use tokio::task::JoinHandle;

use super::error::{Intent, error};
use super::gate::{Caller, Gate};
use super::lock::lock;
use super::root::{Root, name};
use super::temporary::{Seen, Temporary};
use super::{blocking, store};
use crate::base::permit::spawn_blocking;
use crate::contract::{Error, ErrorKind, FileWriter, Result, StoragePath, WriteMode};

/// Smaller pieces are gathered to this size, in bytes; larger ones are written as they come, without a copy.
const STEP: usize = 256 * 1024;

/// The same while more than [`MANY`] writers are open: what they hold adds up, and they wait for one another.
const SMALL_STEP: usize = 64 * 1024;

/// How many writers take large steps.
const MANY: usize = 8;

/// How many writers are open in this process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// How long a writer waits for the one before it: one that was dropped keeps its lock until its last write is done.
const PATIENCE: Duration = Duration::from_secs(5);

/// How an upload ends that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// To be continued. It does not replace what came to its path while it was open.
    Close,
    /// As the file. It replaces what is there.
    Commit,
}

/// Where the bytes go.
enum Target {
    /// A file that is renamed over the path at close and commit, as Distribution's readers expect to find it; with what was
    /// at the path when the writer was opened.
    Temporary(Temporary, Seen),
    /// The file at the path, continued as Distribution does.
    InPlace(Arc<File>),
}

/// An upload and where it has come to. Everything here blocks.
struct Upload {
    root: Arc<Root>,
    path: StoragePath,
    target: Target,
}

/// The writer. Holds at most two steps: the one that is gathered, and the one that is being written.
pub(super) struct Writer {
    /// None once the upload has ended.
    upload: Option<Upload>,
    file: Arc<File>,
    path: StoragePath,
    /// How many bytes are on their way to the file, or in it.
    written: u64,
    gathered: BytesMut,
    /// The write that is under way, and where it began.
    pending: Option<(u64, JoinHandle<io::Result<()>>)>,
    /// Whether bytes of a failed write may lie beyond `written`.
    failed: bool,
}

impl Writer {
    /// Begins an upload, or continues one.
    pub(super) async fn open(root: Arc<Root>, path: StoragePath, mode: WriteMode) -> Result<Self> {
        let (upload, file, written) = blocking(move || {
            let (target, file, size) = match mode {
                WriteMode::New => {
                    let temporary = begin(&root, &path)?;
                    let file = Arc::clone(temporary.file());
                    let seen = Seen::at(temporary.directory(), name(&path));
                    (Target::Temporary(temporary, seen), file, 0)
                }
                WriteMode::Append => {
                    let (file, size) = resume(&root, &path)?;
                    (Target::InPlace(Arc::clone(&file)), file, size)
                }
            };
            Ok((Upload { root, path, target }, file, size))
        })
        .await?;
        let path = upload.path.clone();
        OPEN.fetch_add(1, Ordering::Relaxed);
        Ok(Writer {
            upload: Some(upload),
            file,
            path,
            written,
            gathered: BytesMut::new(),
            pending: None,
            failed: false,
        })
    }

    /// Waits for the write that is under way.
    async fn wait(&mut self) -> Result<()> {
        let Some((from, pending)) = &mut self.pending else { return Ok(()) };
        let from = *from;
        let done = pending.await.map_err(io::Error::from).flatten();
        self.pending = None;
        done.map_err(|found| {
            self.written = from;
            self.gathered.clear();
            self.failed = true;
            error(&self.path, Intent::Store, found)
        })
    }

    /// Begins to write, once the write before is done.
    async fn begin(&mut self, data: Bytes) -> Result<()> {
        self.wait().await?;
        let (file, from) = (Arc::clone(&self.file), self.written);
        self.written += data.len() as u64;
        self.pending = Some((from, spawn_blocking(move || file.write_all_at(&data, from))));
        Ok(())
    }

    async fn finish(&mut self, end: End) -> Result<u64> {
        // A write that fails now has failed the close: what was stored before it is kept, and can be continued.
        let mut flushed = Ok(());
        if !self.gathered.is_empty() {
            let gathered = self.gathered.split().freeze();
            flushed = self.begin(gathered).await;
        }
        let flushed = flushed.and(self.wait().await);
        let (size, failed) = (self.written, self.failed);
        let Some(upload) = self.upload.take() else { return Ok(size) };
        let caller = Caller::default();
        let gate = caller.gate();
        let finished = blocking(move || upload.finish(end, size, failed, &gate)).await;
        flushed.and(finished).map(|()| size)
    }
}

/// Begins a file that is not there yet.
fn begin(root: &Root, path: &StoragePath) -> Result<Temporary> {
    if store::stat(root, path).is_ok_and(|found| found.is_dir) {
        return Err(Error::invalid_path(path, "a directory is there; delete it, or use another path"));
    }
    store::again_where_deleted(|| Temporary::create(root.make_parent(path)?))
        .map_err(|found| error(path, Intent::Store, found))
}

/// Opens a file to be continued; with its size.
fn resume(root: &Root, path: &StoragePath) -> Result<(Arc<File>, u64)> {
    // Without waiting: a named pipe would wait for a reader.
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let missing = |found| error(path, Intent::Find, found);
    let open = |directory: &Dir, rest: &str| directory.open_with(rest, &options);
    let file = root.beneath(path.relative(), open).map_err(missing)?.into_std();
    if !file.metadata().map_err(missing)?.is_file() {
        return Err(Error::path_not_found(path));
    }
    lock(&file, path, PATIENCE)?;
    // Whoever had the lock may have moved or deleted it: what was opened is then not what is at the path.
    let metadata = file.metadata().map_err(missing)?;
    if !is_at(root, path, &metadata) {
        return Err(Error::path_not_found(path));
    }
    Ok((Arc::new(file), metadata.len()))
}

impl Upload {
    /// Keeps the upload at its path: in Distribution's layout a closed upload lies where a committed file does.
    fn finish(self, end: End, size: u64, failed: bool, gate: &Gate) -> Result<()> {
        let Upload { root, path, target } = self;
        let failed_to = |found| error(&path, Intent::Store, found);
        let conflict = |message| Error::new(ErrorKind::Conflict, message).with_path(&path);
        let deleted = || conflict("the upload was deleted meanwhile");
        match target {
            Target::Temporary(temporary, seen) => {
                if failed {
                    temporary.file().set_len(size).map_err(failed_to)?;
                }
                let published = match end {
                    End::Commit => temporary.publish(root.names(), name(&path), gate),
                    End::Close => temporary.publish_over(root.names(), &seen, name(&path), gate),
                };
                match published {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Err(deleted()),
                    Err(error) if end == End::Close && error.kind() == io::ErrorKind::AlreadyExists => {
                        Err(conflict("somebody else stored a file at the path while this upload was open"))
                    }
                    published => published.map_err(failed_to),
                }
            }
            Target::InPlace(file) => {
                if failed {
                    gate.pass(|| file.set_len(size)).map_err(failed_to)?;
                }
                file.sync_all().map_err(failed_to)?;
                let ours = file.metadata().map_err(failed_to)?;
                if !is_at(&root, &path, &ours) {
                    return Err(deleted());
                }
                if ours.len() != size {
                    let message = format!("another writer continued it too: it has {} bytes, not {size}", ours.len());
                    return Err(Error::new(ErrorKind::Conflict, message).with_path(&path));
                }
                Ok(())
            }
        }
    }

    /// Throws the upload away.
    fn cancel(self, gate: &Gate) -> Result<()> {
        let Upload { root, path, target } = self;
        let failed = |found| error(&path, Intent::Store, found);
        let Target::InPlace(file) = target else { return Ok(()) };
        // Not what somebody else has put there since.
        if is_at(&root, &path, &file.metadata().map_err(failed)?) {
            let parent = root.parent(&path).map_err(failed)?;
            match gate.pass(|| parent.remove_file(name(&path))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.and_then(|()| root.names().sync(&parent)).map_err(failed)?,
            }
        }
        Ok(())
    }
}

/// Returns whether the file at the path is this one.
fn is_at(root: &Root, path: &StoragePath, ours: &std::fs::Metadata) -> bool {
    use cap_std::fs::MetadataExt;
    let there = root.beneath(path.relative(), |directory, rest| directory.metadata(rest));
    there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.written + self.gathered.len() as u64
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        let step = if OPEN.load(Ordering::Relaxed) > MANY { SMALL_STEP } else { STEP };
        if self.gathered.is_empty() && data.len() >= step {
            return self.begin(data).await;
        }
        if self.gathered.len() + data.len() >= step {
            // Waited for first: should this be dropped meanwhile, nothing has been taken yet.
            self.wait().await?;
            let mut gathered = std::mem::take(&mut self.gathered);
            gathered.extend_from_slice(&data);
            return self.begin(gathered.freeze()).await;
        }
        self.gathered.extend_from_slice(&data);
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        self.finish(End::Close).await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        self.finish(End::Commit).await
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        // Whatever became of it, it is thrown away.
        let _ = self.wait().await;
        match self.upload.take() {
            Some(upload) => {
                let caller = Caller::default();
                let gate = caller.gate();
                blocking(move || upload.cancel(&gate)).await
            }
            None => Ok(()),
        }
    }
}

/// Counts as closed, with what had been stored: nothing of a new upload, and of a continued one the writes that were
/// complete. Nothing is published here: by the time that a blocking thread came to it, the path could be somebody else's.
impl Drop for Writer {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
        // The write that is in flight keeps the file, and so the lock of a continued upload, until it is done.
        let Some(upload) = self.upload.take() else { return };
        // Removing a large temporary takes a while, and touches nothing but that.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(upload))),
            Err(_) => drop(upload),
        }
    }
}
