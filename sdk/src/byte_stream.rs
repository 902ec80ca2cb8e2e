//! A stream of bytes that comes from the host.

use wit_bindgen::{StreamReader, StreamResult};

/// How many bytes are taken from a stream in one step, at most.
pub(crate) const STEP: usize = 256 * 1024;

/// A stream of bytes that comes from the host: an upload's, a file's, an HTTP body's.
///
/// Read it with [`next`](ByteStream::next), or pass it on as it is, to [`Reader::from_stream`](crate::Reader::from_stream),
/// to [`files::File::write_stream`](crate::files::File::write_stream) or to
/// [`http::Request::body_stream`](crate::http::Request::body_stream): the host then joins the two ends, and the bytes
/// never enter the component.
///
/// Dropped, it tells whoever sends that nobody reads any more.
#[derive(Debug)]
pub struct ByteStream(StreamReader<u8>);

impl ByteStream {
    /// Returns the next bytes, at least one and at most 256 KiB; none at the end of the stream.
    ///
    /// The end says nothing about success: whoever sends may have failed. What came with the stream says.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let (result, mut chunk) = self.0.read(Vec::with_capacity(STEP)).await;
            if !chunk.is_empty() {
                // A driver that keeps a short chunk would otherwise keep the whole step's memory.
                if chunk.len() < STEP / 2 {
                    chunk.shrink_to_fit();
                }
                return Some(chunk);
            }
            match result {
                StreamResult::Complete(_) => {}
                StreamResult::Dropped | StreamResult::Cancelled => return None,
            }
        }
    }
}

/// From a stream of wit-bindgen's: for authors with bindings of their own.
impl From<StreamReader<u8>> for ByteStream {
    fn from(stream: StreamReader<u8>) -> Self {
        ByteStream(stream)
    }
}

/// Into a stream of wit-bindgen's: the same stream, not a copy.
impl From<ByteStream> for StreamReader<u8> {
    fn from(stream: ByteStream) -> Self {
        stream.0
    }
}
