//! What a component prints goes to `tracing`, line by line, with the driver's name, and no more of it than its limit.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use super::last_words::LastWords;
use super::limits::{LOG_LINE, LOG_WINDOW};
use crate::contract::printable;

/// How much of a driver's instances' output is kept.
pub(super) struct LogBudget {
    driver: Arc<str>,
    /// In bytes, for each [`LOG_WINDOW`].
    limit: u64,
    window: Mutex<Window>,
}

struct Window {
    began: Instant,
    written: u64,
    dropped: u64,
}

impl LogBudget {
    pub(super) fn new(driver: Arc<str>, limit: u64) -> Arc<Self> {
        let window = Window { began: Instant::now(), written: 0, dropped: 0 };
        Arc::new(LogBudget { driver, limit, window: Mutex::new(window) })
    }

    /// Writes a line to the log, or drops it.
    fn write(&self, line: &[u8]) {
        let length = line.len() as u64 + 1;
        {
            let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
            if window.began.elapsed() >= LOG_WINDOW {
                if window.dropped > 0 {
                    let bytes = window.dropped;
                    tracing::warn!(
                        driver = &*self.driver,
                        bytes,
                        "dropped so much of a component's log in the last minute"
                    );
                }
                *window = Window { began: Instant::now(), written: 0, dropped: 0 };
            }
            if window.written + length > self.limit {
                if window.dropped == 0 {
                    let limit = self.limit;
                    tracing::warn!(
                        driver = &*self.driver,
                        "a component logs more than {limit} bytes in a minute (`limits: {{ log: .. }}`); the rest is dropped"
                    );
                }
                window.dropped += length;
                return;
            }
            window.written += length;
        }
        // A component must not be able to forge lines, drive a terminal or hide what it says.
        let line = printable(String::from_utf8_lossy(line));
        tracing::info!(target: "wharf::component", driver = &*self.driver, "{line}");
    }
}

/// Standard output or standard error of a component.
pub(super) struct Log {
    budget: Arc<LogBudget>,
    /// Who hears what an instance says before it dies; none for standard output.
    last_words: Option<Arc<LastWords>>,
}

impl Log {
    pub(super) fn standard_output(budget: &Arc<LogBudget>) -> Self {
        Log { budget: Arc::clone(budget), last_words: None }
    }

    pub(super) fn standard_error(budget: &Arc<LogBudget>, last_words: &Arc<LastWords>) -> Self {
        Log { budget: Arc::clone(budget), last_words: Some(Arc::clone(last_words)) }
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        let (budget, last_words) = (Arc::clone(&self.budget), self.last_words.clone());
        Box::new(Lines { budget, last_words, line: Vec::new() })
    }
}

/// Cuts what is written into lines. Never waits, and holds at most one line.
struct Lines {
    budget: Arc<LogBudget>,
    last_words: Option<Arc<LastWords>>,
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
        if let Some(last_words) = &self.last_words {
            last_words.hear(&self.line);
        }
        self.budget.write(&self.line);
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
