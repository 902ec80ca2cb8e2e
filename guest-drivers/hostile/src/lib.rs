//! A driver that attacks its host on request: for tests of the sandbox.
//!
//! What it does, its [parameters](attack::Parameters) say: `{ "attack": "spin", "at": "stat" }`. At every path but
//! `/attack`, and in every other operation, it behaves, as a store that holds nothing but `/quiet`, a file of 5 bytes.
//! Unlike `faulty`, which makes the mistakes that an author makes, it does on purpose what the SDK keeps an author from
//! doing, on bindings of its own.

mod attack;
mod bindings;
mod files;
mod handles;
mod hoard;
mod old;
mod streams;

use std::cell::{Cell, RefCell};
use std::io::Write as _;

use attack::{Attack, Parameters, Place};
use bindings::exports::wharf::storage::driver::{
    Capabilities, Description, FileWriter, Guest, GuestFileWriter, GuestStorageDriver, Instances, RedirectRequest,
    StorageDriver,
};
use bindings::wharf::storage::types::{Cursor, Entry, Error, ErrorKind, FileInfo, Position};
use wit_bindgen::{FutureReader, StreamReader};

bindings::export!(Hostile with_types_in bindings);

type Outcome<T> = Result<T, Error>;
type Ended = FutureReader<Outcome<()>>;

/// Where attacks happen.
const ATTACK: &str = "/attack";

struct Hostile;

/// How `describe` behaves, which comes before any parameter: tests change the last six letters in the built file, to
/// `CHANGE`, `TRAP..`, `SPIN..`, `GROW..` or `NAME..`.
static DESCRIBE: &str = "hostile-describe:STEADY";

thread_local! {
    static DESCRIBED: Cell<u32> = const { Cell::new(0) };
}

impl Guest for Hostile {
    type StorageDriver = Driver;
    type FileWriter = Upload;

    fn describe() -> Description {
        DESCRIBED.set(DESCRIBED.get() + 1);
        let mut description =
            Description { name: "hostile".to_owned(), version: "1".to_owned(), instances: Instances::Many };
        // Not known to the compiler, which would leave out all but one.
        match std::hint::black_box(DESCRIBE).as_bytes().last_chunk() {
            Some(b"CHANGE") => description.version = DESCRIBED.get().to_string(),
            Some(b"TRAP..") => panic!("the attack that the file asked for"),
            Some(b"SPIN..") => attack::spin(),
            Some(b"GROW..") => drop(std::hint::black_box(vec![1_u8; 1 << 30])),
            Some(b"NAME..") => description.name = "\u{1b}[2J../../x".to_owned(),
            _ => {}
        }
        description
    }
}

struct Driver {
    parameters: Parameters,
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error { kind, message: message.into() }
}

fn file(path: &str, size: u64) -> FileInfo {
    FileInfo { path: path.to_owned(), size, is_dir: false, modified: None, version: None }
}

impl Driver {
    /// Attacks, if this is the place.
    async fn strike(&self, place: Place, path: &str) -> Outcome<()> {
        if self.parameters.at == place && path == self.parameters.path {
            self.parameters.strike().await?;
        }
        Ok(())
    }
}

