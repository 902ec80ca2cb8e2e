//! The budget of requests that the driver's documentation states, counted at a proxy.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::contract::{ByteRange, RedirectRequest, StorageDriver, StorageDriverExt, WriteMode};
use wharf_conformance::proxy::Proxy;

use crate::{path, watched};

const MIB: usize = 1024 * 1024;

struct Counter {
    proxy: Proxy,
    lines: Vec<String>,
}

impl Counter {
    /// Runs an operation and holds its requests against the budget.
    async fn spend<T, E: std::fmt::Debug>(
        &mut self,
        operation: &str,
        budget: usize,
        work: impl Future<Output = Result<T, E>>,
    ) -> T {
        self.proxy.clear();
        let result = work.await.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
        let requests = self.proxy.requests();
        self.lines.push(format!("{operation:<52}{:>4}{budget:>8}", requests.len()));
        let texts: Vec<String> = requests.iter().map(ToString::to_string).collect();
        assert!(requests.len() <= budget, "{operation}: {} requests, {budget} at most: {texts:#?}", requests.len());
        // What costs less than it says is a line of documentation to correct.
        assert_eq!(requests.len(), budget, "{operation}: {texts:#?}");
        result
    }
}

async fn read(driver: &Arc<dyn StorageDriver>, file: &str, range: ByteRange) -> wharf::contract::Result<usize> {
    driver.read_range(&path(file), range).await.map(|content| content.len())
}

async fn upload(
    driver: &Arc<dyn StorageDriver>,
    file: &str,
    mode: WriteMode,
    bytes: usize,
    commit: bool,
) -> wharf::contract::Result<u64> {
    let mut writer = driver.writer(&path(file), mode).await?;
    writer.write(Bytes::from(vec![7; bytes])).await?;
    if commit { writer.commit().await } else { writer.close().await }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_costs_the_requests_that_the_documentation_states() {
    let (bucket, proxy) = watched();
    let mut counter = Counter { proxy, lines: Vec::new() };
    let driver = counter.spend("open, of a store of one's own", 1, bucket.open("/budget")).await;
    counter.spend("put_content", 1, driver.put_content(&path("/d/file"), Bytes::from(vec![1; 1000]))).await;
    counter.spend("put_content of nothing", 1, driver.put_content(&path("/d/empty"), Bytes::new())).await;
    counter.spend("get_content", 1, driver.get_content(&path("/d/file"))).await;
    counter.spend("reader", 1, read(&driver, "/d/file", ByteRange::ALL)).await;
    counter.spend("reader from an offset", 1, read(&driver, "/d/file", ByteRange::from(10))).await;
    counter.spend("reader at the end", 1, read(&driver, "/d/file", ByteRange::from(1000))).await;
    counter.spend("reader of a range", 1, read(&driver, "/d/file", ByteRange::new(10, 5))).await;
    counter.spend("reader of an empty file", 1, read(&driver, "/d/empty", ByteRange::ALL)).await;
    counter.spend("stat of a file", 1, driver.stat(&path("/d/file"))).await;
    counter.spend("stat of the root", 1, driver.stat(&wharf::contract::StoragePath::root())).await;
    counter.spend("stat of a directory", 2, driver.stat(&path("/d"))).await;
    counter.spend("exists, of nothing", 2, driver.exists(&path("/e"))).await;
    counter.spend("list", 1, driver.list_all(&path("/d"))).await;
    counter.spend("redirect_url", 0, driver.redirect_url(&path("/d/file"), &get())).await;

    counter.spend("an upload of less than a chunk", 2, upload(&driver, "/u/a", WriteMode::New, MIB, true)).await;
    // List, begin and list, two parts, complete.
    counter.spend("an upload of two chunks", 6, upload(&driver, "/u/b", WriteMode::New, 10 * MIB, true)).await;
    // List, begin and list, one part and a short one.
    counter.spend("an upload of 6 MiB, closed", 5, upload(&driver, "/u/c", WriteMode::New, 6 * MIB, false)).await;
    // List and parts; complete, stat, begin and list, copy; the rest, complete.
    counter
        .spend("continued after a short last part, committed", 9, upload(&driver, "/u/c", WriteMode::Append, MIB, true))
        .await;
    counter.spend("an upload of a chunk, closed", 4, upload(&driver, "/u/d", WriteMode::New, 5 * MIB, false)).await;
    counter.spend("continued, closed", 3, upload(&driver, "/u/d", WriteMode::Append, 5 * MIB, false)).await;
    counter.spend("an upload anew over an older one", 3, upload(&driver, "/u/d", WriteMode::New, MIB, true)).await;
    counter.spend("move", 3, driver.move_file(&path("/u/a"), &path("/u/e"))).await;
    // Stat, begin and list, two ranges, complete, delete.
    counter.spend("move in two ranges", 7, driver.move_file(&path("/u/b"), &path("/u/f"))).await;
    counter.spend("delete of a file", 3, driver.delete(&path("/u/e"))).await;
    counter.spend("delete of a directory", 3, driver.delete(&path("/u"))).await;
    counter.spend("delete_files", 1, driver.delete_files(&[path("/d/file"), path("/d/empty")])).await;
    println!("\n{:<52}{:>4}{:>8}\n{}", "operation", "", "budget", counter.lines.join("\n"));
}

fn get() -> RedirectRequest {
    RedirectRequest { method: "GET".to_owned(), client_address: None }
}

/// How many objects the large directory has: ten thousand, or what the long form says.
fn many() -> usize {
    if std::env::var_os("WHARF_TEST_LONG").is_some() { 100_000 } else { 10_000 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_a_walk_of_n_objects_cost_a_request_for_each_thousand_and_at_most_one_more() {
    let (bucket, proxy) = watched();
    let direct = bucket.open("/many").await.unwrap();
    let count = many();
    stream::iter(0..count)
        .map(|index| {
            let direct = direct.clone();
            async move { direct.put_content(&path(&format!("/d/f{index:06}")), Bytes::from_static(b"x")).await }
        })
        .buffer_unordered(64)
        .try_collect::<()>()
        .await
        .unwrap();
    let most = count.div_ceil(1000) + 1;
    for operation in ["list", "walk"] {
        proxy.clear();
        let entries = match operation {
            "list" => direct.list(&path("/d"), None).await.unwrap(),
            _ => direct.walk(&path("/d"), None).await.unwrap(),
        };
        let found = entries.try_fold(0, async |found, _| Ok(found + 1)).await.unwrap();
        let requests = proxy.requests().len();
        println!("{operation} of {count} objects: {requests} requests, {most} at most");
        assert_eq!(found, count);
        assert!(requests <= most, "{operation}: {requests} requests");
    }
    proxy.clear();
    direct.delete(&path("/d")).await.unwrap();
    let requests = proxy.requests().len();
    println!("delete of {count} objects: {requests} requests");
    assert!(requests <= 2 * count.div_ceil(1000) + 3, "{requests} requests");
}
