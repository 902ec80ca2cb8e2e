//! `wharf demo`: one session on a native driver and on a component, side by side.

mod change;
mod check;
mod guest;
mod plan;
mod session;
mod source;
mod table;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use wharf::contract::StorageDriver;
use wharf::factory::{DriversConfig, Factory, Parameters};
use wharf::runtime::{ComponentConfig, DirectoryGrant, Grants, Runtime};

use crate::interrupt::Interrupt;
use crate::output;
use plan::Plan;
use session::{STEPS, Side, Step};
use source::Source;
use table::{Column, Moved};

/// The native driver, by its name.
const NATIVE: &str = "filesystem";

/// The name of its own that the component gets, by its file's name in the directory of drivers.
const COMPONENT: &str = "archive";

/// Where the component sees the directory that it is granted.
const GRANTED: &str = "/data";

const MIB: u64 = 1 << 20;

/// Do one and the same on a native driver and on one that was dropped in, and show both side by side.
///
/// A component is put into an empty directory of drivers as `archive.wasm`. One factory opens it and the native
/// `filesystem`, each on a directory of its own. Both store a tree and a stream, go on with an upload that was
/// interrupted, list, walk, move, read everything back and compare its SHA-256, and delete it. All of it happens in a
/// temporary directory (TMPDIR names another place), which is gone afterwards.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// A stream of 64 MiB instead of 1 GiB.
    #[arg(long)]
    small: bool,
    /// The directory that is stored. Default: the source tree that this program was built from.
    #[arg(long)]
    tree: Option<PathBuf>,
    /// The component that is dropped in. Default: the project's filesystem driver, which is built first if it is not there
    /// and the toolchain for it is.
    #[arg(long)]
    component: Option<PathBuf>,
}

impl Demo {
    /// Runs the command. Anything that does not come out as it went in is an error.
    pub(crate) async fn run(&self, runtime: &Runtime, as_json: bool) -> Result<()> {
        let component = match &self.component {
            Some(file) => file.clone(),
            None => guest::find()?,
        };
        let mut interrupt = Interrupt::listen();
        let place = tempfile::Builder::new()
            .prefix("wharf-demo-")
            .tempdir()
            .context("could not create a temporary directory; TMPDIR names another place")?;
        let progress = Progress { on: !as_json && std::io::stderr().is_terminal() };
        let (plan, columns, moved) = self.session(runtime, &component, place.path(), &mut interrupt, progress).await?;
        let columns = [&columns[0], &columns[1]];
        let unstorable = plan.source.not_stored.len();
        output::print(
            as_json,
            || {
                let mut text = table::text(&plan, columns, moved);
                if unstorable > 0 {
                    text += &format!("not stored: {unstorable} links and names that no driver can store\n");
                }
                text + "Both stored the same and gave back the same, by SHA-256."
            },
            || table::json(&plan, columns, moved),
        )
    }

    async fn session(
        &self,
        runtime: &Runtime,
        component: &Path,
        place: &Path,
        interrupt: &mut Interrupt,
        progress: Progress,
    ) -> Result<(Arc<Plan>, [Column; 2], Moved)> {
        let (stream, upload) = if self.small { (64 * MIB, 8 * MIB) } else { (1024 * MIB, 128 * MIB) };
        let tree = self.tree.clone();
        let plan = tokio::task::spawn_blocking(move || -> Result<Plan> {
            Ok(Plan::new(Source::read(tree.as_deref())?, stream, upload))
        })
        .await
        .context("the tree could not be read")??;
        let plan = Arc::new(plan);
        let factory = Arc::new(factory(runtime, component, place)?);
        let root = place.join(NATIVE).display().to_string();
        let mut sides = [
            Running::new(Side::new(&factory, NATIVE, Parameters::new().with("rootdirectory", root))),
            Running::new(Side::new(&factory, COMPONENT, Parameters::new().with("rootdirectory", GRANTED))),
        ];
        let mut moved = Moved::default();
        for step in STEPS {
            progress.begin(&step.describe(&plan));
            for side in &mut sides {
                let before = counted(runtime);
                let name = side.side.name.clone();
                let taken = match side.step(step, &plan, interrupt).await {
                    Err(error) if !error.is::<output::Interrupted>() => Err(error
                        .context(format!("the session with `{name}` failed at its step \"{}\"", step.describe(&plan)))),
                    done => done,
                }?;
                progress.tell(&format!("{name} {}", table::cell(taken, step.bytes(&plan))));
                let after = counted(runtime);
                // Small files are put in one piece, as an argument: those bytes do enter the component.
                let copied = if step == Step::StoreTree { &mut moved.put } else { &mut moved.copied };
                *copied += after.0 - before.0;
                moved.passed_through += after.1 - before.1;
            }
            progress.end();
        }
        progress.end();
        let [native, component] = sides;
        Ok((plan, [native.column("native"), component.column(&format!("{COMPONENT}.wasm"))], moved))
    }
}

