//! What a client sends, read no faster than the store takes it, and no longer than the client sends enough.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, request};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::registry::admission::{Admission, Admitted, Client};
use crate::registry::error::{Code, Failure, Result};
use crate::registry::store::uploads::{Incoming, Stopped};
use crate::registry::{Pace, Registry};

/// The memory that all uploads share, and who may use it.
#[derive(Debug)]
pub(in crate::registry) struct Buffers {
    /// Those that may be large.
    uploads: Admission,
    /// What has at most [`SMALL`] bytes and is gathered in memory: it is not to wait for large ones.
    small: Admission,
    /// What one upload takes, in bytes.
    each: u64,
}

/// What is small, in bytes.
pub(super) const SMALL: u64 = 64 * 1024;

/// How long what is gathered waits for more room once some of it is there.
const GROWTH: Duration = Duration::from_secs(10);

impl Buffers {
    /// Shares so many bytes among at most so many uploads that take so many each.
    pub(in crate::registry) fn new(total: u64, each: u64, most: usize, share: u8) -> Self {
        let each = each.max(1);
        let count = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX).max(1);
        let small = total / 8;
        Buffers {
            // One upload at least goes on.
            uploads: Admission::new("uploads", count(total - small, each).min(most), share),
            small: Admission::new("small-uploads", count(small, SMALL), share),
            each,
        }
    }

    /// Returns how many bytes are lent to uploads that are under way, and how many there are.
    pub(in crate::registry) fn lent(&self) -> (u64, u64) {
        let ((uploads, most), (small, most_small)) = (self.uploads.used(), self.small.used());
        let bytes = |uploads: usize, small: usize| uploads as u64 * self.each + small as u64 * SMALL;
        (bytes(uploads, small), bytes(most, most_small))
    }
}

/// How a body is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Given to the store as it comes.
    Streamed,
    /// Gathered in memory: at most this number of bytes. It takes room for the bytes received, not for `Content-Length`: a
    /// client that sends nothing holds one place.
    Whole(u64),
}

/// The body of a request.
pub(super) struct Received {
    body: Body,
    /// How many bytes are to come, where the client said so.
    left: Option<u64>,
    idle: Duration,
    pace: Pace,
    client: Client,
    /// Held until all has come.
    room: Vec<Admitted>,
    /// None if what comes is not gathered, or is small.
    gathered: Option<Gathered>,
}

/// What has come of a body that is gathered, and where the room for the rest comes from.
struct Gathered {
    bytes: u64,
    uploads: Admission,
    /// What a place holds, in bytes.
    each: u64,
}

impl Received {
    /// Takes a body, once there is room for it. `length` is what the client said of it beside `Content-Length`.
    pub(super) async fn new(
        registry: &Registry,
        parts: &request::Parts,
        body: Body,
        length: Option<u64>,
        kept: Kept,
    ) -> Result<Self> {
        let given = content_length(&parts.headers)?;
        if let (Some(given), Some(length)) = (given, length)
            && given != length
        {
            let message = format!("Content-Length is {given}, and Content-Range holds {length} bytes");
            return Err(Failure::new(Code::SizeInvalid, message));
        }
        let left = length.or(given);
        let settings = registry.settings();
        let (buffers, client) = (registry.buffers(), client(registry, parts));
        let (admission, gathered) = match kept {
            Kept::Whole(most) if left.is_some_and(|left| left.min(most) <= SMALL) => (&buffers.small, None),
            Kept::Whole(_) => {
                let gathered = Gathered { bytes: 0, uploads: buffers.uploads.clone(), each: buffers.each };
                (&buffers.uploads, Some(gathered))
            }
            Kept::Streamed => (&buffers.uploads, None),
        };
        // Nothing to come needs no room.
        let room = match left {
            Some(0) => Vec::new(),
            _ => vec![admission.enter(client, 1, settings.idle).await?],
        };
        Ok(Received { body, left, idle: settings.idle, pace: Pace::new(settings.min_rate), client, room, gathered })
    }

    /// Takes room for the bytes received, beyond what it has. What is larger than all that one client may hold is accepted
    /// with that.
    async fn grow(&mut self, more: usize) -> Result<(), Stopped> {
        let Some(gathered) = &mut self.gathered else { return Ok(()) };
        gathered.bytes += more as u64;
        let most = gathered.uploads.most_of_client();
        while self.room.len() < most && gathered.bytes > gathered.each.saturating_mul(self.room.len() as u64) {
            let more = gathered.uploads.enter(self.client, 1, GROWTH.min(self.idle)).await;
            self.room.push(more.map_err(|_| Stopped::NoRoom)?);
        }
        Ok(())
    }
}

