//! The scenarios: what is done in a process of its own, and what must be seen of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use wharf::contract::{Result, StorageDriver, StoragePath, WriteMode};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{Runtime, RuntimeConfig};
use wharf_conformance::components::with_filesystem;

use crate::trace::BEGIN;

/// Which driver does it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Native,
    Component,
}

impl Driver {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Driver::Native => "filesystem",
            Driver::Component => "filesystem_component",
        }
    }
}

type Work = fn(Arc<dyn StorageDriver>) -> BoxFuture<'static, Result<()>>;

/// Something that is acknowledged at its end, and what must have been done by then, in this order.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    prepare: Work,
    work: Work,
    pub(crate) expected: &'static [&'static str],
}

pub(crate) static ALL: &[Scenario] = &[
    Scenario {
        name: "put_syncs_the_file_before_the_rename_and_the_directory_after_it",
        prepare: |driver| put(driver, "/a/other").boxed(),
        work: |driver| put(driver, "/a/file").boxed(),
        expected: &["write a/~", "fsync a/~", "rename a/~ a/file", "fsync a"],
    },
    Scenario {
        name: "put_syncs_what_holds_each_directory_that_it_made",
        prepare: |driver| put(driver, "/other").boxed(),
        work: |driver| put(driver, "/a/b/file").boxed(),
        expected: &[
            "mkdir a",
            "fsync .",
            "mkdir a/b",
            "fsync a",
            "write a/b/~",
            "fsync a/b/~",
            "rename a/b/~ a/b/file",
            "fsync a/b",
        ],
    },
    Scenario {
        name: "commit_syncs_the_upload_before_the_rename_and_the_directory_after_it",
        prepare: |driver| put(driver, "/a/other").boxed(),
        work: |driver| {
            async move {
                let mut writer = driver.writer(&path("/a/file")?, WriteMode::New).await?;
                writer.write(Bytes::from(vec![1; 1_000_000])).await?;
                writer.commit().await.map(|_| ())
            }
            .boxed()
        },
        expected: &["write a/~", "fsync a/~", "rename a/~ a/file", "fsync a"],
    },
    Scenario {
        name: "close_makes_the_upload_durable_at_its_path",
        prepare: |driver| put(driver, "/a/other").boxed(),
        work: |driver| {
            async move {
                let mut writer = driver.writer(&path("/a/file")?, WriteMode::New).await?;
                writer.write(Bytes::from(vec![1; 1_000_000])).await?;
                writer.close().await.map(|_| ())
            }
            .boxed()
        },
        expected: &["write a/~", "fsync a/~", "rename a/~ a/file", "fsync a"],
    },
    Scenario {
        name: "commit_of_a_continued_upload_syncs_it_in_place",
        prepare: |driver| {
            async move {
                let mut writer = driver.writer(&path("/a/file")?, WriteMode::New).await?;
                writer.write(Bytes::from(vec![1; 1000])).await?;
                writer.close().await.map(|_| ())
            }
            .boxed()
        },
        work: |driver| {
            async move {
                let mut writer = driver.writer(&path("/a/file")?, WriteMode::Append).await?;
                writer.write(Bytes::from(vec![2; 1000])).await?;
                writer.commit().await.map(|_| ())
            }
            .boxed()
        },
        expected: &["write a/file", "fsync a/file"],
    },
    Scenario {
        name: "move_syncs_both_directories_after_the_rename",
        prepare: |driver| {
            async move {
                put(driver.clone(), "/a/file").await?;
                put(driver, "/b/other").await
            }
            .boxed()
        },
        work: |driver| async move { driver.move_file(&path("/a/file")?, &path("/b/file")?).await }.boxed(),
        expected: &["rename a/file b/file", "fsync b", "fsync a"],
    },
    Scenario {
        name: "delete_syncs_the_directory_after_the_removal",
        prepare: |driver| put(driver, "/a/file").boxed(),
        work: |driver| async move { driver.delete(&path("/a/file")?).await }.boxed(),
        expected: &["unlink a/file", "fsync a"],
    },
];

async fn put(driver: Arc<dyn StorageDriver>, file: &str) -> Result<()> {
    driver.put_content(&path(file)?, Bytes::from_static(b"content")).await
}

fn path(text: &str) -> Result<StoragePath> {
    StoragePath::parse(text)
}

const SCENARIO: &str = "WHARF_DURABLE_SCENARIO";
const DRIVER: &str = "WHARF_DURABLE_DRIVER";
const ROOT: &str = "WHARF_DURABLE_ROOT";

/// The environment in which this binary runs a scenario instead of the tests.
pub(crate) fn ask(driver: Driver, scenario: &Scenario, root: &Path) -> [(&'static str, PathBuf); 3] {
    [(SCENARIO, scenario.name.into()), (DRIVER, driver.name().into()), (ROOT, root.to_owned())]
}

/// Runs the scenario that the environment asks for; none if it asks for none.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let name = std::env::var(SCENARIO).ok()?;
    let root = PathBuf::from(std::env::var_os(ROOT)?);
    let is_component = std::env::var(DRIVER).is_ok_and(|driver| driver == Driver::Component.name());
    let scenario = ALL.iter().find(|scenario| scenario.name == name)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(scenario, is_component, &root)),
        Err(error) => Err(error.to_string()),
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

async fn run(scenario: &Scenario, is_component: bool, root: &Path) -> std::result::Result<(), String> {
    let driver = open(is_component, root).await?;
    (scenario.prepare)(Arc::clone(&driver)).await.map_err(|error| error.to_string())?;
    println!("{BEGIN}");
    std::io::stdout().flush().map_err(|error| error.to_string())?;
    (scenario.work)(driver).await.map_err(|error| error.to_string())
}

async fn open(is_component: bool, root: &Path) -> std::result::Result<Arc<dyn StorageDriver>, String> {
    if !is_component {
        let parameters = Parameters::new().with("rootdirectory", root.display().to_string());
        return Factory::native().create("filesystem", parameters).await.map_err(|error| error.to_string());
    }
    std::fs::create_dir_all(root).map_err(|error| error.to_string())?;
    let text = |error: wharf::contract::Error| error.to_string();
    let runtime = Runtime::new(RuntimeConfig { cache: Some(crate::cache().to_owned()), ..RuntimeConfig::default() })
        .map_err(text)?;
    let factory = with_filesystem(&runtime, root).map_err(|error| error.to_string())?;
    factory.create("filesystem.wasm", Parameters::new().with("rootdirectory", "/data")).await.map_err(text)
}
