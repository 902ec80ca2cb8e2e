//! An answer with the room that it takes, until its client has taken it or is gone.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::registry::admission::Admitted;

/// A body that keeps its room as long as it lives.
pub(super) struct Held {
    body: Body,
    _room: Admitted,
}

impl Held {
    pub(super) fn body(body: Body, room: Admitted) -> Body {
        Body::new(Held { body, _room: room })
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
