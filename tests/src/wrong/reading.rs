//! Drivers that only read and break one promise each: for the cases on content that is provided.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::base::Base;
use wharf::contract::{
    ByteRange, Capabilities, Cursor, Entry, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode,
};

use crate::{Provided, Selection, Subject, Verdict, all_cases, run};

macro_rules! faults {
    ($($fault:ident $breaks:literal;)+) => {
        /// One broken promise of a driver that only reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum ReadingFault {
            $($fault,)+
        }

        impl ReadingFault {
            const ALL: &'static [ReadingFault] = &[$(ReadingFault::$fault),+];

            /// Returns the case that names the promise broken.
            fn breaks(self) -> &'static str {
                match self {
                    $(ReadingFault::$fault => $breaks,)+
                }
            }
        }
    };
}

faults! {
    EmptyFileIsADirectory "provided_files_are_told";
    LastBlockIsWrong "provided_files_are_read";
    GetIsCutAtAMebibyte "provided_files_are_read";
    RangeIsOffByOne "provided_ranges_are_read";
    RangeBeyondTheEndIsEmpty "provided_ranges_are_read";
    FileReadsAsADirectory "provided_directories_are_told";
    DirectoryOfDirectoriesIsMissing "provided_directories_are_told";
    PageAfterAThousandIsMissing "provided_directories_are_listed";
    FileIsMissingInItsListing "provided_directories_are_listed";
    StartIsListedToo "provided_listings_start_after";
    StartThatIsNotThereIsIgnored "provided_listings_start_after";
    WalkLeavesOutEmptyFiles "provided_tree_is_walked";
    ListingTellsAnotherTime "provided_facts_agree";
    TimeIsNow "provided_facts_agree";
    PrefixIsADirectory "what_is_not_provided_is_missing";
    MissingIsOther "what_is_not_provided_is_missing";
    InstancesHaveVersionsOfTheirOwn "provided_to_every_instance";
    ReadersShareAPlace "provided_to_many_readers";
    ReadersAreNeverClosed "provided_to_many_readers";
    LongPathsFail "what_is_not_provided_is_missing";
    OneAddressForAll "provided_addresses";
    TakesPuts "changes_are_unsupported";
    DeclaresDurable "only_reading_is_promised";
}

/// A driver that only reads, from memory, with one fault or none.
#[derive(Debug)]
struct OnlyReads {
    provided: Provided,
    fault: Option<ReadingFault>,
    /// Which instance this is.
    instance: u64,
    /// How many readers it opened.
    opened: AtomicU64,
    /// What readers share that should not.
    place: Arc<AtomicU64>,
}

impl OnlyReads {
    fn has(&self, fault: ReadingFault) -> bool {
        self.fault == Some(fault)
    }

    fn info(&self, path: &StoragePath) -> Result<FileInfo> {
        if path.as_str().len() > 300 && self.has(ReadingFault::LongPathsFail) {
            return Err(Error::new(ErrorKind::Other, "the path is too long"));
        }
        let size = self.provided.files().find(|(file, _)| *file == path).map(|(_, size)| size);
        let Some(size) = size else {
            let is_directory = self.provided.may_have(path) || path.is_root();
            let has_files = self.provided.children(path).iter().any(|child| !child.is_dir);
            if is_directory && (has_files || path.is_root() || !self.has(ReadingFault::DirectoryOfDirectoriesIsMissing))
            {
                return Ok(FileInfo::directory(path.clone()));
            }
            let begins = |(file, _): (&StoragePath, u64)| file.as_str().starts_with(path.as_str());
            if self.has(ReadingFault::PrefixIsADirectory) && self.provided.files().any(begins) {
                return Ok(FileInfo::directory(path.clone()));
            }
            if self.has(ReadingFault::MissingIsOther) {
                return Err(Error::new(ErrorKind::Other, "no such member"));
            }
            return Err(Error::path_not_found(path));
        };
        let is_dir = size == 0 && self.has(ReadingFault::EmptyFileIsADirectory);
        let modified = if self.has(ReadingFault::TimeIsNow) { std::time::SystemTime::now() } else { UNIX_EPOCH };
        let version = self.has(ReadingFault::InstancesHaveVersionsOfTheirOwn).then(|| self.instance.to_string());
        Ok(FileInfo { size, is_dir, modified: Some(modified), version, ..FileInfo::directory(path.clone()) })
    }

