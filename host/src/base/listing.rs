//! Holds a driver to the order and the bounds of its listings.
//!
//! Callers page, merge and compare listings by their order; one entry out of place would make them miss files without a
//! sign. So a listing that breaks the rules ends with an error, and is not repaired.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};

use super::checks::fault;
use super::measure::Measure;
use super::stamp::OwnedStamp;
use crate::contract::{Cursor, Entry, EntryStream, Error, Position, Result, StoragePath};

/// What entries a listing may have.
pub(super) enum Rule {
    /// Direct children, in order, from after a position.
    Children(Option<Position>),
    /// All that lies below, in order, from a cursor.
    Tree(Option<Cursor>),
    /// Uploads at and below the path: several may be at one path, and in any order.
    Uploads,
}

/// Returns the entries, as long as they keep to the rule.
pub(super) fn hold(entries: EntryStream, rule: Rule, stamp: OwnedStamp, measure: Measure) -> EntryStream {
    Held { entries: Some(entries), rule, last: None, stamp, measure }.boxed()
}

struct Held {
    /// None once it is over.
    entries: Option<EntryStream>,
    rule: Rule,
    last: Option<Position>,
    stamp: OwnedStamp,
    measure: Measure,
}

impl Held {
    fn end(&mut self, error: Option<Error>) -> Poll<Option<Result<Entry>>> {
        self.entries = None;
        match error {
            None => {
                self.measure.succeed();
                Poll::Ready(None)
            }
            Some(error) => {
                let error = self.stamp.on(error);
                self.measure.fail(&error);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Checks an entry and remembers its place.
    fn check(&mut self, entry: &Entry) -> Result<()> {
        let directory = self.stamp.path();
        let is_inside = match &self.rule {
            Rule::Children(_) => is_child(directory, &entry.path),
            Rule::Tree(_) => directory.contains(&entry.path),
            Rule::Uploads => entry.path == *directory || directory.contains(&entry.path),
        };
        if !is_inside {
            return Err(fault(format!("{} does not belong into this listing", entry.path)));
        }
        if matches!(self.rule, Rule::Uploads) {
            return Ok(());
        }
        let position = entry.position();
        if let Some(last) = self.last.as_ref().filter(|last| position <= **last) {
            return Err(fault(format!("{} was listed after {}", entry.path, last.path)));
        }
        let is_asked_for = match &self.rule {
            Rule::Children(Some(after)) => position > *after,
            Rule::Tree(Some(cursor)) => cursor.admits(&position),
            _ => true,
        };
        if !is_asked_for {
            return Err(fault(format!("{} lies before the position to start after", entry.path)));
        }
        self.last = Some(position);
        Ok(())
    }
}

impl Stream for Held {
    type Item = Result<Entry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Entry>>> {
        let this = &mut *self;
        let Some(entries) = &mut this.entries else { return Poll::Ready(None) };
        match this.measure.step(|| entries.as_mut().poll_next(cx)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => this.end(None),
            Poll::Ready(Some(Err(error))) => this.end(Some(error)),
            Poll::Ready(Some(Ok(entry))) => match this.check(&entry) {
                Ok(()) => {
                    this.measure.add_entry();
                    Poll::Ready(Some(Ok(entry)))
                }
                Err(error) => this.end(Some(error)),
            },
        }
    }
}

/// As `path.parent() == directory`, without making the parent for every entry.
fn is_child(directory: &StoragePath, path: &StoragePath) -> bool {
    let skip = if directory.is_root() { 1 } else { directory.as_str().len() + 1 };
    directory.contains(path) && !path.as_str()[skip..].contains('/')
}
