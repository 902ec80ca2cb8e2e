//! The session: what is done on each driver, step by step, and compared with what has to come out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use wharf::contract::{ByteRange, Entry, StorageDriver, StorageDriverExt, StoragePath, WriteMode};
use wharf::factory::{Factory, Parameters};

use super::source::{Content, Source};
use crate::pattern::{Pattern, STEP};

/// How many files of the tree are under way at a time.
const FILES_AT_A_TIME: usize = 8;

/// Files up to this size are put in one piece, larger ones as a stream.
const IN_ONE_PIECE: u64 = 1 << 20;

/// What is done, the same on every driver.
#[derive(Debug)]
pub(super) struct Plan {
    /// The tree that is stored.
    pub(super) source: Source,
    /// The bytes of the two streams.
    pattern: Pattern,
    /// The stream that is stored at once.
    pub(super) stream: Content,
    /// The stream whose upload is interrupted half-way.
    pub(super) upload: Content,
}

/// A driver of the demo.
#[derive(Debug)]
pub(super) struct Side {
    /// The name by which the factory opens it.
    pub(super) name: String,
    factory: Arc<Factory>,
    parameters: Parameters,
}

/// One step of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open,
    StoreTree,
    StoreStream,
    Interrupt,
    Resume,
    List,
    Walk,
    Move,
    ReadTree,
    ReadStreams,
    Delete,
}

/// The steps in their order.
pub(super) const STEPS: [Step; 11] = [
    Step::Open,
    Step::StoreTree,
    Step::StoreStream,
    Step::Interrupt,
    Step::Resume,
    Step::List,
    Step::Walk,
    Step::Move,
    Step::ReadTree,
    Step::ReadStreams,
    Step::Delete,
];

impl Plan {
    /// Plans a session with a tree, a stream of so many bytes, and an interrupted upload of so many.
    pub(super) fn new(source: Source, stream: u64, upload: u64) -> Self {
        let pattern = Pattern::new(STEP);
        let content = |size| Content { size, digest: pattern.digest(size) };
        Plan { source, stream: content(stream), upload: content(upload), pattern }
    }

    /// Returns where the interrupted upload is interrupted: half-way, and not between two chunks.
    pub(super) fn cut(&self) -> u64 {
        self.upload.size / 2 + 1
    }

    /// Returns every file that is stored, before the move or after it.
    fn files(&self, moved: bool) -> Result<BTreeMap<StoragePath, Content>> {
        let root = if moved { StoragePath::parse("/moved")? } else { StoragePath::root() };
        let tree = self.source.files.iter().map(|(path, content)| (format!("tree/{path}"), *content));
        let streams = [("streams/whole".to_owned(), self.stream), ("streams/resumed".to_owned(), self.upload)];
        tree.chain(streams).map(|(path, content)| Ok((root.join(&path)?, content))).collect()
    }
}

impl Side {
    /// A driver that the factory opens with these parameters.
    pub(super) fn new(factory: &Arc<Factory>, name: &str, parameters: Parameters) -> Self {
        Side { name: name.to_owned(), factory: Arc::clone(factory), parameters }
    }

    /// Opens the driver.
    pub(super) async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        Ok(self.factory.create(&self.name, self.parameters.clone()).await?)
    }
}

impl Step {
    /// Returns what the step does, in words.
    pub(super) fn describe(self, plan: &Plan) -> String {
        let files = plan.source.files.len();
        match self {
            Step::Open => "open the driver".to_owned(),
            Step::StoreTree => format!("store a tree: {files} files, {}", size(plan.source.size())),
            Step::StoreStream => format!("store a stream of {}", size(plan.stream.size)),
            Step::Interrupt => format!("upload half of {}, close", size(plan.upload.size)),
            Step::Resume => "open the driver again, go on, commit".to_owned(),
            Step::List => "list every directory".to_owned(),
            Step::Walk => "walk the whole store".to_owned(),
            Step::Move => format!("move {} files", files + 2),
            Step::ReadTree => format!("read {files} files, compare SHA-256"),
            Step::ReadStreams => format!("read {}, compare SHA-256", size(plan.stream.size + plan.upload.size)),
            Step::Delete => "delete everything".to_owned(),
        }
    }