    fn entries(&self, positions: Vec<Position>) -> EntryStream {
        let late = self.has(ReadingFault::ListingTellsAnotherTime);
        let modified = UNIX_EPOCH + Duration::from_secs(u64::from(late));
        let entry = |at: Position| {
            let size = self.info(&at.path).ok().filter(|_| !at.is_dir).map(|info| info.size);
            Ok(Entry { path: at.path, is_dir: at.is_dir, size, modified: Some(modified).filter(|_| !at.is_dir) })
        };
        stream::iter(positions.into_iter().map(entry).collect::<Vec<_>>()).boxed()
    }
}

#[async_trait]
impl StorageDriver for OnlyReads {
    fn name(&self) -> &str {
        "only-reads"
    }

    fn capabilities(&self) -> Capabilities {
        let durable = self.has(ReadingFault::DeclaresDurable);
        Capabilities { read_only: true, redirect: true, durable, ..Capabilities::default() }
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let reader = self.reader(path, ByteRange::ALL).await?;
        let chunks: Vec<Bytes> = reader.try_collect().await?;
        let mut content = chunks.concat();
        if self.has(ReadingFault::GetIsCutAtAMebibyte) {
            content.truncate(1 << 20);
        }
        Ok(content.into())
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        if self.has(ReadingFault::ReadersAreNeverClosed) && self.opened.fetch_add(1, Ordering::Relaxed) > 1024 {
            return Err(Error::new(ErrorKind::Other, "too many open files"));
        }
        let info = self.info(path)?;
        if info.is_dir && !self.has(ReadingFault::FileReadsAsADirectory) {
            return Err(Error::path_not_found(path));
        }
        if info.is_dir {
            return Ok(Reader::new(FileInfo { is_dir: false, ..info }, stream::empty().boxed()));
        }
        let count = match range.count_in(info.size) {
            Some(count) => count,
            None if self.has(ReadingFault::RangeBeyondTheEndIsEmpty) => {
                let beyond = FileInfo { size: range.offset, ..info };
                return Ok(Reader::new(beyond, stream::empty().boxed()));
            }
            None => return Err(Error::invalid_offset(path, range.offset)),
        };
        let off_by_one = u64::from(range.offset > 0 && self.has(ReadingFault::RangeIsOffByOne));
        let bytes = self.provided.bytes(path, range.offset - off_by_one, count as usize);
        let mut bytes = bytes.map_err(|failure| Error::new(ErrorKind::Other, failure.to_string()))?.to_vec();
        if self.has(ReadingFault::LastBlockIsWrong) && range.offset == 0 && count > 65_536 {
            bytes[65_536..].fill(0);
        }
        let chunks: Vec<Bytes> = bytes.chunks(30_000).map(Bytes::copy_from_slice).collect();
        let (shared, place) = (self.has(ReadingFault::ReadersShareAPlace), Arc::clone(&self.place));
        let chunks = stream::iter(chunks.clone().into_iter().enumerate()).map(move |(index, chunk)| {
            let seen = place.swap(index as u64, Ordering::Relaxed);
            Ok(match chunks.get(seen as usize + 1) {
                Some(theirs) if shared && theirs.len() == chunk.len() => theirs.clone(),
                _ => chunk,
            })
        });
        Ok(Reader::new(info, chunks.boxed()))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.info(path)
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        if !self.info(path)?.is_dir {
            return Err(Error::path_not_found(path));
        }
        let mut children = self.provided.children(path);
        let ignores = self.has(ReadingFault::StartThatIsNotThereIsIgnored);
        if let Some(after) = start_after.filter(|after| !ignores || children.contains(after)) {
            let too = self.has(ReadingFault::StartIsListedToo);
            children.retain(|child| child > after || too && child == after);
        }
        if self.has(ReadingFault::PageAfterAThousandIsMissing) {
            children.truncate(1000);
        }
        if self.has(ReadingFault::FileIsMissingInItsListing) && start_after.is_none() {
            children.pop();
        }
        Ok(self.entries(children))
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let mut tree = self.provided.tree(path);
        if let Some(Cursor { after, below }) = start {
            let prefix = after.path.as_prefix();
            let is_passed = |at: &Position| after.is_dir && !below && at.path.as_str().starts_with(&prefix);
            tree.retain(|at| at > after && !is_passed(at));
        }
        if self.has(ReadingFault::WalkLeavesOutEmptyFiles) {
            tree.retain(|at| at.is_dir || self.info(&at.path).is_ok_and(|info| info.size > 0));
        }
        Ok(self.entries(tree))
    }

