//! The process that is killed: four tasks that store, continue, move and replace files, and tell what was acknowledged.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use wharf::contract::{StorageDriver, StoragePath, WriteMode};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{Runtime, RuntimeConfig};
use wharf_conformance::components::with_filesystem;

use crate::content;

/// What the process prints when it begins.
pub(crate) const READY: &str = "ready";

const DRIVER: &str = "WHARF_CRASH_DRIVER";
const ROOT: &str = "WHARF_CRASH_ROOT";
const TASKS: usize = 4;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The environment in which this binary is the victim.
pub(crate) fn ask(driver: &str, root: &Path) -> [(&'static str, PathBuf); 2] {
    [(DRIVER, driver.into()), (ROOT, root.to_owned())]
}

/// Stores things until it is killed, if the environment asks for that.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let driver = std::env::var(DRIVER).ok()?;
    let root = PathBuf::from(std::env::var_os(ROOT)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&driver, &root)));
    if let Err(error) = ended {
        eprintln!("the process that was to be killed failed by itself: {error}");
    }
    Some(ExitCode::FAILURE)
}

async fn run(name: &str, root: &Path) -> Outcome {
    let parameters = |root: String| Parameters::new().with("rootdirectory", root);
    let driver = if name == "filesystem" {
        Factory::native().create(name, parameters(root.display().to_string())).await?
    } else {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        let runtime = Runtime::new(RuntimeConfig { cache: Some(cache), ..RuntimeConfig::default() })?;
        with_filesystem(&runtime, root)?.create(name, parameters("/data".to_owned())).await?
    };
    tell(READY)?;
    let tasks = (0..TASKS).map(|task| tokio::spawn(store(Arc::clone(&driver), task)));
    for ended in futures::future::join_all(tasks).await {
        ended??;
    }
    Ok(())
}

/// Tells of something that has returned: in one piece, and before anything else is done.
fn tell(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

async fn store(driver: Arc<dyn StorageDriver>, task: usize) -> Outcome {
    for count in 0u64.. {
        let name = |kind: &str| format!("task{task}/deep{count}/{kind}");
        let path = |name: &str| StoragePath::parse(format!("/{name}"));

        let file = name("put");
        driver.put_content(&path(&file)?, content::of(&file).into()).await?;
        tell(&format!("whole {file}"))?;

        // One file that is replaced again and again: its content is that of the name with the count.
        let version = format!("task{task}/replaced {count}");
        driver.put_content(&path(&format!("task{task}/replaced"))?, content::of(&version).into()).await?;
        tell(&format!("replaced task{task}/replaced {count}"))?;

        let file = name("commit");
        let bytes = Bytes::from(content::of(&file));
        let mut writer = driver.writer(&path(&file)?, WriteMode::New).await?;
        for at in (0..bytes.len()).step_by(100_000) {
            writer.write(bytes.slice(at..bytes.len().min(at + 100_000))).await?;
        }
        writer.commit().await?;
        tell(&format!("whole {file}"))?;

        let file = name("upload");
        let bytes = Bytes::from(content::of(&file));
        let half = bytes.len() / 2;
        let mut writer = driver.writer(&path(&file)?, WriteMode::New).await?;
        writer.write(bytes.slice(..half)).await?;
        writer.close().await?;
        tell(&format!("part {file} {half}"))?;
        let mut writer = driver.writer(&path(&file)?, WriteMode::Append).await?;
        writer.write(bytes.slice(half..)).await?;
        writer.commit().await?;
        tell(&format!("whole {file}"))?;

        let (from, to) = (name("put"), name("moved"));
        tell(&format!("moving {from} {to}"))?;
        driver.move_file(&path(&from)?, &path(&to)?).await?;
        tell(&format!("moved {from} {to}"))?;
    }
    Ok(())
}
