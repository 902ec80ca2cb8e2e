//! What a connection does, and since when: by this it is judged idle, too slow or stuck.
//!
//! Hyper bounds the time that a head may take from when it begins to wait for it, so that one number would bound both how
//! long a client may keep a connection that it does not use and how slowly it may send a head. Here they are two.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::heads::Heads;
use super::limits::Limits;
use super::listen::Socket;

/// One connection's doings. Points in time are milliseconds after its beginning, plus one; zero is none.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    requests: AtomicUsize,
    /// Since when no request is under way and no byte of an answer leaves.
    idle_since: AtomicU64,
    /// Since when the head of a request comes in.
    head_since: AtomicU64,
    /// Since when the client takes nothing.
    blocked_since: AtomicU64,
}

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// It is not used.
    Idle,
    /// The head of its request does not end.
    SlowHead,
    /// Its client takes nothing of what it asked for.
    Stalled,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Activity {
            began: Instant::now(),
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(1),
            // The first is waited for from the beginning.
            head_since: AtomicU64::new(1),
            blocked_since: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }

    /// Judges the connection. `idle` is how long it may be unused; with HTTP/2, bytes that come in while no request is
    /// under way need not be a head.
    pub(super) fn judge(&self, limits: &Limits, idle: Duration, http2: bool) -> Verdict {
        let now = self.now();
        let lasts = |since: &AtomicU64, limit: Duration| match since.load(Ordering::Relaxed) {
            0 => false,
            since => now.saturating_sub(since) as u128 >= limit.as_millis(),
        };
        if self.blocked_since.load(Ordering::Relaxed) != 0 {
            return if lasts(&self.blocked_since, limits.stall) { Verdict::Stalled } else { Verdict::Fine };
        }
        if self.requests.load(Ordering::Relaxed) != 0 {
            return Verdict::Fine;
        }
        if !http2 && self.head_since.load(Ordering::Relaxed) != 0 {
            return if lasts(&self.head_since, limits.header_timeout) { Verdict::SlowHead } else { Verdict::Fine };
        }
        if lasts(&self.idle_since, idle) { Verdict::Idle } else { Verdict::Fine }
    }

    /// Counts a request as under way until what is returned is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    fn note_read(&self, bytes: usize) {
        if bytes > 0 && self.is_idle() && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    fn note_write<T>(&self, step: &Poll<io::Result<T>>) {
        match step {
            Poll::Pending => {
                if self.blocked_since.load(Ordering::Relaxed) == 0 {
                    self.blocked_since.store(self.now(), Ordering::Relaxed);
                }
            }
            Poll::Ready(_) => {
                if self.blocked_since.load(Ordering::Relaxed) != 0 {
                    self.blocked_since.store(0, Ordering::Relaxed);
                }
                // The end of an answer leaves after hyper is done with its body.
                if self.is_idle() {
                    self.idle_since.store(self.now(), Ordering::Relaxed);
                }
            }
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's bytes, of which the comings and goings are noted.
pub(super) struct Watched {
    socket: Box<dyn Socket>,
    /// What was read to find out the protocol.
    first: Bytes,
    activity: Arc<Activity>,
    /// Looks at the heads of requests; none of HTTP/2, which has no lines.
    heads: Option<Heads>,
}

impl Watched {
    pub(super) fn new(socket: Box<dyn Socket>, first: Bytes, activity: Arc<Activity>, heads: Option<Heads>) -> Self {
        activity.note_read(first.len());
        Watched { socket, first, activity, heads }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.first.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
            self.activity.note_read(buffer.filled().len() - before);
        } else {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..count]);
            self.first.advance(count);
        }
        if let Some(heads) = &mut self.heads {
            heads.look(&mut buffer.filled_mut()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.activity.note_write(&step);
        step
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.activity.note_write(&step);
        step
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS writes while it is flushed.
        let step = Pin::new(&mut self.socket).poll_flush(cx);
        if step.is_pending() {
            self.activity.note_write(&step);
        }
        step
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// An answer, with the request that is under way until it has ended or was given up.
pub(super) struct Answer {
    body: Body,
    _request: UnderWay,
}

impl Answer {
    pub(super) fn new(body: Body, request: UnderWay) -> Self {
        Answer { body, _request: request }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use super::*;

    const IDLE: Duration = Duration::from_secs(120);

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_request() {
        let (limits, activity) = (Limits::default(), Activity::new());
        let request = activity.begin_request();
        pass(500).await;
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Fine, "a request is under way");
        drop(request);
        pass(119).await;
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Fine);
        pass(1).await;
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_may_take_its_time_from_the_beginning() {
        let (limits, activity) = (Limits::default(), Activity::new());
        pass(29).await;
        activity.note_read(1);
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Fine);
        pass(1).await;
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::SlowHead);
    }

    #[tokio::test(start_paused = true)]
    async fn another_head_may_take_its_time_from_its_first_byte_on() {
        let (limits, activity) = (Limits::default(), Activity::new());
        drop(activity.begin_request());
        pass(100).await;
        activity.note_read(1);
        pass(29).await;
        activity.note_read(1);
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Fine);
        pass(1).await;
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::SlowHead);
        assert_eq!(activity.judge(&limits, IDLE, true), Verdict::Idle, "of HTTP/2 it need not be a head");
        drop(activity.begin_request());
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Fine);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_stalled_and_one_that_takes_little_is_not() {
        let (limits, activity) = (Limits::default(), Activity::new());
        let _request = activity.begin_request();
        let minutes = limits.stall.as_secs() / 60;
        for _ in 0..2 * minutes {
            activity.note_write(&Poll::<io::Result<usize>>::Pending);
            pass(60).await;
            activity.note_write(&Poll::Ready(Ok(1)));
            assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Fine);
        }
        activity.note_write(&Poll::<io::Result<usize>>::Pending);
        pass(limits.stall.as_secs()).await;
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Stalled);
    }
}
