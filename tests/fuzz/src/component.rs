//! Loading whatever bytes there are ends, within a time, in a component that says what it is, or in an error whose
//! words can be printed.

use std::sync::LazyLock;
use std::time::Duration;

use wharf::runtime::{Component, Limits, Runtime, RuntimeConfig};

/// More than twice what `describe` may take.
const LONGEST: Duration = Duration::from_secs(20);

static EXECUTOR: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an executor"));

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new(RuntimeConfig::default()).expect("an engine"));

/// Loads the bytes.
pub fn run(data: &[u8]) {
    let limits = Limits::default();
    let loading = Component::load_bytes(&RUNTIME, data.to_vec(), "fuzz", &limits);
    let loaded = EXECUTOR.block_on(async { tokio::time::timeout(LONGEST, loading).await });
    match loaded.expect("it is loaded or refused within the time") {
        Ok(component) => {
            let description = component.description();
            assert!(!description.name.is_empty() && !description.name.contains(char::is_control));
            assert!(!description.version.contains(char::is_control));
            assert_eq!(component.sha256().len(), 64);
        }
        Err(error) => {
            let message = error.message();
            assert!(message.len() > "fuzz ".len(), "{message:?}");
            assert!(!message.contains(char::is_control), "{message:?}");
            assert!(message.len() <= "fuzz ".len() + 4 * 1024 + "...".len(), "a message of {} bytes", message.len());
        }
    }
}
