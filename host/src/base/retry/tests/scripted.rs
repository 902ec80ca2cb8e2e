//! The driver in memory, failing as a script says.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use futures::StreamExt;
use futures::stream;

use super::super::*;
use crate::contract::{Error, ErrorKind};
use crate::drivers::inmemory::InMemory;

/// What becomes of one call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It works.
    None,
    /// Nothing happens, and the error says so or something else.
    Fails(ErrorKind),
    /// Nothing happens, and it says that it tried often.
    TriedOften(ErrorKind),
    /// An instance dies of it.
    Dies(ErrorKind),
    /// It happens, and the answer is lost.
    Lost,
    /// It never answers.
    Hangs,
    /// Its stream gives so many items, and then ends like this.
    Breaks(usize, End),
    /// Something else is done before it: another file is put at this path.
    Meanwhile(&'static str, &'static str),
}

#[derive(Clone, Debug)]
pub(crate) enum End {
    Fails(ErrorKind),
    Dies,
    Ends,
    Stalls,
}

/// All calls go to `store`, and are noted; a fault of the script is used up by the call that it is for.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) store: InMemory,
    pub(crate) capabilities: Capabilities,
    /// Whether files have a version and a time.
    pub(crate) version: bool,
    pub(crate) modified: bool,
    script: Arc<Mutex<HashMap<&'static str, VecDeque<Fault>>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(crate) fn new() -> Self {
        let store = InMemory::new();
        let capabilities = store.capabilities();
        let (script, calls) = Default::default();
        Scripted { store, capabilities, version: true, modified: true, script, calls }
    }

    /// Adds faults for the next calls of an operation.
    pub(crate) fn script(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.script.lock().unwrap().entry(operation).or_default().extend(faults);
    }

    /// Returns the calls since the last time this was asked.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn fault(&self, operation: &'static str, call: String) -> Fault {
        self.calls.lock().unwrap().push(call);
        self.script.lock().unwrap().get_mut(operation).and_then(VecDeque::pop_front).unwrap_or(Fault::None)
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        arguments: impl fmt::Display + Send,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.fault(operation, format!("{operation} {arguments}").trim_end().to_owned()) {
            Fault::None | Fault::Breaks(..) => work.await,
            fault => self.fail(fault, work).await,
        }
    }

    async fn fail<T>(&self, fault: Fault, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let failed = |kind| Err(Error::new(kind, "scripted"));
        match fault {
            Fault::Fails(kind) => failed(kind),
            Fault::TriedOften(kind) => failed(kind).map_err(|error: Error| error.with_attempts(6)),
            Fault::Dies(kind) => failed(kind).map_err(Error::with_death),
            Fault::Lost => {
                work.await.map(drop).ok();
                failed(ErrorKind::OutcomeUnknown)
            }
            Fault::Hangs => std::future::pending().await,
            Fault::Meanwhile(at, content) => {
                let at = StoragePath::parse(at).unwrap();
                self.store.put_content(&at, Bytes::from(content)).await.unwrap();
                work.await
            }
            Fault::None | Fault::Breaks(..) => work.await,
        }
    }

    fn info(&self, mut info: FileInfo) -> FileInfo {
        info.version = info.version.filter(|_| self.version);
        info.modified = info.modified.filter(|_| self.modified);
        info
    }

    async fn stream<T: Send + 'static>(
        &self,
        operation: &'static str,
        arguments: String,
        work: impl Future<Output = Result<stream::BoxStream<'static, Result<T>>>> + Send,
    ) -> Result<stream::BoxStream<'static, Result<T>>> {
        let fault = self.fault(operation, format!("{operation} {arguments}").trim_end().to_owned());
        let Fault::Breaks(items, end) = fault else { return self.fail(fault, work).await };
        let begin = work.await?.take(items);
        Ok(match end {
            End::Ends => begin.boxed(),
            End::Stalls => begin.chain(stream::pending()).boxed(),
            End::Fails(kind) => begin.chain(stream::iter([Err(Error::new(kind, "scripted"))])).boxed(),
            End::Dies => {
                let error = Error::new(ErrorKind::Unavailable, "scripted").with_death();
                begin.chain(stream::iter([Err(error)])).boxed()
            }
        })
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").field("store", &self.store).finish_non_exhaustive()
    }
}

fn place(position: &Position) -> String {
    format!("after {}{}", position.path, if position.is_dir { "/" } else { "" })
}

#[async_trait]
impl StorageDriver for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.call("get", path, self.store.get_content(path)).await
    }
    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.call("put", path, self.store.put_content(path, content)).await
    }
    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let mut info = None;
        // Two bytes in each chunk, so that there is something between them.
        let open = async {
            let (of, stream) = self.store.reader(path, range).await?.into_parts();
            info = Some(of);
            let bytes: Vec<Bytes> = stream.map(|chunk| chunk.unwrap()).collect().await;
            let chunks: Vec<_> = bytes.concat().chunks(2).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            Ok(stream::iter(chunks).boxed())
        };
        let end = range.length.map(|length| (range.offset + length).to_string()).unwrap_or_default();
        let stream = self.stream("reader", format!("{}..{end}", range.offset), open).await?;
        Ok(Reader::new(self.info(info.unwrap()), stream))
    }
    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        if mode == WriteMode::Append && !self.capabilities.resumable {
            return self.call("append", path, std::future::ready(Err(Error::unsupported("")))).await;
        }
        let operation = if mode == WriteMode::New { "new" } else { "append" };
        let inner = self.call(operation, path, self.store.writer(path, mode)).await?;
        Ok(Box::new(Writer { inner, driver: self.clone() }))
    }
    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.call("stat", path, self.store.stat(path)).await.map(|info| self.info(info))
    }
    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        let arguments = start_after.map(place).unwrap_or_default();
        self.stream("list", arguments, self.store.list(path, start_after)).await
    }
    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let arguments = start.map(|start| place(&start.after)).unwrap_or_default();
        self.stream("walk", arguments, self.store.walk(path, start)).await
    }
    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.call("move", source, self.store.move_file(source, destination)).await
    }
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.call("delete", path, self.store.delete(path)).await
    }
    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.call("delete-files", paths.len(), self.store.delete_files(paths)).await
    }
    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.call("redirect", path, self.store.redirect_url(path, request)).await
    }
    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.stream("uploads", String::new(), self.store.uploads(path)).await
    }
}

struct Writer {
    inner: Box<dyn FileWriter>,
    driver: Scripted,
}

#[async_trait]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.inner.size()
    }
    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.driver.call("write", data.len(), self.inner.write(data)).await
    }
    async fn close(self: Box<Self>) -> Result<u64> {
        self.driver.call("close", "", self.inner.close()).await
    }
    async fn commit(self: Box<Self>) -> Result<u64> {
        self.driver.call("commit", "", self.inner.commit()).await
    }
    async fn cancel(self: Box<Self>) -> Result<()> {
        self.driver.call("cancel", "", self.inner.cancel()).await
    }
}
