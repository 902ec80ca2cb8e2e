//! What stands between the host and an author's driver: every rule that the host relies on.
//!
//! - A stream's future is always resolved, and after the stream's end.
//! - Nothing is sent to a stream that nobody reads any more, and its future resolves with ok then.
//! - A `write` takes all bytes, or drops the stream and returns an error.
//! - A writer serves one call at a time; after a failed `write` only `close` and `cancel`.

use std::cell::RefCell;
use std::marker::PhantomData;

use wit_bindgen::{FutureWriter, StreamReader, StreamWriter, spawn_local};

use crate::bindings::exports::wharf::storage::driver as wit;
use crate::bindings::wharf::storage::types;
use crate::bindings::{wit_future, wit_stream};
use crate::reader::Body;
use crate::source::Source;
use crate::{ByteStream, Entry, Error, FileWriter, Listing, MAX_CONTENT, Result, StorageDriver, convert, parameters};

/// How many entries go to the host in one step, at most.
const ENTRIES: usize = 1024;

type Outcome<T> = Result<T, types::Error>;
type Ended = wit_bindgen::FutureReader<Outcome<()>>;

/// What [`export!`](crate::export) makes a component of.
pub trait Export: 'static {
    /// The driver.
    type Driver: StorageDriver;
    /// Its version: that of the package that exports it.
    const VERSION: &'static str;
}

/// The exports of a component.
#[derive(Debug)]
pub struct Component<E>(PhantomData<E>);

impl<E: Export> wit::Guest for Component<E> {
    type StorageDriver = Opened<E::Driver>;
    type FileWriter = Upload<<E::Driver as StorageDriver>::Writer>;

    fn describe() -> wit::Description {
        wit::Description {
            name: E::Driver::NAME.to_owned(),
            version: E::VERSION.to_owned(),
            instances: E::Driver::INSTANCES.into(),
        }
    }
}

/// A driver that was opened.
#[derive(Debug)]
pub struct Opened<D>(D);

impl<D: StorageDriver> wit::GuestStorageDriver for Opened<D> {
    async fn open(parameters: String) -> Outcome<wit::StorageDriver> {
        let driver = D::open(parameters::parse(&parameters)?).await?;
        Ok(wit::StorageDriver::new(Opened(driver)))
    }

    fn capabilities(&self) -> wit::Capabilities {
        self.0.capabilities().into()
    }

    async fn get_content(&self, path: String) -> Outcome<Vec<u8>> {
        Ok(self.0.get_content(&path).await?)
    }

    async fn put_content(&self, path: String, content: Vec<u8>) -> Outcome<()> {
        if content.len() as u64 > MAX_CONTENT {
            return Err(Error::too_large(format!("put takes {MAX_CONTENT} bytes at most; use a writer")).into());
        }
        Ok(self.0.put_content(&path, content).await?)
    }

    async fn reader(
        &self,
        path: String,
        offset: u64,
        length: Option<u64>,
    ) -> Outcome<(types::FileInfo, StreamReader<u8>, Ended)> {
        let reader = self.0.reader(&path, convert::range(offset, length)).await?;
        let (ended, result) = result_future();
        let stream = match reader.body {
            Body::Chunks(chunks) => {
                let (sender, stream) = wit_stream::new();
                // An empty chunk is no step: it would wait for the reader and tell it nothing.
                spawn_local(send(chunks, sender, ended, |chunk: Vec<u8>, rest| {
                    rest.extend(Some(chunk).filter(|chunk| !chunk.is_empty()));
                }));
                stream
            }
            Body::Stream(stream, outcome) => {
                spawn_local(async move { resolve(ended, outcome.await).await });
                stream.into()
            }
        };
        Ok((reader.info.into(), stream, result))
    }

    async fn writer(&self, path: String, append: bool) -> Outcome<(wit::FileWriter, u64)> {
        let writer = self.0.writer(&path, convert::mode(append)).await?;
        let size = writer.size();
        Ok((wit::FileWriter::new(Upload(RefCell::new(State::Ready(writer)))), size))
    }

    async fn stat(&self, path: String) -> Outcome<types::FileInfo> {
        Ok(self.0.stat(&path).await?.into())
    }

    async fn list(
        &self,
        path: String,
        start_after: Option<types::Position>,
    ) -> Outcome<(StreamReader<types::Entry>, Ended)> {
        Ok(send_listing(self.0.list(&path, start_after.map(Into::into)).await?))
    }

    async fn walk(&self, path: String, start: Option<types::Cursor>) -> Outcome<(StreamReader<types::Entry>, Ended)> {
        Ok(send_listing(self.0.walk(&path, start.map(Into::into)).await?))
    }

    async fn move_(&self, source: String, destination: String) -> Outcome<()> {
        Ok(self.0.move_file(&source, &destination).await?)
    }

    async fn delete(&self, path: String) -> Outcome<()> {
        Ok(self.0.delete(&path).await?)
    }

