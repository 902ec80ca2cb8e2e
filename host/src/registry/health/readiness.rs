//! Whether requests should be sent here: a list of named checks, which anybody can add to.
//!
//! Probes come often, from several places, and must not become a load or a leak. So an answer counts for a second; a check
//! that is under way is waited for and never begun twice, however long it hangs; and whoever asks has an answer within a
//! second. Until a check that takes longer has answered, what it last found counts, for as long as it may take at most.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long what a check found counts.
const FRESH: Duration = Duration::from_secs(1);

/// How long somebody who asks waits for checks: less than orchestrators do by default, which is a second.
pub(super) const PATIENCE: Duration = Duration::from_millis(800);

/// Something that must hold: its name, and why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The check's name.
    pub check: &'static str,
    /// What is missing, for operators.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.why)
    }
}

type Outcome = Result<(), String>;
type Ask = Box<dyn Fn() -> BoxFuture<'static, Outcome> + Send + Sync>;

/// A check, and what it last found.
pub(super) struct Check {
    name: &'static str,
    ask: Ask,
    /// How long it may take before it has failed.
    limit: Duration,
    known: Mutex<Known>,
    /// Counts the answers.
    answers: watch::Sender<u64>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// What was found last, and when it was begun to be looked for.
    last: Option<(Instant, Outcome)>,
    /// Since when a check has been under way.
    since: Option<Instant>,
}

impl Check {
    pub(super) fn new(
        name: &'static str,
        limit: Duration,
        ask: impl Fn() -> BoxFuture<'static, Outcome> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Check { name, ask: Box::new(ask), limit, known: Mutex::default(), answers: watch::Sender::new(0) })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds out what holds: asks, unless what was found counts still or somebody asks already, and waits for the answer as
    /// long as it has patience.
    pub(super) async fn outcome(self: &Arc<Self>, patience: Duration) -> Outcome {
        let mut answers = self.answers.subscribe();
        if !self.begin() {
            return self.found();
        }
        // The sender lives as long as `self`.
        let _ = tokio::time::timeout(patience, answers.changed()).await;
        self.found()
    }

    /// Asks, unless somebody does already. Returns whether there is an answer to wait for.
    fn begin(self: &Arc<Self>) -> bool {
        let mut known = self.known();
        if known.since.is_some() {
            return true;
        }
        if known.last.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH) {
            return false;
        }
        let began = Instant::now();
        known.since = Some(began);
        drop(known);
        // Tasks of their own, so that whoever gives up waiting, or a panic, leaves nothing that is under way for ever.
        let asking = tokio::spawn((self.ask)());
        let check = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = asking.await.unwrap_or_else(|error| Err(format!("the check failed: {error}")));
            *check.known() = Known { last: Some((began, outcome)), since: None };
            check.answers.send_modify(|answers| *answers += 1);
        });
        true
    }

    /// Returns what is known now.
    fn found(&self) -> Outcome {
        match self.known().clone() {
            Known { since: Some(since), .. } if since.elapsed() >= self.limit => {
                Err(format!("no answer for {} s", since.elapsed().as_secs()))
            }
            Known { last: Some((_, outcome)), .. } => outcome,
            Known { last: None, .. } => Err("not checked yet".to_owned()),
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("known", &*self.known()).finish_non_exhaustive()
    }
}

/// The checks of one registry.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<Vec<Arc<Check>>>);

impl Checks {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Check>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, check: Arc<Check>) {
        self.lock().push(check);
    }

    /// Returns what is missing, in the order in which the checks were added. Asks them side by side.
    pub(super) async fn missing(&self, patience: Duration) -> Vec<Missing> {
        let checks = self.lock().clone();
        let asking = checks.into_iter().map(|check| async move {
            let why = check.outcome(patience).await.err()?;
            Some(Missing { check: check.name, why })
        });
        futures::future::join_all(asking).await.into_iter().flatten().collect()
    }
}
