//! Outgoing HTTP, to the hosts that the host's configuration grants: `wasi:http`, without an HTTP library.
//!
//! Nothing here stops the other operations of the instance while it waits. Redirects are not followed, nothing is
//! retried, and an answer of any status is an answer: [`Response::error`] makes an error of one. A component that does
//! not use this module does not import `wasi:http`.
//!
//! A body need not pass through the component, neither upwards nor downwards: [`Request::body_stream`] takes a stream of
//! the host's, and [`Response::into_stream`] gives one, so that the host only joins the two ends.
//!
//! ```no_run
//! use wharf_sdk::http::Request;
//! use wharf_sdk::{ByteStream, Error, FileInfo, Reader, Result};
//!
//! # struct Store { url: String, token: String }
//! # impl Store {
//! async fn download(&self, path: &str) -> Result<Reader> {
//!     let request = Request::get(&format!("{}{path}", self.url))?;
//!     let response = request.header("authorization", &format!("Bearer {}", self.token))?.send().await?;
//!     if response.status() != 200 {
//!         return Err(response.error("download"));
//!     }
//!     let size = response.content_length().ok_or_else(|| Error::other("the store does not tell the file's size"))?;
//!     let (stream, outcome) = response.into_stream();
//!     Ok(Reader::from_stream(FileInfo::file(path, size), stream, outcome))
//! }
//!
//! async fn upload(&self, path: &str, data: ByteStream, length: u64) -> Result<()> {
//!     let request = Request::put(&format!("{}{path}", self.url))?.body_stream(data, Some(length));
//!     let response = request.send().await?;
//!     if !response.is_success() {
//!         return Err(response.error("upload"));
//!     }
//!     response.bytes(64 * 1024).await?;
//!     Ok(())
//! }
//! # }
//! ```

mod error;
mod headers;
mod method;
mod outgoing;
mod request;
mod response;
mod url;

pub use error::status_error;
pub use method::Method;
pub use request::Request;
pub use response::Response;
