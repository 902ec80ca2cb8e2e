//! Trying one thing again until it succeeds, or is to be tried no more.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Sleep;

use super::attempts::Attempts;
use super::policy::{Repeat, Retry};
use crate::contract::{Error, ErrorKind, Result};

impl Retry {
    /// Tries until it succeeds, fails in a way that no retry mends, or the policy ends it. The error says then how
    /// often it was tried.
    ///
    /// An attempt that takes longer than [`attempt_timeout`](super::RetryPolicy::attempt_timeout) is given up: it counts as
    /// [`Unavailable`](ErrorKind::Unavailable) where it may be repeated anyway, else as
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown).
    ///
    /// An outcome that is unknown stays so: when a later attempt fails as unavailable, the error is still
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown).
    ///
    /// # Cancel safety
    ///
    /// That of the attempt.
    pub async fn run<T, F>(&self, repeat: Repeat, mut attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.run_untimed(repeat, || self.attempt(repeat, attempt())).await
    }

    /// As [`run`](Retry::run), with no limit on an attempt's time but its own: for what takes the longer the more there
    /// is to do.
    pub(crate) async fn run_untimed<T, F>(&self, repeat: Repeat, mut attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut attempts = Attempts::begin();
        loop {
            match attempt().await {
                Ok(value) => {
                    self.earn();
                    return Ok(value);
                }
                Err(error) => attempts.wait_after(self, error, repeat).await?,
            }
        }
    }

    /// Makes one attempt, for as long as one may take.
    pub(crate) async fn attempt<T>(&self, repeat: Repeat, work: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.policy().attempt_timeout;
        if limit == Duration::MAX {
            return work.await;
        }
        let mut work = pin!(work);
        // What answers at once needs no clock.
        let mut given_up = pin!(None::<Sleep>);
        let within_the_limit = std::future::poll_fn(|cx| {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            if given_up.is_none() {
                given_up.set(Some(tokio::time::sleep(limit)));
            }
            match given_up.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        });
        match within_the_limit.await {
            Some(result) => result,
            None => {
                let kind = match repeat {
                    Repeat::Always => ErrorKind::Unavailable,
                    Repeat::UnlessUnknown => ErrorKind::OutcomeUnknown,
                };
                Err(Error::new(kind, format!("no answer within {} s", limit.as_secs_f32())))
            }
        }
    }
}
