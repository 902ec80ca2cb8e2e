//! A driver that keeps its files in a log: what is changed is written behind what is there, and where each file's bytes lie is
//! kept in memory and found again when the driver is opened.
//!
//! Two instances would write over one another, so it is of [`Instances::Exclusive`]: the host opens one at a time. It is an
//! example, and not finished: nothing is ever taken out of the log, and nothing is brought to the disk before it is acknowledged,
//! so that it does not declare `durable`.

mod record;
mod segment;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::lock::Mutex;
use serde::Deserialize;
use wharf_sdk::files::{Dir, File, Open};
use wharf_sdk::{
    BufferedWriter, ByteRange, Capabilities, Entry, Error, FileInfo, Instances, Listing, Position, Reader, Result,
    StorageDriver, Timestamp, WriteMode,
};

use record::Record;
use segment::Segment;

/// The largest upload, which is held in memory until its commit.
const UPLOAD: u64 = 128 << 20;

/// What the host's configuration says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The directory as the component sees it: one that is granted for writing, or one below it.
    directory: String,
}

/// Where a file's bytes lie.
#[derive(Clone)]
struct Place {
    segment: Rc<Segment>,
    offset: u64,
    size: u64,
    modified: Timestamp,
}

impl Place {
    fn info(&self, path: &str) -> FileInfo {
        // No two contents have a place in common.
        let version = format!("{}-{}", self.segment.number, self.offset);
        FileInfo::file(path, self.size).with_modified(self.modified).with_version(version)
    }
}

type Index = BTreeMap<String, Place>;

/// The end of the log. Whoever has it writes; others wait.
struct End {
    file: File,
    segment: Rc<Segment>,
    offset: u64,
    /// Whether a record is being written, or could not be: the segment ends in front of it then.
    is_broken: bool,
}

impl End {
    /// Begins a segment.
    async fn begin(directory: &Dir, number: u64) -> Result<Self> {
        let name = segment::name(number);
        let file = directory.open(&name, Open::CreateNew).await?;
        let segment = Rc::new(Segment { number, file: directory.open(&name, Open::Read).await? });
        Ok(End { file, segment, offset: 0, is_broken: false })
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        let length = bytes.len() as u64;
        self.file.write(self.offset, bytes).await?;
        self.offset += length;
        Ok(())
    }
}

struct Store {
    directory: Dir,
    index: RefCell<Index>,
    end: Mutex<End>,
}

/// The driver. Clones share the one store.
#[derive(Clone)]
struct Log(Rc<Store>);

wharf_sdk::export!(Log);

impl Log {
    /// Writes the records that a change comes to, with the content of a put, and then counts them. `change` sees the index when
    /// nobody else writes.
    async fn append(&self, change: impl FnOnce(&Index) -> Result<Vec<Record>>, content: Option<Vec<u8>>) -> Result<()> {
        let mut end = self.0.end.lock().await;
        let records = change(&self.0.index.borrow())?;
        if end.is_broken {
            *end = End::begin(&self.0.directory, end.segment.number + 1).await?;
        }
        end.is_broken = true;
        end.write(records.iter().map(Record::line).collect::<String>().into_bytes()).await?;
        let place = end.offset;
        if let Some(content) = content {
            end.write(content).await?;
            end.write(b"\n".to_vec()).await?;
        }
        end.is_broken = false;
        let mut index = self.0.index.borrow_mut();
        for record in records {
            apply(&mut index, record, &end.segment, place);
        }
        Ok(())
    }

    fn place(&self, path: &str) -> Result<Place> {
        self.0.index.borrow().get(path).cloned().ok_or_else(Error::path_not_found)
    }
}

/// Changes the index by a record whose content, if it has one, lies at a place.
fn apply(index: &mut Index, record: Record, segment: &Rc<Segment>, offset: u64) {
    match record {
        Record::Put { path, size, modified } => {
            index.insert(path, Place { segment: Rc::clone(segment), offset, size, modified });
        }
        Record::Move { from, to } => {
            if let Some(place) = index.remove(&from) {
                index.insert(to, place);
            }
        }
        Record::Delete { path } => {
            let below = format!("{path}/");
            index.retain(|file, _| *file != path && !file.starts_with(&below));
        }
        Record::Remove { path } => {
            index.remove(&path);
        }
    }
}

impl StorageDriver for Log {
    const NAME: &'static str = "log-store";
    const INSTANCES: Instances = Instances::Exclusive;
    type Parameters = Parameters;
    type Writer = BufferedWriter;

    async fn open(parameters: Parameters) -> Result<Self> {
        let directory = Dir::granted(&parameters.directory).await?;
        let segments = segment::all(&directory).await?;
        let mut index = Index::new();
        for segment in &segments {
            segment::read(segment, |record, offset| apply(&mut index, record, segment, offset)).await?;
        }
        let number = segments.last().map_or(0, |last| last.number + 1);
        let end = Mutex::new(End::begin(&directory, number).await?);
        Ok(Log(Rc::new(Store { directory, index: RefCell::new(index), end })))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { atomic_replace: true, hidden_uploads: true, consistent: true, ..Capabilities::default() }
    }

    async fn put_content(&self, path: &str, content: Vec<u8>) -> Result<()> {
        let put = Record::Put { path: path.to_owned(), size: content.len() as u64, modified: Timestamp::now() };
        self.append(|_| Ok(vec![put]), Some(content)).await
    }

    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
        let place = self.place(path)?;
        let range = range.within(place.size)?;
        if range.is_empty() {
            return Ok(Reader::from_bytes(place.info(path), Vec::new()));
        }
        let (stream, outcome) = place.segment.file.read_stream(place.offset + range.start);
        Ok(Reader::from_stream(place.info(path), stream, outcome))
    }

    async fn writer(&self, path: &str, mode: WriteMode) -> Result<BufferedWriter> {
        let (driver, path) = (self.clone(), path.to_owned());
        BufferedWriter::begin(mode, UPLOAD, async move |content| driver.put_content(&path, content).await)
    }

    async fn stat(&self, path: &str) -> Result<FileInfo> {
        match self.place(path) {
            Ok(place) => Ok(place.info(path)),
            Err(_) => self.list(path, None).await.map(|_| FileInfo::directory(path)),
        }
    }

    async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing> {
        let index = self.0.index.borrow();
        let below = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let files = index.range(below.clone()..).take_while(|(file, _)| file.starts_with(&below));
        let files = files.map(|(path, place)| Entry::file(path, place.size).with_modified(place.modified));
        Listing::from_files(path, files, start_after.as_ref())
    }

    async fn move_file(&self, source: &str, destination: &str) -> Result<()> {
        let moved = Record::Move { from: source.to_owned(), to: destination.to_owned() };
        let change = |index: &Index| {
            if index.contains_key(source) { Ok(vec![moved]) } else { Err(Error::path_not_found()) }
        };
        self.append(change, None).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let below = format!("{path}/");
        let change = |index: &Index| {
            let has_below = index.range(below.clone()..).next().is_some_and(|(file, _)| file.starts_with(&below));
            if !has_below && !index.contains_key(path) {
                return Err(Error::path_not_found());
            }
            Ok(vec![Record::Delete { path: path.to_owned() }])
        };
        self.append(change, None).await
    }

    async fn delete_files(&self, paths: &[String]) -> Result<()> {
        let change = |index: &Index| {
            let there = paths.iter().filter(|path| index.contains_key(*path));
            Ok(there.map(|path| Record::Remove { path: path.clone() }).collect())
        };
        self.append(change, None).await
    }
}
