//! A whole driver: it keeps its files in the component's memory.
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use wharf_sdk::{BufferedWriter, ByteRange, Capabilities, Entry, Error, FileInfo, Instances, Listing};
use wharf_sdk::{NoParameters, Position, Reader, Result, StorageDriver, WriteMode};

#[derive(Clone, Default)]
struct Memory(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

wharf_sdk::export!(Memory);

impl StorageDriver for Memory {
    const NAME: &'static str = "whole-driver";
    const INSTANCES: Instances = Instances::One;
    type Parameters = NoParameters;
    type Writer = BufferedWriter;

    async fn open(_: NoParameters) -> Result<Self> {
        Ok(Memory::default())
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { atomic_replace: true, hidden_uploads: true, consistent: true, ..Capabilities::default() }
    }
    async fn put_content(&self, path: &str, content: Vec<u8>) -> Result<()> {
        self.0.borrow_mut().insert(path.to_owned(), content);
        Ok(())
    }
    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
        let files = self.0.borrow();
        let content = files.get(path).ok_or_else(Error::path_not_found)?;
        Reader::from_content(FileInfo::file(path, content.len() as u64), content, range)
    }
    async fn writer(&self, path: &str, mode: WriteMode) -> Result<BufferedWriter> {
        let (driver, path) = (self.clone(), path.to_owned());
        BufferedWriter::begin(mode, 128 << 20, async move |content| driver.put_content(&path, content).await)
    }
    async fn stat(&self, path: &str) -> Result<FileInfo> {
        let size = self.0.borrow().get(path).map(Vec::len);
        match size {
            Some(size) => Ok(FileInfo::file(path, size as u64)),
            None => self.list(path, None).await.map(|_| FileInfo::directory(path)),
        }
    }
    async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing> {
        let files = self.0.borrow();
        let files = files.iter().map(|(path, content)| Entry::file(path, content.len() as u64));
        Listing::from_files(path, files, start_after.as_ref())
    }
    async fn move_file(&self, source: &str, destination: &str) -> Result<()> {
        let content = self.0.borrow_mut().remove(source).ok_or_else(Error::path_not_found)?;
        self.put_content(destination, content).await
    }
    async fn delete(&self, path: &str) -> Result<()> {
        let (mut files, below) = (self.0.borrow_mut(), format!("{path}/"));
        let before = files.len();
        files.retain(|file, _| file != path && !file.starts_with(&below));
        if files.len() < before { Ok(()) } else { Err(Error::path_not_found()) }
    }
    async fn delete_files(&self, paths: &[String]) -> Result<()> {
        self.0.borrow_mut().retain(|file, _| !paths.contains(file));
        Ok(())
    }
}
