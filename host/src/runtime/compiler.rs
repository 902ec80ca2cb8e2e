//! Where components are read and compiled: one at a time, beside what the process has to do.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::priority;

/// How much stack each compiling thread has, in bytes: what is compiled was made by strangers.
const STACK: usize = 16 * 1024 * 1024;

/// The one place of a runtime where components are compiled.
#[derive(Clone, Debug)]
pub(super) struct Compiler {
    place: Arc<Semaphore>,
}

/// The turn of one component to be read and compiled, until it is dropped.
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
}

impl Compiler {
    pub(super) fn new() -> Self {
        Compiler { place: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for a turn. What a component takes while it is compiled, it takes once, however many are loaded.
    pub(super) async fn turn(&self) -> Turn {
        match Arc::clone(&self.place).acquire_owned().await {
            Ok(place) => Turn { _place: place },
            Err(_) => unreachable!("nobody closes the semaphore"),
        }
    }
}

impl Turn {
    /// Runs what compiles, on threads of its own that other work of the process goes before. The turn ends with it, also if
    /// the caller is gone by then, since it cannot be interrupted.
    ///
    /// # Errors
    ///
    /// In words, if no thread can be had or the work panics.
    pub(super) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let run = move || {
            let _turn = self;
            let threads = rayon_core::ThreadPoolBuilder::new()
                .thread_name(|number| format!("wharf-compile-{number}"))
                .stack_size(STACK)
                .start_handler(|_| priority::lower(priority::COMPILING))
                .build()
                .map_err(|error| error.to_string())?;
            // The engine shares its work out to the pool that it is called in.
            Ok(threads.install(work))
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string()).flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn one_component_is_compiled_at_a_time_also_when_its_caller_has_gone() {
        let compiler = Compiler::new();
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let compile = || {
            let (compiler, running, most) = (compiler.clone(), Arc::clone(&running), Arc::clone(&most));
            async move {
                let turn = compiler.turn().await;
                turn.run(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(100));
                    running.fetch_sub(1, Ordering::SeqCst);
                })
                .await
            }
        };
        // This caller goes before its component is compiled.
        assert!(tokio::time::timeout(Duration::from_millis(20), compile()).await.is_err());
        for done in futures::future::join_all([compile(), compile()]).await {
            done.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[cfg(target_os = "linux")]
    async fn what_compiles_runs_below_the_priority_of_the_rest() {
        let ours = priority::current().unwrap();
        let theirs = Compiler::new().turn().await.run(priority::current).await.unwrap().unwrap();
        assert!(theirs > ours, "{theirs} is not lower than {ours}: a higher number is a lower priority");
        assert_eq!(priority::current().unwrap(), ours);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_while_compiling_is_an_error_and_frees_the_place() {
        let compiler = Compiler::new();
        assert!(compiler.turn().await.run(|| panic!("on purpose")).await.is_err());
        assert_eq!(compiler.turn().await.run(|| 7).await, Ok(7));
    }
}
