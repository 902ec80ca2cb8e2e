//! A listing that goes on after the last entry that it gave.

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;

use super::Retrying;
use super::resume::{Items, Source, resumed};
use crate::contract::{Cursor, Entry, EntryStream, Error, Position, Result, StoragePath};

/// What is listed, and after which place it goes on.
#[derive(Clone)]
pub(super) enum Kind {
    List(Option<Position>),
    Walk(Option<Cursor>),
    /// Has no order, and so no place to go on from.
    Uploads,
}

/// Returns the entries, resumed where their stream fails.
pub(super) fn resume(driver: &Retrying, path: &StoragePath, kind: Kind, entries: EntryStream) -> EntryStream {
    let source = Listing { driver: driver.clone(), path: path.clone(), kind, is_begun: false };
    // How long a page takes, and how many there are before the next entry, depends on what is stored.
    resumed(entries, source, driver.retry.clone(), Duration::MAX)
}

struct Listing {
    driver: Retrying,
    path: StoragePath,
    kind: Kind,
    /// Whether the caller has got an entry.
    is_begun: bool,
}

impl Source for Listing {
    type Item = Entry;

    fn note(&mut self, entry: &Entry) -> bool {
        self.is_begun = true;
        match &mut self.kind {
            Kind::List(after) => *after = Some(entry.position()),
            Kind::Walk(start) => *start = Some(Cursor::after(entry)),
            Kind::Uploads => {}
        }
        true
    }

    fn missing(&self) -> Option<Error> {
        // Nobody knows how many entries there are: an end is an end.
        None
    }

    fn open_rest(&self) -> Result<BoxFuture<'static, Result<Items<Entry>>>, &'static str> {
        if self.is_begun && matches!(self.kind, Kind::Uploads) {
            return Err("uploads have no order by which to go on; list them again");
        }
        let (driver, path, kind) = (self.driver.inner.clone(), self.path.clone(), self.kind.clone());
        Ok(Box::pin(async move {
            let rest = match &kind {
                Kind::List(after) => driver.list(&path, after.as_ref()).await,
                Kind::Walk(start) => driver.walk(&path, start.as_ref()).await,
                Kind::Uploads => driver.uploads(&path).await,
            };
            match rest {
                // It was there when the listing was opened. Deleted since, it has no more entries.
                Err(error) if error.is_path_not_found() => Ok(stream::empty().boxed()),
                rest => rest,
            }
        }))
    }
}
