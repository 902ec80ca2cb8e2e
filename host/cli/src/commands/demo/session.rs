//! The session: what is done on each driver, step by step, and compared with what has to come out.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytesize::ByteSize;
use wharf::contract::StorageDriver;
use wharf::factory::{Factory, Parameters};

use super::plan::{FILES_AT_A_TIME, Plan};
use super::{change, check};

/// A driver of the demo.
#[derive(Debug)]
pub(super) struct Side {
    /// The name by which the factory opens it.
    pub(super) name: String,
    factory: Arc<Factory>,
    parameters: Parameters,
}

/// One step of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open,
    StoreTree,
    StoreStream,
    Interrupt,
    Resume,
    List,
    Walk,
    Move,
    ReadTree,
    ReadStreams,
    Delete,
}

/// The steps in their order.
pub(super) const STEPS: [Step; 11] = [
    Step::Open,
    Step::StoreTree,
    Step::StoreStream,
    Step::Interrupt,
    Step::Resume,
    Step::List,
    Step::Walk,
    Step::Move,
    Step::ReadTree,
    Step::ReadStreams,
    Step::Delete,
];

impl Side {
    /// A driver that the factory opens with these parameters.
    pub(super) fn new(factory: &Arc<Factory>, name: &str, parameters: Parameters) -> Self {
        Side { name: name.to_owned(), factory: Arc::clone(factory), parameters }
    }

    /// Opens the driver.
    pub(super) async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        Ok(self.factory.create(&self.name, self.parameters.clone()).await?)
    }
}

impl Step {
    /// Returns what the step does, in words.
    pub(super) fn describe(self, plan: &Plan) -> String {
        let files = plan.source.files.len();
        match self {
            Step::Open => "open the driver".to_owned(),
            Step::StoreTree => format!("store a tree: {files} files, {}", size(plan.source.size())),
            Step::StoreStream => format!("store a stream of {}", size(plan.stream.size)),
            Step::Interrupt => format!("upload half of {}, close", size(plan.upload.size)),
            Step::Resume => "open the driver again, go on, commit".to_owned(),
            Step::List => "list every directory".to_owned(),
            Step::Walk => "walk the whole store".to_owned(),
            Step::Move => format!("move {} files", files + 2),
            Step::ReadTree => format!("read {files} files, compare SHA-256"),
            Step::ReadStreams => format!("read {}, compare SHA-256", size(plan.stream.size + plan.upload.size)),
            Step::Delete => "delete everything".to_owned(),
        }
    }

    /// Returns how many bytes a step that is worth a rate moves.
    pub(super) fn bytes(self, plan: &Plan) -> Option<u64> {
        match self {
            Step::StoreStream => Some(plan.stream.size),
            Step::Interrupt => Some(plan.cut()),
            Step::Resume => Some(plan.upload.size - plan.cut()),
            Step::ReadStreams => Some(plan.stream.size + plan.upload.size),
            _ => None,
        }
    }

    /// Does the step on an opened driver, and compares what can be compared.
    pub(super) async fn run(self, plan: &Arc<Plan>, side: &Side, driver: &Arc<dyn StorageDriver>) -> Result<()> {
        match self {
            Step::Open => Ok(()),
            Step::StoreTree => change::store_tree(plan, driver).await,
            Step::StoreStream => change::store_stream(plan, &**driver).await,
            Step::Interrupt => change::interrupt(plan, &**driver).await,
            Step::Resume => change::resume(plan, &*side.open().await.context("could not open it again")?).await,
            Step::List => check::list(plan, &**driver).await,
            Step::Walk => check::walk(plan, &**driver).await,
            Step::Move => change::move_all(plan, driver).await,
            Step::ReadTree => check::read(plan, driver, "/moved/tree", FILES_AT_A_TIME).await,
            Step::ReadStreams => check::read(plan, driver, "/moved/streams", 1).await,
            Step::Delete => change::delete(&**driver).await,
        }
    }
}

/// Writes a number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]
    use super::super::source::Source;
    use super::*;
    use wharf::drivers::inmemory::InMemory;
    use wharf_conformance::wrong::{Fault, Wrong};

    /// Runs the session on a driver in memory, which is spoilt by a fault if there is one.
    async fn session(fault: Option<Fault>) -> Result<()> {
        let tree = tempfile::tempdir().unwrap();
        for directory in ["a", "a-b", "a/c"] {
            std::fs::create_dir(tree.path().join(directory)).unwrap();
            std::fs::write(tree.path().join(directory).join("file"), directory).unwrap();
        }
        std::fs::write(tree.path().join("large"), vec![7; 3 << 20]).unwrap();
        let plan = Arc::new(Plan::new(Source::read(Some(tree.path())).unwrap(), 5 << 20, 2 << 20));

        // One store, however often it is opened: as a directory is.
        let store: Arc<dyn StorageDriver> = Arc::new(wharf::base::Base::new(Arc::new(InMemory::new())));
        let store = match fault {
            Some(fault) => Arc::new(Wrong::new(store, fault)),
            None => store,
        };
        // What is wrong stays wrong, however often it is tried.
        let mut factory = Factory::new().with_retries(wharf::base::retry::RetryPolicy::never());
        factory.register("store", move |_| std::future::ready(Ok(Arc::clone(&store)))).unwrap();
        let side = Side::new(&Arc::new(factory), "store", Parameters::new());
        let driver = side.open().await?;
        for step in STEPS {
            step.run(&plan, &side, &driver).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_right_driver_comes_through() {
        session(None).await.unwrap();
    }

    #[tokio::test]
    async fn a_driver_that_gives_back_something_else_does_not() {
        let faults = [
            Fault::ReaderEndsEarly,
            Fault::ReordersChunks,
            Fault::CommitLosesTheTail,
            Fault::CommitTellsAnotherSize,
            Fault::AppendStartsAnew,
            Fault::CloseLosesTheTail,
            Fault::StatOneByteOff,
            Fault::RootListIsEmpty,
            Fault::ListLosesPrefixes,
            Fault::ListTellsWrongSizes,
            Fault::WalkLosesDirectories,
            Fault::MoveLeavesTheSource,
            Fault::DeleteDoesNothing,
        ];
        for fault in faults {
            assert!(session(Some(fault)).await.is_err(), "{fault:?}");
        }
    }
}