/// A session under way.
struct Running {
    side: Arc<Side>,
    driver: Option<Arc<dyn StorageDriver>>,
    times: Vec<Duration>,
}

impl Running {
    fn new(side: Side) -> Self {
        Running { side: Arc::new(side), driver: None, times: Vec::new() }
    }

    /// Does a step and returns what it took.
    async fn step(&mut self, step: Step, plan: &Arc<Plan>, interrupt: &mut Interrupt) -> Result<Duration> {
        let (side, plan, driver) = (Arc::clone(&self.side), Arc::clone(plan), self.driver.clone());
        // A task of its own: the runtime's main task is slower to be woken, and that would be counted.
        let mut task = tokio::spawn(async move {
            let started = Instant::now();
            let driver = match driver {
                Some(driver) => driver,
                None => side.open().await?,
            };
            step.run(&plan, &side, &driver).await?;
            anyhow::Ok((driver, started.elapsed()))
        });
        let (driver, taken) = tokio::select! {
            biased;
            () = interrupt.wait() => {
                task.abort();
                // What it was aborted with says nothing; after this it does nothing any more.
                let _ = (&mut task).await;
                return Err(output::Interrupted("the demo's temporary directory is removed".to_owned()).into());
            }
            done = &mut task => done.context("the step ended before it was done")??,
        };
        self.driver = Some(driver);
        self.times.push(taken);
        Ok(taken)
    }

    fn column(self, origin: &str) -> Column {
        Column { name: self.side.name.clone(), origin: origin.to_owned(), times: self.times }
    }
}

/// Drops the component into a directory of drivers, and returns a factory that offers it beside the native drivers.
fn factory(runtime: &Runtime, component: &Path, place: &Path) -> Result<Factory> {
    let (drivers, granted) = (place.join("drivers"), place.join(COMPONENT));
    for directory in [&drivers, &granted] {
        std::fs::create_dir(directory)
            .with_context(|| format!("could not create the directory {}", directory.display()))?;
    }
    let dropped = drivers.join(format!("{COMPONENT}.wasm"));
    std::fs::copy(component, &dropped)
        .with_context(|| format!("could not copy the component {} to {}", component.display(), dropped.display()))?;
    let grant = DirectoryGrant { host: granted, guest: GRANTED.to_owned(), write: true };
    let allow = Grants { directories: vec![grant], ..Grants::default() };
    let config = DriversConfig {
        directory: Some(drivers),
        components: [(COMPONENT.to_owned(), ComponentConfig { allow, ..ComponentConfig::default() })].into(),
    };
    let mut factory = Factory::native();
    factory.register_components(runtime, &config)?;
    Ok(factory)
}

/// Returns the bytes that the bridge has copied, and those that passed the components by.
fn counted(runtime: &Runtime) -> (u64, u64) {
    let counters = runtime.counters();
    (counters.copied(), counters.passed_through())
}

/// Lines on standard error while it runs, for a person who waits.
#[derive(Clone, Copy)]
struct Progress {
    on: bool,
}

impl Progress {
    fn begin(self, what: &str) {
        self.write(&format!("{what:<40}"));
    }

    fn tell(self, what: &str) {
        self.write(&format!("  {what}"));
    }

    fn end(self) {
        self.write("\n");
    }

    fn write(self, text: &str) {
        if self.on {
            let mut err = std::io::stderr().lock();
            // Nobody is left to tell where standard error is closed.
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        }
    }
}