    /// Returns how many bytes a step that is worth a rate moves.
    pub(super) fn bytes(self, plan: &Plan) -> Option<u64> {
        match self {
            Step::StoreStream => Some(plan.stream.size),
            Step::Interrupt => Some(plan.cut()),
            Step::Resume => Some(plan.upload.size - plan.cut()),
            Step::ReadStreams => Some(plan.stream.size + plan.upload.size),
            _ => None,
        }
    }

    /// Does the step on an opened driver, and compares what can be compared.
    pub(super) async fn run(self, plan: &Arc<Plan>, side: &Side, driver: &Arc<dyn StorageDriver>) -> Result<()> {
        match self {
            Step::Open => Ok(()),
            Step::StoreTree => store_tree(plan, driver).await,
            Step::StoreStream => store_stream(plan, &**driver).await,
            Step::Interrupt => interrupt(plan, &**driver).await,
            Step::Resume => resume(plan, &*side.open().await.context("could not open it again")?).await,
            Step::List => list(plan, &**driver).await,
            Step::Walk => walk(plan, &**driver).await,
            Step::Move => move_all(plan, driver).await,
            Step::ReadTree => read(plan, driver, "/moved/tree", FILES_AT_A_TIME).await,
            Step::ReadStreams => read(plan, driver, "/moved/streams", 1).await,
            Step::Delete => delete(&**driver).await,
        }
    }
}

async fn store_tree(plan: &Arc<Plan>, driver: &Arc<dyn StorageDriver>) -> Result<()> {
    let files: Vec<_> = plan.source.files.iter().map(|(path, content)| (path.clone(), *content)).collect();
    stream::iter(files.into_iter().map(Ok))
        .try_for_each_concurrent(FILES_AT_A_TIME, |(relative, content)| {
            let (plan, driver) = (Arc::clone(plan), Arc::clone(driver));
            async move {
                let (from, to) = (plan.source.root.join(&relative), StoragePath::parse(format!("/tree/{relative}"))?);
                let could_not = || format!("could not read {}", from.display());
                if content.size <= IN_ONE_PIECE {
                    let bytes = tokio::fs::read(&from).await.with_context(could_not)?;
                    return Ok(driver.put_content(&to, bytes.into()).await?);
                }
                let mut file = tokio::fs::File::open(&from).await.with_context(could_not)?;
                let mut writer = driver.writer(&to, WriteMode::New).await?;
                loop {
                    let mut chunk = bytes::BytesMut::with_capacity(STEP);
                    if file.read_buf(&mut chunk).await.with_context(could_not)? == 0 {
                        writer.commit().await?;
                        return Ok(());
                    }
                    writer.write(chunk.freeze()).await?;
                }
            }
        })
        .await
}

async fn store_stream(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let mut writer = driver.writer(&StoragePath::parse("/streams/whole")?, WriteMode::New).await?;
    for chunk in plan.pattern.chunks(0..plan.stream.size) {
        writer.write(chunk).await?;
    }
    let stored = writer.commit().await?;
    ensure!(stored == plan.stream.size, "{} bytes were written, and the commit says {stored}", plan.stream.size);
    Ok(())
}

async fn interrupt(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let mut writer = driver.writer(&StoragePath::parse("/streams/resumed")?, WriteMode::New).await?;
    for chunk in plan.pattern.chunks(0..plan.cut()) {
        writer.write(chunk).await?;
    }
    let kept = writer.close().await?;
    ensure!(kept == plan.cut(), "{} bytes were written, and {kept} were kept", plan.cut());
    Ok(())
}

