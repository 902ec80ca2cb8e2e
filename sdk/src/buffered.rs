//! A writer for stores that take a file only whole.

use std::fmt;
use std::pin::Pin;

use crate::source::BoxFuture;
use crate::{Error, FileWriter, Result, WriteMode};

type Commit = Box<dyn FnOnce(Vec<u8>) -> BoxFuture<'static, Result<()>>>;

/// A writer that collects the upload in memory and stores it at the commit: for stores that take a file only whole.
///
/// Nothing of the upload can be read before, and it cannot be continued: promise
/// [`hidden_uploads`](crate::Capabilities::hidden_uploads), and not [`resumable`](crate::Capabilities::resumable). It
/// holds every upload in memory until its end, so it has a limit; where the store can take parts, write a
/// [`FileWriter`] instead.
pub struct BufferedWriter {
    content: Vec<u8>,
    limit: u64,
    commit: Commit,
}

impl BufferedWriter {
    /// Begins an upload of at most `limit` bytes, which `commit` stores, whole or not at all.
    ///
    /// ```
    /// # use wharf_sdk::{BufferedWriter, Result, WriteMode};
    /// # async fn store(path: &str, content: Vec<u8>) -> Result<()> { Ok(()) }
    /// # fn writer(path: &str, mode: WriteMode) -> Result<BufferedWriter> {
    /// let path = path.to_owned();
    /// BufferedWriter::begin(mode, 64 << 20, async move |content| store(&path, content).await)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::unsupported`] with [`WriteMode::Append`].
    pub fn begin<F>(mode: WriteMode, limit: u64, commit: F) -> Result<Self>
    where
        F: AsyncFnOnce(Vec<u8>) -> Result<()> + 'static,
    {
        if mode == WriteMode::Append {
            return Err(Error::unsupported("an upload to this store cannot be continued; begin anew"));
        }
        let commit: Commit = Box::new(move |content| Box::pin(commit(content)) as Pin<Box<_>>);
        Ok(BufferedWriter { content: Vec::new(), limit, commit })
    }
}

impl FileWriter for BufferedWriter {
    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    async fn write(&mut self, chunk: Vec<u8>) -> Result<()> {
        if self.size() + chunk.len() as u64 > self.limit {
            return Err(Error::too_large(format!("this driver takes {} bytes at most", self.limit)));
        }
        if self.content.is_empty() {
            self.content = chunk;
        } else {
            self.content.extend_from_slice(&chunk);
        }
        Ok(())
    }

    async fn close(self) -> Result<u64> {
        Ok(self.size())
    }

    async fn commit(self) -> Result<u64> {
        let size = self.size();
        (self.commit)(self.content).await?;
        Ok(size)
    }

    async fn cancel(self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for BufferedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedWriter").field("size", &self.size()).field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::ErrorKind;
    use crate::testing::ready;

    #[test]
    fn only_the_commit_stores_and_it_stores_everything() {
        let stored = Rc::new(RefCell::new(None));
        let begin = || {
            let stored = Rc::clone(&stored);
            BufferedWriter::begin(WriteMode::New, 4, async move |content| {
                stored.replace(Some(content));
                Ok(())
            })
        };
        let mut writer = begin().unwrap();
        ready(writer.write(b"ab".to_vec())).unwrap();
        assert_eq!(ready(writer.close()), Ok(2));
        assert_eq!(stored.take(), None);

        let mut writer = begin().unwrap();
        ready(writer.write(b"ab".to_vec())).unwrap();
        ready(writer.write(b"cd".to_vec())).unwrap();
        assert_eq!(ready(writer.commit()), Ok(4));
        assert_eq!(stored.take().as_deref(), Some(&b"abcd"[..]));
    }

    #[test]
    fn a_write_beyond_the_limit_is_too_large() {
        let mut writer = BufferedWriter::begin(WriteMode::New, 3, async |_| Ok(())).unwrap();
        ready(writer.write(b"ab".to_vec())).unwrap();
        assert_eq!(ready(writer.write(b"cd".to_vec())).unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
