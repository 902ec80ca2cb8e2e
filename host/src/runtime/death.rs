//! The end of an instance: why, what its callers are told, and who sees to it that nothing runs for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::ceiling::limit_behind;
use super::convert;
use super::last_words::{self, LastWords};
use crate::contract::{Error, ErrorKind};

/// Whether an operation changes the store: what its caller is told when the instance dies half-way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only looks. A death in it means unavailable.
    Read,
    /// It changes something. A death in it means outcome-unknown, once it had begun.
    Change,
}

/// Why an instance ended.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// In words.
    pub(super) reason: Arc<str>,
    /// The limit that it reached, if that was it.
    pub(super) limit: Option<&'static str>,
}

impl From<String> for Cause {
    fn from(reason: String) -> Self {
        Cause { reason: reason.into(), limit: None }
    }
}

impl Cause {
    /// An instance that was ended since it reached a limit.
    pub(super) fn limit(limit: &'static str, reason: String) -> Self {
        Cause { reason: reason.into(), limit: Some(limit) }
    }

    /// An instance that trapped, or broke the component model's rules: in one line, with what it printed just before, or
    /// the functions in which it was.
    pub(super) fn trap(error: &wasmtime::Error, last_words: &LastWords) -> Self {
        let reason = match error.downcast_ref::<wasmtime::Trap>() {
            Some(trap) => format!("it trapped: {trap}"),
            // It may quote names that the component chose.
            None => convert::excerpt(format!("{}", error.root_cause())),
        };
        let reason = match (last_words.last(), last_words::functions(error)) {
            (Some(printed), _) => convert::excerpt(format!("{reason}; it printed: {printed}")),
            (None, Some(functions)) => convert::excerpt(format!("{reason}; in {functions}")),
            (None, None) => reason,
        };
        Cause { reason: reason.into(), limit: limit_behind(error) }
    }

    /// Returns the error for something that was under way.
    pub(super) fn error(&self, effect: Effect) -> Error {
        self.answer(effect).with_death()
    }

    fn answer(&self, effect: Effect) -> Error {
        let reason = &self.reason;
        match effect {
            Effect::Read => {
                let kind = self.limit.map_or(ErrorKind::Unavailable, |limit| ErrorKind::LimitExceeded { limit });
                Error::new(kind, format!("the component's instance died: {reason}"))
            }
            Effect::Change => {
                let message = format!("the component's instance died before it answered: {reason}");
                let error = Error::new(ErrorKind::OutcomeUnknown, message);
                match self.limit {
                    Some(limit) => error.with_limit(limit),
                    None => error,
                }
            }
        }
    }
}

/// Ends an instance from outside.
pub(super) struct Kill {
    driver: Arc<str>,
    /// Read by the epoch callback: ends a guest that is running.
    flag: Arc<AtomicBool>,
    /// Wakes the task: ends a guest that is waiting.
    wake: Notify,
    cause: OnceLock<Cause>,
}

impl Kill {
    pub(super) fn new(driver: &Arc<str>) -> Arc<Self> {
        let driver = Arc::clone(driver);
        Arc::new(Kill { driver, flag: Arc::default(), wake: Notify::new(), cause: OnceLock::new() })
    }

    /// Returns what the epoch callback reads.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Returns whether the instance was ended.
    pub(super) fn is_ending(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits until the instance is ended.
    pub(super) async fn ending(&self) {
        self.wake.notified().await;
    }

    /// Returns why it was ended, if it was.
    pub(super) fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }

    /// Ends the instance, and everything that runs in it.
    pub(super) fn end(&self, cause: Cause) {
        tracing::warn!(driver = &*self.driver, reason = &*cause.reason, "ending an instance of a component");
        // The first cause is the one that counts.
        let _ = self.cause.set(cause);
        self.flag.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

/// Ends an instance whose opener went away: nobody waits for it.
pub(super) struct Opener(Option<Arc<Kill>>);

impl Opener {
    pub(super) fn new(kill: &Arc<Kill>) -> Self {
        Opener(Some(Arc::clone(kill)))
    }

    /// It has its answer.
    pub(super) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        if let Some(kill) = self.0.take() {
            kill.end("nobody waits for its `open` any more".to_owned().into());
        }
    }
}

/// Watches a call. Should its caller go away, it still has to answer in time, or its instance is ended: nobody else would
/// notice, and it would run for ever.
pub(super) struct Watch {
    kill: Arc<Kill>,
    what: &'static str,
    limit: Duration,
    deadline: Instant,
    /// Closed when the call is over, however it ended.
    over: Option<oneshot::Receiver<()>>,
}

impl Watch {
    /// Begins to watch a call: what is returned beside it is dropped when the call is over.
    pub(super) fn begin(kill: &Arc<Kill>, what: &'static str, limit: Duration) -> (oneshot::Sender<()>, Self) {
        let (is_over, over) = oneshot::channel();
        let deadline = Instant::now() + limit;
        (is_over, Watch { kill: Arc::clone(kill), what, limit, deadline, over: Some(over) })
    }

    /// Returns when the call must be over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The caller has its answer, or ends the instance itself.
    pub(super) fn disarm(&mut self) {
        self.over = None;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(over) = self.over.take() else { return };
        let (kill, what, limit, deadline) = (Arc::clone(&self.kill), self.what, self.limit, self.deadline);
        let watching = async move {
            if tokio::time::timeout_at(deadline, over).await.is_err() {
                kill.end(format!("it did not answer `{what}` within {limit:?}, and its caller has gone").into());
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(watching)),
            // Outside of the executor nobody can wait.
            Err(_) => self.kill.end("a caller went away outside of the executor".to_owned().into()),
        }
    }
}