    async fn delete_files(&self, paths: Vec<String>) -> Outcome<()> {
        Ok(self.0.delete_files(&paths).await?)
    }

    async fn redirect_url(&self, path: String, request: wit::RedirectRequest) -> Outcome<Option<String>> {
        Ok(self.0.redirect_url(&path, request.into()).await?)
    }

    async fn uploads(&self, path: String) -> Outcome<(StreamReader<types::Entry>, Ended)> {
        Ok(send_listing(self.0.uploads(&path).await?))
    }
}

/// An upload, and whether it may go on.
#[derive(Debug)]
pub struct Upload<W: FileWriter>(RefCell<State<W>>);

#[derive(Debug)]
enum State<W> {
    Ready(W),
    /// A write failed: what the upload holds is not what the caller wrote.
    Failed(W),
    /// A write is running, and has the writer.
    Writing,
    Ended,
}

impl<W: FileWriter> Upload<W> {
    fn take(self) -> Result<(W, bool)> {
        match self.0.replace(State::Ended) {
            State::Ready(writer) => Ok((writer, true)),
            State::Failed(writer) => Ok((writer, false)),
            State::Writing => Err(Error::conflict("a write of this upload is still running")),
            State::Ended => Err(Error::conflict("this upload has ended")),
        }
    }
}

impl<W: FileWriter> Drop for Upload<W> {
    fn drop(&mut self) {
        if let State::Ready(writer) | State::Failed(writer) = self.0.replace(State::Ended) {
            writer.abandon();
        }
    }
}

impl<W: FileWriter> wit::GuestFileWriter for Upload<W> {
    async fn write(&self, data: StreamReader<u8>) -> Outcome<u64> {
        // No borrow is held across the wait: the cell says meanwhile that the writer is away.
        let mut writer = match self.0.replace(State::Writing) {
            State::Ready(writer) => writer,
            other => {
                let message = match other {
                    State::Writing => "another write of this upload is still running",
                    _ => "an earlier write of this upload failed; close or cancel it",
                };
                self.0.replace(other);
                return Err(Error::conflict(message).into());
            }
        };
        let written = writer.write_stream(ByteStream::from(data)).await;
        let size = writer.size();
        self.0.replace(if written.is_ok() { State::Ready(writer) } else { State::Failed(writer) });
        written?;
        Ok(size)
    }

    async fn close(writer: wit::FileWriter) -> Outcome<u64> {
        let (writer, _) = writer.into_inner::<Self>().take()?;
        Ok(writer.close().await?)
    }

    async fn commit(writer: wit::FileWriter) -> Outcome<u64> {
        let (writer, is_whole) = writer.into_inner::<Self>().take()?;
        if !is_whole {
            writer.close().await?;
            return Err(Error::conflict("an earlier write of this upload failed, so it cannot be committed").into());
        }
        Ok(writer.commit().await?)
    }

    async fn cancel(writer: wit::FileWriter) -> Outcome<()> {
        let (writer, _) = writer.into_inner::<Self>().take()?;
        Ok(writer.cancel().await?)
    }
}

fn result_future() -> (FutureWriter<Outcome<()>>, Ended) {
    // The default is what the host reads if a bug here drops the future unresolved.
    wit_future::new(|| Err(Error::other("the driver ended the stream without saying how").into()))
}

async fn resolve(ended: FutureWriter<Outcome<()>>, outcome: Result<()>) {
    // Whoever does not wait for the outcome does not want it.
    let _ = ended.write(outcome.map_err(Into::into)).await;
}

fn send_listing(listing: Listing) -> (StreamReader<types::Entry>, Ended) {
    let (sender, stream) = wit_stream::new();
    let (ended, result) = result_future();
    spawn_local(send(listing.pages, sender, ended, |page: Vec<Entry>, rest| {
        let mut page = page.into_iter().map(types::Entry::from);
        loop {
            let step: Vec<_> = page.by_ref().take(ENTRIES).collect();
            if step.is_empty() {
                return;
            }
            rest.push(step);
        }
    }));
    (stream, result)
}

/// Sends what a source gives, step by step, until its end, an error, or the reader's going; then says how it ended.
async fn send<S, T: 'static>(
    mut source: Box<dyn Source<S>>,
    mut sender: StreamWriter<T>,
    ended: FutureWriter<Outcome<()>>,
    split: impl Fn(S, &mut Vec<Vec<T>>),
) {
    let mut steps = Vec::new();
    let outcome = 'sending: loop {
        match source.next().await {
            Ok(Some(item)) => {
                split(item, &mut steps);
                for step in steps.drain(..) {
                    if !sender.write_all(step).await.is_empty() {
                        break 'sending Ok(());
                    }
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // What the source holds is let go, and the stream ends, before anybody is told how.
    drop(source);
    drop(sender);
    resolve(ended, outcome).await;
}
