//! How much of components' output reached the log.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

static LOGGED: AtomicU64 = AtomicU64::new(0);

/// Returns the bytes that reached the log, since the beginning.
pub(crate) fn logged() -> u64 {
    LOGGED.load(Ordering::Relaxed)
}

/// Counts from now on.
pub(crate) fn install() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Counting)).unwrap();
}

struct Counting;

impl<S: tracing::Subscriber> Layer<S> for Counting {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "wharf::component"
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Length);
    }
}

struct Length;

impl Visit for Length {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            LOGGED.fetch_add(format!("{value:?}").len() as u64, Ordering::Relaxed);
        }
    }
}
