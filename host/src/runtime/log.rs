//! What a component prints goes to `tracing`, line by line, with the driver's name.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use super::limits::LOG_LINE;

/// Standard output and standard error of a component.
pub(super) struct Log {
    driver: Arc<str>,
}

impl Log {
    pub(super) fn new(driver: &str) -> Self {
        Log { driver: driver.into() }
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { driver: Arc::clone(&self.driver), line: Vec::new() })
    }
}

/// Cuts what is written into lines. Never waits, and holds at most one line.
struct Lines {
    driver: Arc<str>,
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = LOG_LINE - self.line.len();
            let window = &bytes[..bytes.len().min(room)];
            match window.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.line.extend_from_slice(&window[..end]);
                    bytes = &bytes[end + 1..];
                    self.emit();
                }
                None => {
                    self.line.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    if self.line.len() == LOG_LINE {
                        self.emit();
                    }
                }
            }
        }
    }

    fn emit(&mut self) {
        // Escaped: a component must not be able to forge lines or drive a terminal.
        let line = String::from_utf8_lossy(&self.line);
        tracing::info!(target: "wharf::component", driver = &*self.driver, "{}", line.escape_debug());
        self.line.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.emit();
        }
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
