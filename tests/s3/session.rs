//! A session of 200 uploads while a tenth of the requests is broken: nothing is lost, doubled or changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::contract::{Error, ErrorKind, StorageDriver, StoragePath, WriteMode};
use wharf_conformance::proxy::{Faults, Proxy};

use crate::path;
use crate::support::Bucket;

const MIB: u64 = 1024 * 1024;
const UPLOADS: u64 = 200;
const AT_A_TIME: usize = 8;

/// What becomes of an upload in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Committed,
    /// Closed and continued, as often as it has pieces, then committed.
    Resumed,
    /// Committed, then moved, as a registry does.
    Moved,
    Cancelled,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    number: u64,
    size: u64,
    end: End,
}

impl Plan {
    fn of(number: u64) -> Self {
        let end = [End::Committed, End::Resumed, End::Moved, End::Cancelled, End::Committed][(number % 5) as usize];
        let size = [0, 1, 4000, 300_000, MIB, 5 * MIB, 5 * MIB + 1, 11 * MIB][(number / 5 % 8) as usize];
        Plan { number, size, end }
    }

    fn upload(&self) -> StoragePath {
        path(&format!("/uploads/{}/data", self.number))
    }

    fn target(&self) -> StoragePath {
        match self.end {
            End::Moved => path(&format!("/blobs/{}/data", self.number)),
            _ => self.upload(),
        }
    }

    /// Different for each upload and at each place.
    fn content(&self) -> Bytes {
        let seed = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..self.size).map(|at| (at.wrapping_mul(seed) >> 24) as u8).collect::<Vec<u8>>().into()
    }

    async fn run(&self, driver: &dyn StorageDriver) -> Result<(), Error> {
        let (upload, content) = (self.upload(), self.content());
        let mut writer = driver.writer(&upload, WriteMode::New).await?;
        let pieces = if self.end == End::Resumed { 3 } else { 1 };
        let step = content.len().div_ceil(pieces).max(1);
        for index in 0..pieces {
            let piece = content.slice((index * step).min(content.len())..((index + 1) * step).min(content.len()));
            // As a registry writes: what the network brings.
            for at in (0..piece.len()).step_by(100_000) {
                writer.write(piece.slice(at..(at + 100_000).min(piece.len()))).await?;
            }
            if index + 1 < pieces {
                writer.close().await?;
                writer = driver.writer(&upload, WriteMode::Append).await?;
                assert_eq!(writer.size(), ((index + 1) * step).min(content.len()) as u64, "{self:?}");
            }
        }
        match self.end {
            End::Cancelled => writer.cancel().await?,
            _ => {
                let size = writer.commit().await?;
                assert_eq!(size, self.size, "{self:?}");
            }
        }
        if self.end == End::Moved {
            driver.move_file(&upload, &self.target()).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_uploads_with_a_tenth_of_the_requests_broken_are_whole_and_there_once() {
    let bucket = Bucket::new("RGW").unwrap();
    let proxy = Proxy::start_faulty(&bucket.endpoint, Faults::new(0.1, 2)).unwrap();
    let driver = bucket.through(&proxy.url()).open("/session").await.unwrap();
    let work = stream::iter((0..UPLOADS).map(Plan::of)).map(|plan| {
        let driver: Arc<dyn StorageDriver> = driver.clone();
        async move { plan.run(&*driver).await.map_err(|error| format!("{plan:?}: {error}")) }
    });
    tokio::time::timeout(Duration::from_secs(600), work.buffer_unordered(AT_A_TIME).try_collect::<()>())
        .await
        .expect("the session did not end")
        .unwrap();

    // What is there is looked at without faults.
    let calm = bucket.open("/session").await.unwrap();
    let mut expected: BTreeMap<String, Plan> = (0..UPLOADS)
        .map(Plan::of)
        .filter(|plan| plan.end != End::Cancelled)
        .map(|plan| (plan.target().to_string(), plan))
        .collect();
    let mut entries = calm.walk(&StoragePath::root(), None).await.unwrap();
    while let Some(entry) = entries.try_next().await.unwrap() {
        if entry.is_dir {
            continue;
        }
        let plan =
            expected.remove(entry.path.as_str()).unwrap_or_else(|| panic!("{} is there once too often", entry.path));
        assert!(calm.get_content(&entry.path).await.unwrap() == plan.content(), "{plan:?} was changed");
    }
    assert!(expected.is_empty(), "lost: {expected:?}");
    let uploads: Vec<_> = calm.uploads(&StoragePath::root()).await.unwrap().try_collect().await.unwrap();
    assert!(uploads.is_empty(), "left behind: {uploads:?}");

    // And through the faults too: what is read is whole.
    for plan in (0..UPLOADS).map(Plan::of) {
        match driver.get_content(&plan.target()).await {
            Ok(content) => assert!(content == plan.content(), "{plan:?} was read wrongly"),
            Err(error) => assert!(
                *error.kind() == ErrorKind::PathNotFound && plan.end == End::Cancelled,
                "{plan:?} could not be read: {error}"
            ),
        }
    }
    let report = proxy.report();
    println!("\n{report}");
    assert!(report.idle_classes().is_empty(), "never struck: {:?}", report.idle_classes());
}
