//! A driver that misbehaves on request: for tests of the host, and to see what a caller sees then.
//!
//! Which operation goes wrong, how, and where, its [parameters](fault::Parameters) say: for instance
//! `{ "operation": "reader", "fault": "trap", "after_bytes": 1048576 }`. In all else it is a small driver in memory, which
//! besides has a file `/pattern-N` of N bytes, for every N, so that every instance has something to read: byte `i` of it is
//! `i` modulo 251.
//!
//! It calls itself a driver of many instances, so that the host replaces one that died, although what is stored in one
//! is not in another. The conformance suite is not for it.

mod fault;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fault::{Fault, Operation, Parameters};
use wharf_sdk::{
    ByteRange, ByteStream, Capabilities, Cursor, Entry, Error, FileInfo, FileWriter, Instances, Listing, MAX_CONTENT,
    Position, Reader, RedirectRequest, Result, StorageDriver, WriteMode,
};

wharf_sdk::export!(Faulty);

/// How many bytes a stream gives in one step.
const STEP: u64 = 256 * 1024;

type Files = Rc<RefCell<BTreeMap<String, Rc<Vec<u8>>>>>;

/// The driver.
struct Faulty {
    parameters: Rc<Parameters>,
    files: Files,
}

/// What is read: a stored file, or a pattern of so many bytes.
enum Content {
    Stored(Rc<Vec<u8>>),
    Pattern(u64),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Content::Stored(bytes) => bytes.len() as u64,
            Content::Pattern(size) => *size,
        }
    }

    /// Returns the bytes from `from` on, one step of them.
    fn step(&self, from: u64, to: u64) -> Vec<u8> {
        let to = to.min(from + STEP);
        match self {
            Content::Stored(bytes) => bytes[from as usize..to as usize].to_vec(),
            Content::Pattern(_) => (from..to).map(|at| (at % 251) as u8).collect(),
        }
    }
}

impl StorageDriver for Faulty {
    const NAME: &'static str = "faulty";
    const INSTANCES: Instances = Instances::Many;
    type Parameters = Parameters;
    type Writer = Writer;

    async fn open(parameters: Parameters) -> Result<Self> {
        parameters.strike(Operation::Open, "/").await?;
        Ok(Faulty { parameters: Rc::new(parameters), files: Files::default() })
    }

    /// Everything that lets the host call an operation that could go wrong.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            hidden_uploads: true,
            resumable: true,
            redirect: true,
            native_walk: true,
            uploads: true,
            ..Capabilities::default()
        }
    }

    async fn get_content(&self, path: &str) -> Result<Vec<u8>> {
        self.parameters.strike(Operation::GetContent, path).await?;
        let content = self.find(path)?;
        if content.size() > MAX_CONTENT {
            return Err(Error::too_large("read it as a stream"));
        }
        let (mut all, size) = (Vec::new(), content.size());
        while (all.len() as u64) < size {
            all.extend(content.step(all.len() as u64, size));
        }
        Ok(all)
    }

    async fn put_content(&self, path: &str, content: Vec<u8>) -> Result<()> {
        self.parameters.strike(Operation::PutContent, path).await?;
        self.files.borrow_mut().insert(path.to_owned(), Rc::new(content));
        Ok(())
    }

    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
        self.parameters.strike(Operation::Reader, path).await?;
        let fault = self.parameters.fault(Operation::Reader, path);
        let content = self.find(path)?;
        let range = range.within(content.size())?;
        let info = self.lie(FileInfo::file(path, content.size()), fault);

        let parameters = Rc::clone(&self.parameters);
        let (begin, end) = (range.start, range.end);
        let mut pending = fault.zip(parameters.after_bytes().or(match fault {
            // These two are nothing but faults of a stream; without `after_bytes` they come at its end, or half-way.
            Some(Fault::Endless) => Some(u64::MAX),
            Some(Fault::EndEarly) => Some((end - begin) / 2),
            _ => None,
        }));
        let mut at = begin;
        Ok(Reader::from_chunks(info, async move || {
            let strikes_at = pending.map_or(u64::MAX, |(_, after)| begin.saturating_add(after));
            if at >= strikes_at.min(end) {
                match pending {
                    Some((Fault::EndEarly, _)) => return Ok(None),
                    Some((Fault::Endless, _)) => return Ok(Some(vec![0; STEP as usize])),
                    Some((fault, _)) if at >= strikes_at => {
                        pending = None;
                        parameters.commit(fault).await?;
                    }
                    _ => {}
                }
            }
            if at >= end {
                return Ok(None);
            }
            let stop = pending.map_or(end, |(_, after)| begin.saturating_add(after).min(end));
            let chunk = content.step(at, stop);
            at += chunk.len() as u64;
            Ok(Some(chunk))
        }))
    }

    async fn writer(&self, path: &str, mode: WriteMode) -> Result<Writer> {
        self.parameters.strike(Operation::Writer, path).await?;
        let content = match mode {
            WriteMode::New => Vec::new(),
            WriteMode::Append => self.files.borrow().get(path).ok_or_else(Error::path_not_found)?.to_vec(),
        };
        let (parameters, files) = (Rc::clone(&self.parameters), Rc::clone(&self.files));
        Ok(Writer { parameters, files, path: path.to_owned(), content })
    }

    async fn stat(&self, path: &str) -> Result<FileInfo> {
        self.parameters.strike(Operation::Stat, path).await?;
        let info = match self.find(path) {
            Ok(content) => FileInfo::file(path, content.size()),
            Err(_) if path == "/" || self.entries().any(|file| file.path.starts_with(&format!("{path}/"))) => {
                FileInfo::directory(path)
            }
            Err(error) => return Err(error),
        };
        Ok(self.lie(info, self.parameters.fault(Operation::Stat, path)))
    }

    async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing> {
        self.parameters.strike(Operation::List, path).await?;
        let children = Listing::from_files(path, self.entries(), start_after.as_ref())?.collect().await?;
        Ok(self.spoil(children, self.parameters.fault(Operation::List, path)))
    }

    async fn walk(&self, path: &str, _: Option<Cursor>) -> Result<Listing> {
        self.parameters.strike(Operation::Walk, path).await?;
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let files = self.entries().filter(|file| file.path.starts_with(&prefix)).collect();
        Ok(self.spoil(files, self.parameters.fault(Operation::Walk, path)))
    }

    async fn move_file(&self, source: &str, destination: &str) -> Result<()> {
        self.parameters.strike(Operation::Move, source).await?;
        let content = self.files.borrow_mut().remove(source).ok_or_else(Error::path_not_found)?;
        self.files.borrow_mut().insert(destination.to_owned(), content);
        Ok(())
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.parameters.strike(Operation::Delete, path).await?;
        let (mut files, below) = (self.files.borrow_mut(), format!("{path}/"));
        let before = files.len();
        files.retain(|file, _| file != path && !file.starts_with(&below));
        if files.len() < before { Ok(()) } else { Err(Error::path_not_found()) }
    }

    async fn delete_files(&self, paths: &[String]) -> Result<()> {
        self.parameters.strike(Operation::DeleteFiles, paths.first().map_or("/", String::as_str)).await?;
        self.files.borrow_mut().retain(|file, _| !paths.contains(file));
        Ok(())
    }

    async fn redirect_url(&self, path: &str, _: RedirectRequest) -> Result<Option<String>> {
        self.parameters.strike(Operation::RedirectUrl, path).await?;
        Ok(None)
    }

    async fn uploads(&self, path: &str) -> Result<Listing> {
        self.parameters.strike(Operation::Uploads, path).await?;
        Ok(Listing::from_entries(Vec::new()))
    }
}

