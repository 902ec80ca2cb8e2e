//! A driver that keeps its files in the component's memory: they are gone when the instance is.
//!
//! The smallest driver that makes every promise a memory can keep: see [`Memory::capabilities`]. It takes no
//! parameters and wants no grant.

mod tree;

use std::cell::RefCell;
use std::rc::Rc;

use tree::{Content, Token, Tree};
use wharf_sdk::{
    ByteRange, Capabilities, FileInfo, FileWriter, Instances, Listing, NoParameters, Position, Reader, Result,
    StorageDriver, WriteMode,
};

wharf_sdk::export!(Memory);

/// The driver. Nothing here waits, so no borrow of the tree is ever held while another operation runs.
struct Memory {
    tree: Rc<RefCell<Tree>>,
}

impl StorageDriver for Memory {
    const NAME: &'static str = "inmemory";
    const INSTANCES: Instances = Instances::One;
    type Parameters = NoParameters;
    type Writer = Writer;

    async fn open(_: NoParameters) -> Result<Self> {
        Ok(Memory { tree: Rc::default() })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            atomic_replace: true,
            resumable: true,
            hidden_uploads: true,
            consistent: true,
            uploads: true,
            ..Capabilities::default()
        }
    }

    async fn put_content(&self, path: &str, content: Vec<u8>) -> Result<()> {
        self.tree.borrow_mut().put(path, Content::from(content))
    }

    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
        let (info, content) = self.tree.borrow().file(path)?;
        let mut chunks = content.read(range.within(info.size)?);
        Ok(Reader::from_chunks(info, async move || Ok(chunks.next())))
    }

    async fn writer(&self, path: &str, mode: WriteMode) -> Result<Writer> {
        let (token, size) = self.tree.borrow_mut().begin(path, mode)?;
        Ok(Writer { tree: Rc::clone(&self.tree), token, size })
    }

    async fn stat(&self, path: &str) -> Result<FileInfo> {
        self.tree.borrow().stat(path)
    }

    async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing> {
        let children = self.tree.borrow().children(path)?;
        Ok(Listing::from_unsorted(children, start_after.as_ref()))
    }

    async fn move_file(&self, source: &str, destination: &str) -> Result<()> {
        self.tree.borrow_mut().move_file(source, destination)
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.tree.borrow_mut().delete(path)
    }

    async fn uploads(&self, path: &str) -> Result<Listing> {
        Ok(Listing::from_unsorted(self.tree.borrow().uploads(path), None))
    }
}

/// An upload in progress. Its bytes are in the tree; this knows which they are.
struct Writer {
    tree: Rc<RefCell<Tree>>,
    token: Token,
    size: u64,
}

impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.size
    }

    async fn write(&mut self, chunk: Vec<u8>) -> Result<()> {
        self.size = self.tree.borrow_mut().write(self.token, chunk)?;
        Ok(())
    }

    async fn close(self) -> Result<u64> {
        self.tree.borrow_mut().close(self.token)
    }

    async fn commit(self) -> Result<u64> {
        self.tree.borrow_mut().commit(self.token)
    }

    async fn cancel(self) -> Result<()> {
        self.tree.borrow_mut().cancel(self.token);
        Ok(())
    }

    fn abandon(self) {
        // It fails only where the upload was deleted, and then there is nothing to keep.
        let _ = self.tree.borrow_mut().close(self.token);
    }
}
