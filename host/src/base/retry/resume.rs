//! A stream that goes on where it broke off.
//!
//! What a stream is made of, and how the rest of it is opened, is for [`Source`] to say: `reader.rs` for bytes,
//! `listing.rs` for entries. This file knows when to try again and for how long to wait.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use super::attempts::{Attempts, sleep};
use super::policy::{Repeat, Retry, is_transient};
use crate::contract::{Error, ErrorKind, Result};

pub(super) type Items<T> = BoxStream<'static, Result<T>>;

/// Where a stream comes from, and how far it has come.
pub(super) trait Source: Send + Unpin + 'static {
    type Item: Send + 'static;

    /// Notes an item that the caller is about to get. Returns whether it brings the stream forward.
    fn note(&mut self, item: &Self::Item) -> bool;

    /// Returns what is wrong with a stream that ends now; none if it is whole.
    fn missing(&self) -> Option<Error>;

    /// Opens what is left, or says why that cannot be done. An error of the opening that may pass is another failed
    /// attempt; any other ends the stream.
    fn open_rest(&self) -> Result<BoxFuture<'static, Result<Items<Self::Item>>>, &'static str>;
}

/// Returns the stream, resumed where it fails. `stall` is how long it may give nothing.
pub(super) fn resumed<S: Source>(items: Items<S::Item>, source: S, retry: Retry, stall: Duration) -> Items<S::Item> {
    let silence = Silence { limit: stall, since: None, alarm: None };
    Resumed { state: State::Open(items), source, retry, attempts: Attempts::default(), silence }.boxed()
}

struct Resumed<S: Source> {
    state: State<S::Item>,
    source: S,
    retry: Retry,
    attempts: Attempts,
    silence: Silence,
}

enum State<T> {
    Open(Items<T>),
    /// Waits for the time of the next attempt, and then for its answer.
    Opening(BoxFuture<'static, Result<Items<T>>>),
    Over,
}

impl<S: Source> Resumed<S> {
    /// The stream failed, or could not be opened again. Prepares the next attempt, or returns the error to end with.
    fn fail(&mut self, error: Error) -> Option<Error> {
        // What the broken stream holds is let go of now: a permit, a connection. The next one may need it.
        self.state = State::Over;
        if !is_transient(&error) {
            return Some(self.attempts.last(error));
        }
        let opening = match self.source.open_rest() {
            Ok(opening) => opening,
            Err(why) => return Some(self.attempts.last(error.with_note(format_args!("it was not resumed: {why}")))),
        };
        let Some(wait) = self.attempts.next(&self.retry, &error, Repeat::Always) else {
            return Some(self.attempts.end(error));
        };
        let retry = self.retry.clone();
        self.state = State::Opening(Box::pin(async move {
            sleep(wait).await;
            let rest = retry.attempt(Repeat::Always, opening).await?;
            retry.earn();
            Ok(rest)
        }));
        None
    }
}

impl<S: Source> Stream for Resumed<S> {
    type Item = Result<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<S::Item>>> {
        let this = &mut *self;
        loop {
            let failed = match &mut this.state {
                State::Over => return Poll::Ready(None),
                State::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(items) => {
                        this.state = State::Open(items);
                        continue;
                    }
                    Err(error) => error,
                },
                State::Open(items) => match items.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(item))) => {
                        this.silence.end();
                        if this.source.note(&item) {
                            this.attempts.begin_anew();
                        }
                        return Poll::Ready(Some(Ok(item)));
                    }
                    Poll::Ready(Some(Err(error))) => error,
                    Poll::Ready(None) => match this.source.missing() {
                        Some(error) => error,
                        None => {
                            this.state = State::Over;
                            return Poll::Ready(None);
                        }
                    },
                    Poll::Pending => ready!(this.silence.poll(cx)),
                },
            };
            this.silence.end();
            if let Some(error) = this.fail(failed) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// How much later than set an alarm may be seen by somebody who waits for it.
const LATE: Duration = Duration::from_secs(1);

/// Measures for how long a stream has given nothing, while somebody waits for it.
struct Silence {
    /// [`Duration::MAX`]: for ever, and nothing is measured.
    limit: Duration,
    /// Since when somebody waits.
    since: Option<Instant>,
    /// Made at the first wait and then used again. It may ring too early, for a wait that is over.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// Something came.
    fn end(&mut self) {
        self.since = None;
    }

    /// Ready when it has lasted too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if self.limit == Duration::MAX {
            return Poll::Pending;
        }
        let mut since = *self.since.get_or_insert_with(Instant::now);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + self.limit)));
        while alarm.as_mut().poll(cx).is_ready() {
            let due = since + self.limit;
            let now = Instant::now();
            if now >= due && now - due < LATE {
                let message = format!("no byte came for {} s", self.limit.as_secs_f32());
                return Poll::Ready(Error::new(ErrorKind::Unavailable, message));
            }
            // Somebody who waits is woken when the alarm rings. Who asks much later was away, and waits from now on.
            if now >= due {
                since = now;
                self.since = Some(now);
            }
            alarm.as_mut().reset(since + self.limit);
        }
        Poll::Pending
    }
}