impl Faulty {
    fn find(&self, path: &str) -> Result<Content> {
        if let Some(size) = path.strip_prefix("/pattern-").and_then(|size| size.parse().ok()) {
            return Ok(Content::Pattern(size));
        }
        let content = self.files.borrow().get(path).map(Rc::clone);
        content.map(Content::Stored).ok_or_else(Error::path_not_found)
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + use<> {
        let entries: Vec<_> =
            self.files.borrow().iter().map(|(path, content)| Entry::file(path, content.len() as u64)).collect();
        entries.into_iter()
    }

    fn lie(&self, mut info: FileInfo, fault: Option<Fault>) -> FileInfo {
        match fault {
            Some(Fault::WrongSize) => info.size += 1,
            Some(Fault::WrongPath) => info.path = "/nobody/asked".to_owned(),
            _ => {}
        }
        info
    }

    fn spoil(&self, mut entries: Vec<Entry>, fault: Option<Fault>) -> Listing {
        match fault {
            Some(Fault::EndEarly) => entries.truncate(entries.len() / 2),
            Some(Fault::WrongPath) => entries.push(Entry::file("/nobody/asked", 1)),
            Some(Fault::NotAPath) => entries.push(Entry::file("../outside", 1)),
            Some(Fault::OutOfOrder) => entries.reverse(),
            Some(Fault::Duplicates) => entries = entries.into_iter().flat_map(|entry| [entry.clone(), entry]).collect(),
            Some(Fault::Endless) => return Listing::from_pages(async move || Ok(Some(entries.clone()))),
            _ => {}
        }
        Listing::from_entries(entries)
    }
}

/// An upload, in memory until its end.
struct Writer {
    parameters: Rc<Parameters>,
    files: Files,
    path: String,
    content: Vec<u8>,
}

impl Writer {
    fn store(self) -> u64 {
        let size = self.content.len() as u64;
        self.files.borrow_mut().insert(self.path, Rc::new(self.content));
        size
    }
}

impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    async fn write(&mut self, chunk: Vec<u8>) -> Result<()> {
        self.content.extend(chunk);
        Ok(())
    }

    async fn write_stream(&mut self, mut data: ByteStream) -> Result<()> {
        self.parameters.strike(Operation::Write, &self.path).await?;
        let mut pending = self.parameters.fault(Operation::Write, &self.path).zip(self.parameters.after_bytes());
        while let Some(chunk) = data.next().await {
            self.write(chunk).await?;
            if let Some((fault, _)) = pending.take_if(|(_, after)| self.content.len() as u64 >= *after) {
                self.parameters.commit(fault).await?;
            }
        }
        Ok(())
    }

    async fn close(self) -> Result<u64> {
        self.parameters.strike(Operation::Close, &self.path).await?;
        Ok(self.store())
    }

    async fn commit(self) -> Result<u64> {
        self.parameters.strike(Operation::Commit, &self.path).await?;
        Ok(self.store())
    }

    async fn cancel(self) -> Result<()> {
        self.parameters.strike(Operation::Cancel, &self.path).await?;
        self.files.borrow_mut().remove(&self.path);
        Ok(())
    }
}