async fn resume(plan: &Plan, another: &dyn StorageDriver) -> Result<()> {
    let mut writer = another.writer(&StoragePath::parse("/streams/resumed")?, WriteMode::Append).await?;
    let had = writer.size();
    if had != plan.cut() {
        writer.cancel().await?;
        bail!("the upload was closed at {} bytes, and goes on at {had}", plan.cut());
    }
    for chunk in plan.pattern.chunks(had..plan.upload.size) {
        writer.write(chunk).await?;
    }
    let stored = writer.commit().await?;
    ensure!(stored == plan.upload.size, "the upload has {} bytes, and the commit says {stored}", plan.upload.size);
    Ok(())
}

/// Returns the directories that lie above files, the root among them.
fn directories(files: &BTreeMap<StoragePath, Content>) -> BTreeSet<StoragePath> {
    files.keys().flat_map(|file| std::iter::successors(file.parent(), StoragePath::parent)).collect()
}

async fn list(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let files = plan.files(false)?;
    let directories = directories(&files);
    for directory in &directories {
        let mut found = BTreeSet::new();
        for entry in driver.list_all(directory).await? {
            same_size(&entry, &files)?;
            found.insert((entry.path, entry.is_dir));
        }
        let below = |path: &StoragePath| path.parent().as_ref() == Some(directory);
        let files = files.keys().map(|path| (path, false));
        let expected: BTreeSet<_> = directories
            .iter()
            .map(|path| (path, true))
            .chain(files)
            .filter(|(path, _)| below(path))
            .map(|(path, is_dir)| (path.clone(), is_dir))
            .collect();
        compare(&format!("the listing of {directory}"), &found, &expected)?;
    }
    Ok(())
}

async fn walk(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let expected = plan.files(false)?;
    let (mut files, mut found) = (BTreeSet::new(), BTreeSet::new());
    let mut entries = driver.walk(&StoragePath::root(), None).await?;
    while let Some(entry) = entries.try_next().await? {
        if entry.is_dir {
            found.insert(entry.path);
            continue;
        }
        same_size(&entry, &expected)?;
        files.insert(entry.path);
    }
    compare("the walk's files", &files, &expected.keys().cloned().collect())?;
    let mut directories = directories(&expected);
    directories.remove(&StoragePath::root());
    compare("the walk's directories", &found, &directories)
}

/// Compares the size that a listing tells, where it tells one.
fn same_size(entry: &Entry, expected: &BTreeMap<StoragePath, Content>) -> Result<()> {
    if let (Some(told), Some(content)) = (entry.size, expected.get(&entry.path)) {
        ensure!(told == content.size, "a listing says {told} bytes of {}, which has {}", entry.path, content.size);
    }
    Ok(())
}

/// Compares two sets, and tells the first difference of either kind.
fn compare<T: Ord + std::fmt::Debug>(what: &str, found: &BTreeSet<T>, expected: &BTreeSet<T>) -> Result<()> {
    if let Some(missing) = expected.difference(found).next() {
        bail!("{what} lacks {missing:?} ({} found, {} stored)", found.len(), expected.len());
    }
    if let Some(surplus) = found.difference(expected).next() {
        bail!("{what} has {surplus:?}, which was never stored ({} found, {} stored)", found.len(), expected.len());
    }
    Ok(())
}

async fn move_all(plan: &Plan, driver: &Arc<dyn StorageDriver>) -> Result<()> {
    let moves: Vec<_> = plan.files(false)?.into_keys().zip(plan.files(true)?).collect();
    stream::iter(moves.into_iter().map(Ok))
        .try_for_each_concurrent(FILES_AT_A_TIME, |(from, (to, content))| {
            let driver = Arc::clone(driver);
            async move {
                driver.move_file(&from, &to).await?;
                ensure!(!driver.exists(&from).await?, "{from} is still there after its move to {to}");
                let size = driver.stat(&to).await?.size;
                ensure!(size == content.size, "{to} has {size} bytes after its move, and {from} had {}", content.size);
                Ok(())
            }
        })
        .await
}

