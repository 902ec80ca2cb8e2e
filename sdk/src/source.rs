//! Where chunks and pages come from, one after the other, when they are asked for.

use std::future::Future;
use std::pin::Pin;

use crate::Result;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Returns one item after the other, and none at the end. Not asked again after an error or the end.
pub(crate) trait Source<T> {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<T>>>;
}

impl<T, F> Source<T> for F
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    fn next(&mut self) -> BoxFuture<'_, Result<Option<T>>> {
        Box::pin(self())
    }
}
