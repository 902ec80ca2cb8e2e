//! A driver that keeps its files in a directory of the host, over `wasi:filesystem`.
//!
//! What it stores is where Docker Distribution's `filesystem` driver and Wharf's native one store it: the root
//! directory, and below it each path as it is. The bytes of downloads and uploads pass the component by: it only tells
//! the host which stream belongs to which file.
//!
//! | parameter | meaning |
//! |---|---|
//! | `rootdirectory` | the directory as the component sees it: one that is granted, or one below |
//!
//! It keeps nothing in memory, so any number of instances may serve one directory, beside the native driver.

mod names;
mod store;
mod writer;

use serde::Deserialize;
use store::Store;
use wharf_sdk::files::{Dir, FileType, Metadata, Open};
use wharf_sdk::{
    ByteRange, Capabilities, Entry, Error, FileInfo, Instances, Listing, MAX_CONTENT, Position, Reader, Result,
    StorageDriver, WriteMode, is_path_component,
};
use writer::Writer;

wharf_sdk::export!(Filesystem);

/// The driver's parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Distribution's name for it.
    rootdirectory: String,
}

/// The driver.
struct Filesystem {
    store: Store,
}

impl StorageDriver for Filesystem {
    const NAME: &'static str = "filesystem";
    const INSTANCES: Instances = Instances::Many;
    type Parameters = Parameters;
    type Writer = Writer;

    async fn open(parameters: Parameters) -> Result<Self> {
        Ok(Filesystem { store: Store::new(Dir::granted(&parameters.rootdirectory).await?) })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            atomic_replace: true,
            durable: true,
            resumable: true,
            consistent: true,
            ..Capabilities::default()
        }
    }

    async fn get_content(&self, path: &str) -> Result<Vec<u8>> {
        let (info, file) = self.store.open(path, Open::Read).await?;
        if info.size > MAX_CONTENT {
            return Err(Error::too_large(format!("the file has {} bytes; read it as a stream", info.size)));
        }
        let (stream, outcome) = file.read_stream(0);
        Reader::from_stream(self.info(path, &info), stream, outcome).collect(MAX_CONTENT).await
    }

    async fn put_content(&self, path: &str, content: Vec<u8>) -> Result<()> {
        let temporary = self.store.create_temporary(path).await?;
        let written = async {
            temporary.file().write(0, content).await?;
            temporary.file().sync().await?;
            Ok(())
        };
        match written.await {
            Ok(()) => self.store.publish(temporary, path).await,
            Err(error) => Err(self.store.discard(temporary, error).await),
        }
    }

    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
        let (info, file) = self.store.open(path, Open::Read).await?;
        let bytes = range.within(info.size)?;
        let info = self.info(path, &info);
        if bytes.is_empty() {
            return Ok(Reader::from_bytes(info, Vec::new()));
        }
        // The stream goes to the end of the file, whatever the range: the host takes as much of it as was asked for.
        let (stream, outcome) = file.read_stream(bytes.start);
        Ok(Reader::from_stream(info, stream, outcome))
    }

    async fn writer(&self, path: &str, mode: WriteMode) -> Result<Writer> {
        match mode {
            WriteMode::New => {
                // A directory at the path is told now, and not after the whole upload.
                self.store.check_place(path).await?;
                let seen = self.store.look(path).await;
                let temporary = self.store.create_temporary(path).await?;
                Ok(Writer::new(self.store.clone(), path, temporary, seen))
            }
            WriteMode::Append => {
                let (info, file) = self.store.open(path, Open::Write).await?;
                Ok(Writer::in_place(self.store.clone(), path, file, info.size))
            }
        }
    }

    async fn stat(&self, path: &str) -> Result<FileInfo> {
        Ok(self.info(path, &self.store.metadata(path).await?))
    }

    async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let mut entries = Vec::new();
        for found in self.store.dir().list(names::relative(path)).await? {
            if !is_path_component(&found.name) {
                continue;
            }
            let child = format!("{prefix}{}", found.name);
            let file_type = match found.file_type {
                // As with every other operation, what counts is what the link points to.
                FileType::SymbolicLink => match self.store.dir().metadata(names::relative(&child)).await {
                    Ok(metadata) => metadata.file_type,
                    Err(_) => continue,
                },
                file_type => file_type,
            };
            match file_type {
                FileType::Directory => entries.push(Entry::directory(child)),
                FileType::File => entries.push(Entry { path: child, is_dir: false, size: None, modified: None }),
                _ => {}
            }
        }
        Ok(Listing::from_unsorted(entries, start_after.as_ref()))
    }

    async fn move_file(&self, source: &str, destination: &str) -> Result<()> {
        self.store.move_file(source, destination).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.store.delete(path).await
    }
}

impl Filesystem {
    /// Tells no version: of what WASI says of a file, nothing is sure to change whenever the content does. Its time is
    /// that of the last tick of the kernel's clock.
    fn info(&self, path: &str, metadata: &Metadata) -> FileInfo {
        let is_dir = metadata.file_type == FileType::Directory;
        FileInfo {
            path: path.to_owned(),
            size: if is_dir { 0 } else { metadata.size },
            is_dir,
            modified: metadata.modified,
            version: None,
        }
    }
}