async fn read(plan: &Plan, driver: &Arc<dyn StorageDriver>, below: &str, at_a_time: usize) -> Result<()> {
    let below = StoragePath::parse(below)?;
    let files = plan.files(true)?.into_iter().filter(|(path, _)| below.contains(path));
    stream::iter(files.collect::<Vec<_>>())
        .map(Ok)
        .try_for_each_concurrent(at_a_time, |(path, content)| {
            let driver = Arc::clone(driver);
            async move {
                let mut reader = driver.reader(&path, ByteRange::ALL).await?;
                let (mut hash, mut size) = (Sha256::new(), 0);
                while let Some(chunk) = reader.try_next().await? {
                    let chunk: Bytes = chunk;
                    hash.update(&chunk);
                    size += chunk.len() as u64;
                }
                let read = Content { size, digest: hash.finalize().into() };
                ensure!(
                    read == content,
                    "{path} does not hold what was stored: {size} bytes were read and {} stored, and the SHA-256 is {} \
                     and not {}",
                    content.size,
                    hex(&read.digest),
                    hex(&content.digest)
                );
                Ok(())
            }
        })
        .await
}

/// Deletes what is left, and looks that nothing is there then. Directories may be left behind, empty.
async fn delete(driver: &dyn StorageDriver) -> Result<()> {
    for entry in driver.list_all(&StoragePath::root()).await? {
        driver.delete(&entry.path).await?;
    }
    let mut left = driver.walk(&StoragePath::root(), None).await?;
    while let Some(entry) = left.try_next().await? {
        ensure!(entry.is_dir, "{} is still there after it was deleted", entry.path);
    }
    Ok(())
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes > 0 && bytes.is_multiple_of(1024 * MIB) {
        format!("{} GiB", bytes / (1024 * MIB))
    } else if bytes > 0 && bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        indicatif::BinaryBytes(bytes).to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]
    use super::*;
    use wharf::drivers::inmemory::InMemory;
    use wharf_conformance::wrong::{Fault, Wrong};

    /// Runs the session on a driver in memory, which is spoilt by a fault if there is one.
    async fn session(fault: Option<Fault>) -> Result<()> {
        let tree = tempfile::tempdir().unwrap();
        for directory in ["a", "a-b", "a/c"] {
            std::fs::create_dir(tree.path().join(directory)).unwrap();
            std::fs::write(tree.path().join(directory).join("file"), directory).unwrap();
        }
        std::fs::write(tree.path().join("large"), vec![7; 3 << 20]).unwrap();
        let plan = Arc::new(Plan::new(Source::read(Some(tree.path())).unwrap(), 5 << 20, 2 << 20));

        // One store, however often it is opened: as a directory is.
        let store: Arc<dyn StorageDriver> = Arc::new(wharf::base::Base::new(Arc::new(InMemory::new())));
        let store = match fault {
            Some(fault) => Arc::new(Wrong::new(store, fault)),
            None => store,
        };
        let mut factory = Factory::new();
        factory.register("store", move |_| std::future::ready(Ok(Arc::clone(&store)))).unwrap();
        let side = Side::new(&Arc::new(factory), "store", Parameters::new());
        let driver = side.open().await?;
        for step in STEPS {
            step.run(&plan, &side, &driver).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_right_driver_comes_through() {
        session(None).await.unwrap();
    }

    #[tokio::test]
    async fn a_driver_that_gives_back_something_else_does_not() {
        let faults = [
            Fault::ReaderEndsEarly,
            Fault::ReordersChunks,
            Fault::CommitLosesTheTail,
            Fault::CommitTellsAnotherSize,
            Fault::AppendStartsAnew,
            Fault::CloseLosesTheTail,
            Fault::StatOneByteOff,
            Fault::RootListIsEmpty,
            Fault::ListLosesPrefixes,
            Fault::ListTellsWrongSizes,
            Fault::WalkLosesDirectories,
            Fault::MoveLeavesTheSource,
            Fault::DeleteDoesNothing,
        ];
        for fault in faults {
            assert!(session(Some(fault)).await.is_err(), "{fault:?}");
        }
    }

    #[test]
    fn sizes_are_told_in_whole_units_where_they_are_whole() {
        assert_eq!(size(1 << 30), "1 GiB");
        assert_eq!(size(72 << 20), "72 MiB");
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1536), "1.50 KiB");
    }
}
