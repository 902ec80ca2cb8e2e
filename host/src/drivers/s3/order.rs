//! The order of listings, where the store has another one.

use std::collections::VecDeque;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::contract::{Entry, EntryStream};

/// Brings a directory's entries from the order of names into ours, in which a directory counts as its name with a slash:
/// of `y/`, `y-1` and `y.b`, the first comes last, since `-` and `.` sort before the slash.
///
/// A directory is held back until an entry comes that sorts after it. That are as many as have names which begin with each
/// other's.
#[derive(Default)]
pub(super) struct TreeOrder {
    /// Directories that are held back, each before the one below it.
    held: Vec<Entry>,
}

impl TreeOrder {
    /// Returns a listing in our order.
    pub(super) fn sort(entries: EntryStream) -> EntryStream {
        let state = (Some(entries), TreeOrder::default(), VecDeque::new());
        stream::try_unfold(state, |(mut entries, mut order, mut ready)| async move {
            loop {
                if let Some(entry) = ready.pop_front() {
                    return Ok(Some((entry, (entries, order, ready))));
                }
                let Some(source) = &mut entries else { return Ok(None) };
                match source.try_next().await? {
                    Some(entry) => order.take(entry, &mut ready),
                    None => {
                        ready.extend(order.held.drain(..).rev());
                        entries = None;
                    }
                }
            }
        })
        .boxed()
    }

    /// Takes the next entry in the order of names, and adds to `ready` what nothing can come before any more.
    fn take(&mut self, entry: Entry, ready: &mut VecDeque<Entry>) {
        while let Some(directory) = self.held.pop_if(|held| held.position() < entry.position()) {
            ready.push_back(directory);
        }
        if entry.is_dir {
            self.held.push(entry);
        } else {
            ready.push_back(entry);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::contract::StoragePath;

    /// Every set of names over the characters around the slash, in the order of names, comes out in ours.
    #[tokio::test]
    async fn any_directory_in_the_order_of_names_comes_out_in_ours() {
        let mut seed = 1u64;
        for _ in 0..2000 {
            let mut random = |below: u64| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) % below
            };
            let mut names: Vec<(String, bool)> = (0..random(12))
                .map(|_| {
                    let tail: String = (0..random(4)).map(|_| ['-', '.', '0', 'a'][random(4) as usize]).collect();
                    (format!("a{tail}"), random(2) == 0)
                })
                .collect();
            names.sort();
            names.dedup();
            let entries: Vec<Entry> = names
                .iter()
                .map(|(name, is_dir)| Entry {
                    path: StoragePath::root().join(name).unwrap(),
                    is_dir: *is_dir,
                    size: None,
                    modified: None,
                })
                .collect();
            let mut expected = entries.clone();
            expected.sort_by_key(Entry::position);
            let sorted = TreeOrder::sort(stream::iter(entries.into_iter().map(Ok)).boxed());
            assert_eq!(sorted.try_collect::<Vec<_>>().await.unwrap(), expected);
        }
    }
}