/// Returns for whom a request is, by whom it is bounded: behind proxies that are named, the client that they name.
pub(super) fn client(registry: &Registry, parts: &request::Parts) -> Client {
    Client::new(registry.settings().trusted_proxies.client(parts))
}

/// Returns `Content-Length`.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Failure::new(Code::SizeInvalid, "Content-Length is no number"))
}

#[async_trait]
impl Incoming for Received {
    async fn next(&mut self) -> Result<Option<Bytes>, Stopped> {
        loop {
            let began = Instant::now();
            let patience = self.idle.min(self.pace.left());
            let frame = tokio::time::timeout(patience, self.body.frame()).await;
            self.pace.waited(began.elapsed());
            let frame = match frame {
                Err(_) if patience < self.idle => return Err(Stopped::TooSlow),
                Err(_) => return Err(Stopped::Stalled),
                Ok(Some(Err(_))) => return Err(Stopped::Vanished),
                Ok(Some(Ok(frame))) => frame,
                Ok(None) if self.left.is_some_and(|left| left > 0) => return Err(Stopped::WrongLength),
                Ok(None) => return Ok(None),
            };
            // Trailers say nothing here.
            let Ok(piece) = frame.into_data() else { continue };
            self.pace.moved(piece.len() as u64);
            if piece.is_empty() {
                continue;
            }
            if let Some(left) = &mut self.left {
                *left = left.checked_sub(piece.len() as u64).ok_or(Stopped::WrongLength)?;
            }
            self.grow(piece.len()).await?;
            return Ok(Some(piece));
        }
    }

    fn client(&self) -> Client {
        self.client
    }

    fn at_most(&self) -> Option<u64> {
        self.left
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use super::*;
    use crate::drivers::inmemory::InMemory;

    const MIB: u64 = 1 << 20;

    /// A body of 4 MiB that is gathered, in pieces of a MiB.
    async fn four_mib(registry: &Registry) -> Received {
        let request = http::Request::put("/").header(CONTENT_LENGTH, 4 * MIB).body(()).unwrap();
        let piece = Bytes::from(vec![0; 1 << 20]);
        let pieces = futures::stream::iter((0..4).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        let (parts, ()) = request.into_parts();
        Received::new(registry, &parts, Body::from_stream(pieces), None, Kept::Whole(4 * MIB)).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_larger_than_all_that_a_client_may_hold_is_accepted_alone() {
        for (buffers, share) in [(256 << 10, 50), (2 * MIB, 50), (2 * MIB, 100)] {
            let registry = Registry::builder(Arc::new(InMemory::new())).buffers(buffers).client_share(share).build();
            let mut received = four_mib(&registry).await;
            for _ in 0..4 {
                assert!(received.next().await.unwrap().is_some(), "{buffers} bytes, {share} %");
            }
            let (used, most) = registry.buffers().uploads.used();
            assert!(used <= most, "{used} of {most}");
        }
    }

    #[test]
    fn clients_behind_a_named_proxy_are_bounded_each_by_itself() {
        let proxies = crate::registry::TrustedProxies::Networks {
            networks: vec![("10.0.0.0".parse().unwrap(), 8)],
            local: false,
        };
        let registry = Registry::builder(Arc::new(InMemory::new())).trusted_proxies(proxies).build();
        let of = |seen: &str, forwarded: &str| {
            let request = http::Request::get("/").header("x-forwarded-for", forwarded);
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            parts.extensions.insert(crate::registry::ClientAddress(seen.parse().unwrap()));
            client(&registry, &parts)
        };
        assert_eq!(of("10.0.0.1", "192.0.2.1"), Client::new("192.0.2.1".parse().ok()));
        assert_ne!(of("10.0.0.1", "192.0.2.1"), of("10.0.0.1", "192.0.2.2"));
        // Others cannot choose by whom they are bounded.
        assert_eq!(of("203.0.113.1", "192.0.2.1"), of("203.0.113.1", "192.0.2.2"));
    }

    #[tokio::test]
    async fn what_is_announced_and_does_not_come_takes_one_place_and_what_comes_takes_more() {
        let registry = Registry::builder(Arc::new(InMemory::new())).build();
        let used = || registry.buffers().uploads.used().0;
        let mut received = four_mib(&registry).await;
        assert_eq!(used(), 1);
        for come in 1..=4 {
            received.next().await.unwrap().unwrap();
            assert_eq!(used() as u64, come * MIB / registry.buffers().each, "{come} MiB have come");
        }
        assert!(received.next().await.unwrap().is_none());
        drop(received);
        assert_eq!(used(), 0);
    }
}