impl GuestStorageDriver for Driver {
    async fn open(parameters: String) -> Outcome<StorageDriver> {
        let parameters: Parameters = serde_json::from_str(&parameters)
            .map_err(|mistake| error(ErrorKind::InvalidParameters, mistake.to_string()))?;
        if parameters.at == Place::Open {
            parameters.strike().await?;
        }
        Ok(StorageDriver::new(Driver { parameters }))
    }

    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::RESUMABLE | Capabilities::REDIRECT | Capabilities::NATIVE_WALK | Capabilities::UPLOADS;
        if self.parameters.resumable { all } else { all & !Capabilities::RESUMABLE }
    }

    async fn get_content(&self, path: String) -> Outcome<Vec<u8>> {
        self.strike(Place::GetContent, &path).await?;
        match (path.as_str(), self.parameters.attack) {
            (ATTACK, Attack::HugeContent) => Ok(vec![1; self.parameters.count as usize]),
            ("/quiet", _) => Ok(b"quiet".to_vec()),
            _ => Err(error(ErrorKind::PathNotFound, "")),
        }
    }

    async fn put_content(&self, path: String, _: Vec<u8>) -> Outcome<()> {
        self.strike(Place::PutContent, &path).await
    }

    async fn reader(&self, path: String, _: u64, _: Option<u64>) -> Outcome<(FileInfo, StreamReader<u8>, Ended)> {
        self.strike(Place::Reader, &path).await?;
        if path == ATTACK {
            return Ok(streams::reader(&self.parameters, &path));
        }
        Ok(streams::quiet(&path))
    }

    async fn writer(&self, path: String, append: bool) -> Outcome<(FileWriter, u64)> {
        self.strike(Place::Writer, &path).await?;
        let (file, size) = files::upload(&path, append).map_err(files::explain)?;
        // What is continued goes on without an attack.
        let parameters = Parameters {
            attack: if append { Attack::None } else { self.parameters.attack },
            ..self.parameters.clone()
        };
        let upload = Upload { parameters, file: RefCell::new(file), size: Cell::new(size) };
        Ok((FileWriter::new(upload), size))
    }

    async fn stat(&self, path: String) -> Outcome<FileInfo> {
        self.strike(Place::Stat, &path).await?;
        let mut info = file(&path, 5);
        if path == "/" {
            info.is_dir = true;
        }
        if path == ATTACK && self.parameters.at == Place::Stat {
            match self.parameters.attack {
                Attack::HugeText => info.version = Some("x".repeat(self.parameters.count as usize)),
                Attack::ControlText => info.version = Some("a\r\nset-cookie: b\u{1b}[2J".to_owned()),
                Attack::OtherPath => info.path = "/../../outside".to_owned(),
                Attack::ImpossibleTime => {
                    info.modified =
                        Some(bindings::wharf::storage::types::Timestamp { seconds: i64::MAX, nanoseconds: u32::MAX });
                }
                _ => {}
            }
        }
        Ok(info)
    }

    async fn list(&self, path: String, _: Option<Position>) -> Outcome<(StreamReader<Entry>, Ended)> {
        self.strike(Place::List, &path).await?;
        Ok(streams::listing(&self.parameters, &path))
    }

    async fn walk(&self, path: String, _: Option<Cursor>) -> Outcome<(StreamReader<Entry>, Ended)> {
        self.strike(Place::Walk, &path).await?;
        Ok(streams::listing(&self.parameters, &path))
    }

    async fn move_(&self, source: String, _: String) -> Outcome<()> {
        self.strike(Place::Move, &source).await
    }

    async fn delete(&self, path: String) -> Outcome<()> {
        self.strike(Place::Delete, &path).await
    }

    async fn delete_files(&self, paths: Vec<String>) -> Outcome<()> {
        self.strike(Place::DeleteFiles, paths.first().map_or("", String::as_str)).await
    }

    async fn redirect_url(&self, path: String, _: RedirectRequest) -> Outcome<Option<String>> {
        self.strike(Place::RedirectUrl, &path).await?;
        Ok(match self.parameters.attack {
            Attack::ControlText => Some("http://a/\r\nset-cookie: b".to_owned()),
            Attack::HugeText => Some(format!("http://a.example/{}", "x".repeat(self.parameters.count as usize))),
            Attack::Address => Some(self.parameters.target.clone()),
            _ => None,
        })
    }

    async fn uploads(&self, path: String) -> Outcome<(StreamReader<Entry>, Ended)> {
        self.strike(Place::Uploads, &path).await?;
        Ok(streams::listing(&self.parameters, &path))
    }
}

/// An upload into a file of the granted directory, if there is one: it can be continued after a death.
struct Upload {
    parameters: Parameters,
    file: RefCell<Option<std::fs::File>>,
    size: Cell<u64>,
}

impl Upload {
    fn keep(&self, bytes: &[u8]) -> Outcome<()> {
        if let Some(file) = &mut *self.file.borrow_mut() {
            file.write_all(bytes).map_err(files::explain)?;
        }
        self.size.set(self.size.get() + bytes.len() as u64);
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.parameters.at == Place::Destructor {
            attack::spin();
        }
    }
}

impl GuestFileWriter for Upload {
    async fn write(&self, mut data: StreamReader<u8>) -> Outcome<u64> {
        let strikes = self.parameters.at == Place::Write;
        if strikes && self.parameters.after_bytes == 0 {
            if self.parameters.attack == Attack::LeaveStream {
                // Says that it took everything, and holds on to the stream.
                std::mem::forget(data);
                return Ok(self.size.get());
            }
            self.parameters.strike().await?;
        }
        loop {
            let (result, chunk) = data.read(Vec::with_capacity(64 * 1024)).await;
            self.keep(&chunk)?;
            if strikes && self.parameters.after_bytes > 0 && self.size.get() >= self.parameters.after_bytes {
                self.parameters.strike().await?;
            }
            if !matches!(result, wit_bindgen::StreamResult::Complete(_)) {
                return Ok(self.size.get());
            }
        }
    }

    async fn close(writer: FileWriter) -> Outcome<u64> {
        let upload: &Self = writer.get();
        if upload.parameters.at == Place::Close {
            upload.parameters.strike().await?;
        }
        Ok(upload.size.get())
    }

    async fn commit(writer: FileWriter) -> Outcome<u64> {
        let upload: &Self = writer.get();
        if upload.parameters.at == Place::Commit {
            upload.parameters.strike().await?;
        }
        Ok(upload.size.get())
    }

    async fn cancel(writer: FileWriter) -> Outcome<()> {
        let upload: &Self = writer.get();
        if upload.parameters.at == Place::Cancel {
            upload.parameters.strike().await?;
        }
        Ok(())
    }
}
