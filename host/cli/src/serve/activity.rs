//! What a connection does, and since when: by this it is judged idle, too slow or stuck.
//!
//! Hyper bounds the time that a head may take from when it begins to wait for it, so that one number would bound both how
//! long a client may keep a connection that it does not use and how slowly it may send a head. Here they are two.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use wharf::registry::Pace;

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
    /// For how many milliseconds it took nothing before that.
    blocked: AtomicU64,
    /// How many bytes left for the client.
    written: AtomicU64,
    /// What was seen of it when it was last looked at, and how patient the server still is.
    taken: Mutex<Taken>,
    /// The answers in flight, of HTTP/2, each of which its client may stop by itself.
    answers: Mutex<Vec<Weak<Mutex<Sent>>>>,
}

#[derive(Debug)]
struct Taken {
    pace: Pace,
    blocked: u64,
    bytes: u64,
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
    /// Its client takes what it asked for too slowly.
    TooSlow,
}

impl Activity {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Activity {
            blocked: AtomicU64::new(0),
            written: AtomicU64::new(0),
            taken: Mutex::new(Taken { pace: Pace::new(limits.min_rate), blocked: 0, bytes: 0 }),
            answers: Mutex::default(),
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

    /// Returns for how many milliseconds the client took nothing, in all.
    fn blocked(&self) -> u64 {
        let before = self.blocked.load(Ordering::Relaxed);
        match self.blocked_since.load(Ordering::Relaxed) {
            0 => before,
            since => before + self.now().saturating_sub(since),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the client was waited for since its pace was judged: then what it has not taken yet counts.
    pub(super) fn was_blocked(&self) -> bool {
        self.blocked() > self.taken().blocked
    }

    /// Judges how fast the client takes what it asked for. To be asked again and again. `unsent` is how many bytes of what left
    /// the client has not got yet, where that is known: without it, all that left counts as taken, which the system tells in
    /// large steps.
    pub(super) fn judge_pace(&self, unsent: Option<u64>) -> Verdict {
        let blocked = self.blocked();
        let bytes = self.written.load(Ordering::Relaxed).saturating_sub(unsent.unwrap_or(0));
        {
            let mut taken = self.taken();
            let waited = blocked.saturating_sub(taken.blocked);
            // Whoever was not waited for took what there was.
            if waited > 0 {
                let moved = bytes.saturating_sub(taken.bytes);
                // In this order, since nobody knows which of the bytes left when.
                taken.pace.moved(moved);
                taken.pace.waited(Duration::from_millis(waited));
                (taken.blocked, taken.bytes) = (blocked, bytes.max(taken.bytes));
            }
            if taken.pace.is_spent() {
                return Verdict::TooSlow;
            }
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.strong_count() > 0);
        let ended = answers.iter().filter_map(Weak::upgrade).filter(|answer| lock(answer).judge()).count();
        // None of them goes on: the connection holds nothing but what is not taken.
        if ended > 0 && ended >= self.requests.load(Ordering::Relaxed) { Verdict::TooSlow } else { Verdict::Fine }
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
                let since = self.blocked_since.load(Ordering::Relaxed);
                if since != 0 {
                    self.blocked.fetch_add(self.now().saturating_sub(since), Ordering::Relaxed);
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

impl Activity {
    fn note_written(&self, step: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = step {
            self.written.fetch_add(*bytes as u64, Ordering::Relaxed);
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
        self.activity.note_written(&step);
        step
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.activity.note_write(&step);
        self.activity.note_written(&step);
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
    sent: Arc<Mutex<Sent>>,
    _request: UnderWay,
}

/// What is sent of an answer.
struct Sent {
    /// None once its client was too slow: whatever it held is free then, even if the client keeps the connection.
    body: Option<Body>,
    /// What is not handed over yet of the last piece; of HTTP/2.
    rest: Bytes,
    is_http2: bool,
    pace: Pace,
    /// How many bytes were handed over that are not counted yet.
    handed: u64,
    /// Since when the client is waited for: nobody asks for more.
    waits_since: Option<Instant>,
}

/// How much is handed over at a time with HTTP/2, in bytes: the steps in which it is seen that a client takes something.
const PIECE: usize = 64 * 1024;

fn lock(sent: &Mutex<Sent>) -> MutexGuard<'_, Sent> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Answer {
    /// `http2`: its client may stop this answer alone, and so it is judged alone.
    pub(super) fn new(body: Body, request: UnderWay, limits: &Limits, http2: bool) -> Self {
        let sent = Arc::new(Mutex::new(Sent {
            body: Some(body),
            rest: Bytes::new(),
            is_http2: http2,
            pace: Pace::new(limits.min_rate),
            handed: 0,
            waits_since: None,
        }));
        if http2 {
            let mut answers = request.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.retain(|answer| answer.strong_count() > 0);
            answers.push(Arc::downgrade(&sent));
        }
        Answer { sent, _request: request }
    }
}

impl Sent {
    /// Counts the time in which the client was waited for. Returns whether the answer has been ended.
    fn judge(&mut self) -> bool {
        if let Some(since) = &mut self.waits_since {
            let now = Instant::now();
            self.pace.waited(now.saturating_duration_since(*since));
            *since = now;
        }
        if self.pace.is_spent() {
            (self.body, self.rest) = (None, Bytes::new());
        }
        self.body.is_none()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(since) = self.waits_since.take() {
            self.pace.moved(std::mem::take(&mut self.handed));
            self.pace.waited(since.elapsed());
        }
        let Some(body) = &mut self.body else {
            let why = io::Error::new(io::ErrorKind::TimedOut, "the client took the answer too slowly");
            return Poll::Ready(Some(Err(axum::Error::new(why))));
        };
        let frame = match self.rest.is_empty() {
            true => match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            },
            false => Frame::data(std::mem::take(&mut self.rest)),
        };
        if !self.is_http2 {
            return Poll::Ready(Some(Ok(frame)));
        }
        let frame = match frame.into_data() {
            Ok(mut piece) => {
                self.rest = if piece.len() > PIECE { piece.split_off(PIECE) } else { Bytes::new() };
                self.handed += piece.len() as u64;
                Frame::data(piece)
            }
            Err(trailers) => trailers,
        };
        self.waits_since = Some(Instant::now());
        Poll::Ready(Some(Ok(frame)))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        lock(&self.sent).poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        let sent = lock(&self.sent);
        sent.rest.is_empty() && sent.body.as_ref().is_some_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let sent = lock(&self.sent);
        match &sent.body {
            // Asked before anything was handed over.
            Some(body) if sent.rest.is_empty() => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use http_body_util::BodyExt;

    use super::*;

    const IDLE: Duration = Duration::from_secs(120);

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_request() {
        let (limits, activity) = {
            let limits = Limits::default();
            let activity = Activity::new(&limits);
            (limits, activity)
        };
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
        let (limits, activity) = {
            let limits = Limits::default();
            let activity = Activity::new(&limits);
            (limits, activity)
        };
        pass(29).await;
        activity.note_read(1);
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::Fine);
        pass(1).await;
        assert_eq!(activity.judge(&limits, IDLE, false), Verdict::SlowHead);
    }

    #[tokio::test(start_paused = true)]
    async fn another_head_may_take_its_time_from_its_first_byte_on() {
        let (limits, activity) = {
            let limits = Limits::default();
            let activity = Activity::new(&limits);
            (limits, activity)
        };
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

    /// Takes so many bytes every second of an answer whose connection is full, for so long. Returns after how many seconds the
    /// client was too slow.
    async fn too_slow_after(rate: usize, seconds: u64) -> Option<u64> {
        let limits = Limits::default();
        let activity = Activity::new(&limits);
        let _request = activity.begin_request();
        for second in 1..=seconds {
            activity.note_write(&Poll::<io::Result<usize>>::Pending);
            pass(1).await;
            let step = Poll::Ready(Ok(rate));
            if rate > 0 {
                activity.note_write(&step);
                activity.note_written(&step);
            }
            if activity.judge_pace(None) == Verdict::TooSlow {
                return Some(second);
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_less_than_the_rate_is_too_slow_after_the_grace_and_a_slow_one_is_not() {
        assert_eq!(too_slow_after(0, 600).await, Some(60));
        assert!(too_slow_after(1, 600).await.is_some_and(|second| second <= 61));
        assert_eq!(too_slow_after(10 * 1024, 600).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_system_holds_for_a_client_is_not_taken_by_it() {
        let limits = Limits::default();
        let activity = Activity::new(&limits);
        let _request = activity.begin_request();
        let (first, mut left) = (4 << 20, 4 << 20);
        activity.note_written(&Poll::Ready(Ok(first)));
        activity.note_write(&Poll::<io::Result<usize>>::Pending);
        // It takes 10 KiB a second, and the system has no room for more in all that time.
        for _ in 0..300 {
            pass(1).await;
            left -= 10 * 1024;
            assert_eq!(activity.judge_pace(Some(left)), Verdict::Fine);
        }
        // The second in which it took the last of them was one of the grace.
        for _ in 0..58 {
            pass(1).await;
            assert_eq!(activity.judge_pace(Some(left)), Verdict::Fine);
        }
        pass(1).await;
        assert_eq!(activity.judge_pace(Some(left)), Verdict::TooSlow);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_its_client_stops_is_let_go_of_alone_while_another_goes_on() {
        let limits = Limits::default();
        let activity = Activity::new(&limits);
        let held = Arc::new(());
        let body = |held: Arc<()>| {
            let chunks = futures::stream::repeat_with(move || {
                let _ = &held;
                Ok::<_, io::Error>(Bytes::from(vec![0; 3 * PIECE]))
            });
            Body::from_stream(chunks)
        };
        let answer = |held| Answer::new(body(held), activity.begin_request(), &limits, true);
        let (mut stopped, mut goes_on) = (answer(Arc::clone(&held)), answer(Arc::new(())));
        let piece = stopped.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), PIECE);
        for second in 1..=600 {
            pass(1).await;
            assert_eq!(goes_on.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE);
            assert_eq!(activity.judge_pace(None), Verdict::Fine, "the other one goes on");
            assert_eq!(Arc::strong_count(&held), if second < 60 { 2 } else { 1 }, "after {second} s");
        }
        assert!(stopped.frame().await.unwrap().is_err());
        drop(goes_on);
        assert_eq!(activity.judge_pace(None), Verdict::TooSlow, "nothing goes on any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_stalled_and_one_that_takes_little_is_not() {
        let (limits, activity) = {
            let limits = Limits::default();
            let activity = Activity::new(&limits);
            (limits, activity)
        };
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