    async fn redirect_url(&self, path: &StoragePath, _: &RedirectRequest) -> Result<Option<String>> {
        let path = if self.has(ReadingFault::OneAddressForAll) { "/one" } else { path.as_str() };
        Ok(Some(format!("http://store.example{path}")))
    }

    async fn put_content(&self, _: &StoragePath, _: Bytes) -> Result<()> {
        if self.has(ReadingFault::TakesPuts) { Ok(()) } else { Err(Error::unsupported("it only reads")) }
    }

    async fn writer(&self, _: &StoragePath, _: WriteMode) -> Result<Box<dyn FileWriter>> {
        Err(Error::unsupported("it only reads"))
    }

    async fn move_file(&self, _: &StoragePath, _: &StoragePath) -> Result<()> {
        Err(Error::unsupported("it only reads"))
    }

    async fn delete(&self, _: &StoragePath) -> Result<()> {
        Err(Error::unsupported("it only reads"))
    }

    async fn delete_files(&self, _: &[StoragePath]) -> Result<()> {
        Err(Error::unsupported("it only reads"))
    }

    async fn uploads(&self, _: &StoragePath) -> Result<EntryStream> {
        Err(Error::unsupported("it only reads"))
    }
}

struct ReadingSubject {
    name: String,
    provided: Provided,
    fault: Option<ReadingFault>,
    instances: AtomicU64,
    place: Arc<AtomicU64>,
}

impl ReadingSubject {
    fn new(provided: &Provided, fault: Option<ReadingFault>) -> Self {
        let name = fault.map_or("the right driver that only reads".to_owned(), |fault| format!("{fault:?}"));
        ReadingSubject { name, provided: provided.clone(), fault, instances: AtomicU64::new(0), place: Arc::default() }
    }
}

#[async_trait]
impl Subject for ReadingSubject {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        let instance = self.instances.fetch_add(1, Ordering::Relaxed);
        let (provided, place) = (self.provided.clone(), Arc::clone(&self.place));
        let driver: Arc<dyn StorageDriver> =
            Arc::new(OnlyReads { provided, fault: self.fault, instance, opened: AtomicU64::new(0), place });
        // What base refuses shows where it is not, though it should be.
        Ok(if self.fault == Some(ReadingFault::TakesPuts) { driver } else { Arc::new(Base::new(driver)) })
    }

    fn provided(&self) -> Option<&Provided> {
        Some(&self.provided)
    }
}

/// Runs the cases for drivers that only read on a right one and on each wrong one. Returns how many wrong ones there are, and what
/// is wrong with the cases.
///
/// # Errors
///
/// The driver's error if it cannot be opened.
pub async fn only_reads() -> Result<(usize, Vec<String>)> {
    let pattern = |seed: usize, size: usize| (0..size).map(|index| ((index * 7 + seed) % 251) as u8).collect::<Bytes>();
    let names = [("/a", 5), ("/a-b", 0), ("/d/x", 200_000), ("/d/e/f/g", 1), ("/d.e", 512), ("/large", 3 << 20)];
    let many = (0..1100).map(|index| (format!("/many/{index:04}"), index));
    let files = names.into_iter().map(|(name, size)| (name.to_owned(), size)).chain(many).enumerate();
    let files: Result<Vec<_>> =
        files.map(|(seed, (name, size))| Ok((StoragePath::parse(name)?, pattern(seed, size)))).collect();
    let provided = Provided::from_files(files?);
    let selection = Selection::default();
    let right = run(Arc::new(ReadingSubject::new(&provided, None)), &selection).await?;
    let mut faults: Vec<String> = right
        .cases
        .iter()
        .filter(|case| case.outcome != Verdict::Passed)
        .map(|case| format!("{} does not pass {}: {}", right.driver, case.case, case.reason.as_deref().unwrap_or("")))
        .collect();
    for fault in ReadingFault::ALL {
        let selection = Selection { filter: Some(fault.breaks().to_owned()), ..selection.clone() };
        let report = run(Arc::new(ReadingSubject::new(&provided, Some(*fault))), &selection).await?;
        if !report.cases.iter().any(|case| case.case == fault.breaks() && case.outcome == Verdict::Failed) {
            faults.push(format!("{fault:?} was not caught by {}", fault.breaks()));
        }
    }
    for case in all_cases().iter().filter(|case| case.only_reads) {
        if !ReadingFault::ALL.iter().any(|fault| fault.breaks() == case.name) {
            faults.push(format!("no wrong driver breaks the promise of {}", case.name));
        }
    }
    Ok((ReadingFault::ALL.len(), faults))
}
