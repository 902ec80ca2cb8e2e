//! Uploads.

use std::convert::Infallible;

use crate::{ByteStream, Result};

/// An upload in progress.
///
/// One of [`close`](Self::close), [`commit`](Self::commit) and [`cancel`](Self::cancel) ends it and consumes it. After
/// a write that failed the SDK lets only `close` and `cancel` through, and never two calls at a time. When the host lets
/// it go without any of them, [`abandon`](Self::abandon) is called.
#[allow(async_fn_in_trait, reason = "a component has one thread: no future needs to be Send")]
pub trait FileWriter: Sized + 'static {
    /// Returns how many bytes the upload has, those included that it had when it was continued.
    fn size(&self) -> u64;

    /// Takes the next bytes of the upload: never none, and as many as the host sends in one step, which is 256 KiB for
    /// a long stream. Wait here while the store is slower than the caller: the host waits too.
    ///
    /// # Errors
    ///
    /// The upload cannot be committed any more after one.
    async fn write(&mut self, chunk: Vec<u8>) -> Result<()>;

    /// Takes all bytes of a stream. The end of the stream is not success: only [`commit`](Self::commit) is.
    ///
    /// The default hands them to [`write`](Self::write), chunk by chunk. A driver that can pass the stream on to the
    /// host, as [`files`](crate::files) can, overrides it, and the bytes never enter the component.
    async fn write_stream(&mut self, mut data: ByteStream) -> Result<()> {
        while let Some(chunk) = data.next().await {
            self.write(chunk).await?;
        }
        Ok(())
    }

    /// Keeps what was written, to be continued later, and returns the upload's size in bytes.
    ///
    /// The host also calls this when its caller has gone, perhaps after a while, so it must never replace what somebody
    /// else stored at the path since the writer was opened: return [`Error::conflict`](crate::Error::conflict) then. Only
    /// [`commit`](Self::commit) replaces.
    ///
    /// # Errors
    ///
    /// What had been stored stays, and with [`resumable`](crate::Capabilities::resumable) can be continued.
    async fn close(self) -> Result<u64>;

    /// Makes the file readable at its path, whole, in place of what was there, and returns its size in bytes.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    async fn commit(self) -> Result<u64>;

    /// Throws the upload away: none of its bytes can be read. A new writer that wrote nothing leaves what was committed
    /// at its path.
    async fn cancel(self) -> Result<()>;

    /// The host let the upload go without ending it: it counts as closed, with what had been stored by then.
    ///
    /// The default calls [`close`](Self::close) beside the next operation of the instance, since there is no waiting
    /// here. A driver that can close without waiting does so at once.
    fn abandon(self) {
        wit_bindgen::spawn_local(async move {
            if let Err(error) = self.close().await {
                eprintln!("an upload that was let go could not be closed: {error}");
            }
        });
    }
}

/// The writer of a driver that has none: its [`writer`](crate::StorageDriver::writer) returns
/// [`Error::unsupported`](crate::Error::unsupported).
#[derive(Clone, Copy, Debug)]
pub struct NoWriter(Infallible);

impl FileWriter for NoWriter {
    fn size(&self) -> u64 {
        match self.0 {}
    }

    async fn write(&mut self, _: Vec<u8>) -> Result<()> {
        match self.0 {}
    }

    async fn close(self) -> Result<u64> {
        match self.0 {}
    }

    async fn commit(self) -> Result<u64> {
        match self.0 {}
    }

    async fn cancel(self) -> Result<()> {
        match self.0 {}
    }
}
