//! Random sessions on a driver that fails all the time leave what a model says.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt;
use wharf::base::Base;
use wharf::base::retry::{Retry, RetryPolicy, Retrying};
use wharf::contract::{Entry, StorageDriverExt};
use wharf::drivers::inmemory::InMemory;

use super::*;
use crate::context::{Random, pattern};

const NAMES: [&str; 7] = ["/a/f", "/a-b", "/a.b", "/ab/f", "/a/g/h", "/c", "/c-d/e"];

const SESSIONS: u64 = 400;

/// Enough attempts that what fails 30 times in 100 succeeds, and no waits.
fn policy() -> RetryPolicy {
    RetryPolicy { attempts: 100, first_wait: Duration::ZERO, budget: u32::MAX, ..RetryPolicy::default() }
}

struct Session {
    seed: u64,
    driver: Base,
    random: Random,
    model: BTreeMap<&'static str, Bytes>,
}

fn at(name: &str) -> StoragePath {
    StoragePath::parse(name).unwrap()
}

impl Session {
    fn name(&mut self) -> &'static str {
        NAMES[self.random.below(NAMES.len())]
    }

    fn content(&mut self) -> Bytes {
        // Short ones too, so that many have the same size.
        let length = [5, 300, 40_000][self.random.below(3)];
        pattern(self.random.next(), length)
    }

    async fn step(&mut self) {
        let (name, content) = (self.name(), self.content());
        let path = at(name);
        match self.random.below(8) {
            0 => {
                self.driver.put_content(&path, content.clone()).await.unwrap();
                self.model.insert(name, content);
            }
            1 | 2 => {
                if self.upload(&path, &content).await {
                    self.model.insert(name, content);
                }
            }
            3 => {
                let target = self.name();
                if target != name {
                    let moved = self.driver.move_file(&path, &at(target)).await;
                    let content = self.model.remove(name);
                    assert_eq!(moved.is_ok(), content.is_some(), "seed {}: move: {moved:?}", self.seed);
                    self.model.extend(content.map(|content| (target, content)));
                }
            }
            4 => {
                let deleted = self.driver.delete(&path).await;
                let was_there = self.model.remove(name).is_some();
                assert_eq!(deleted.is_ok(), was_there, "seed {}: delete: {deleted:?}", self.seed);
            }
            5 => {
                let names = [name, self.name()];
                self.driver.delete_files(&names.map(at)).await.unwrap();
                names.iter().for_each(|name| drop(self.model.remove(name)));
            }
            6 => self.read(name).await,
            _ => self.look().await,
        }
    }

    /// What a careful client does: it goes on from what is stored, whatever fails. Returns whether it committed.
    async fn upload(&mut self, path: &StoragePath, content: &Bytes) -> bool {
        let mut writer = self.driver.writer(path, WriteMode::New).await.unwrap();
        let mut mode = WriteMode::New;
        let cancels = self.random.below(5) == 0;
        loop {
            let at = writer.size() as usize;
            assert!(at <= content.len(), "seed {}: more bytes than were written", self.seed);
            if at == content.len() || (cancels && at > 0) {
                break;
            }
            let end = content.len().min(at + content.len().div_ceil(3));
            if writer.write(content.slice(at..end)).await.is_ok() && self.random.below(4) > 0 {
                continue;
            }
            let _ = writer.close().await;
            mode = WriteMode::Append;
            writer = self.append(path).await.unwrap();
        }
        if !cancels {
            let size = writer.commit().await.unwrap_or_else(|error| panic!("seed {}: {mode:?}: {error}", self.seed));
            assert_eq!(size, content.len() as u64);
            return true;
        }
        while writer.cancel().await.is_err() {
            match self.append(path).await {
                Ok(again) => writer = again,
                Err(error) if error.is_path_not_found() => break,
                Err(error) => panic!("seed {}: {error}", self.seed),
            }
        }
        false
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn FileWriter>> {
        loop {
            match self.driver.writer(path, WriteMode::Append).await {
                Err(error) if error.kind() == &ErrorKind::OutcomeUnknown => {}
                opened => return opened,
            }
        }
    }

    async fn read(&mut self, name: &str) {
        let path = at(name);
        let Some(content) = self.model.get(name) else {
            assert!(self.driver.get_content(&path).await.unwrap_err().is_path_not_found(), "seed {}", self.seed);
            return;
        };
        assert_eq!(&self.driver.get_content(&path).await.unwrap(), content, "seed {}", self.seed);
        assert_eq!(self.driver.stat(&path).await.unwrap().size, content.len() as u64, "seed {}", self.seed);
        let offset = self.random.below(content.len() + 1);
        let length = self.random.below(content.len() + 10);
        let range = ByteRange::new(offset as u64, length as u64);
        let expected = content.slice(offset..content.len().min(offset + length));
        assert_eq!(self.driver.read_range(&path, range).await.unwrap(), expected, "seed {}: {range:?}", self.seed);
        assert_eq!(&self.driver.read_range(&path, ByteRange::ALL).await.unwrap(), content, "seed {}", self.seed);
    }

    /// Compares the listings with the model.
    async fn look(&mut self) {
        let root = StoragePath::root();
        let walk: Vec<Entry> = self.driver.walk(&root, None).await.unwrap().try_collect().await.unwrap();
        let files: Vec<_> = walk.iter().filter(|entry| !entry.is_dir).map(|entry| entry.path.as_str()).collect();
        let expected: Vec<_> = self.model.keys().copied().collect();
        assert_eq!(files, expected, "seed {}", self.seed);
        let tops: BTreeSet<_> = self.model.keys().map(|name| name.split('/').nth(1).unwrap()).collect();
        let listed = self.driver.list_all(&root).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|entry| entry.path.file_name().unwrap()).collect();
        assert_eq!(listed.len(), tops.len(), "seed {}: {listed:?}", self.seed);
        assert!(listed.iter().all(|name| tops.contains(name)), "seed {}: {listed:?}", self.seed);
    }
}

#[tokio::test]
async fn sessions_on_a_driver_that_fails_all_the_time_leave_what_a_model_says() {
    let mut faults = 0;
    for seed in 0..SESSIONS {
        let store = InMemory::new();
        let faulty = Faulty::everywhere(Arc::new(store.clone()), seed, 30);
        let driver = Base::new(Arc::new(Retrying::new(Arc::new(faulty.clone()), Retry::new(policy()))));
        let mut session = Session { seed, driver, random: Random::new(seed), model: BTreeMap::new() };
        for _ in 0..60 {
            session.step().await;
        }
        // What is stored, looked at without what fails.
        session.driver = Base::new(Arc::new(store.clone()));
        session.look().await;
        for name in NAMES {
            session.read(name).await;
        }
        let left: Vec<Entry> = store.uploads(&StoragePath::root()).await.unwrap().try_collect().await.unwrap();
        assert_eq!(left, [], "seed {seed}: uploads are left");
        faults += faulty.faults();
    }
    assert!(faults > SESSIONS * 30, "only {faults} faults: this proves nothing");
}
