//! Pushes of blobs that the registry has not, by a client that costs little: what differs is at the end of each, so that
//! its digest is computed from the hash of the rest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wharf_conformance::content::{content, named};
use wharf_conformance::http1::{Connection, Response};

use crate::contender::Contender;
use crate::sample::{Done, Sample};

const PATIENCE: Duration = Duration::from_secs(120);

/// How many bytes at the end of a blob are its own.
const TAIL: usize = 16;

/// Pushes blobs of one size for so long, into an empty store.
pub(crate) fn push(
    contender: &mut Contender,
    size: usize,
    connections: usize,
    duration: Duration,
    round: usize,
) -> Result<Sample, String> {
    contender.start_empty()?;
    let contender = &*contender;
    let address = contender.registry()?.address();
    let body = content(round as u64, size - TAIL);
    let hash = Sha256::new_with_prefix(&body);
    let number = AtomicU64::new(0);
    Sample::of(contender, size > 1 << 20, || {
        let until = Instant::now() + duration;
        let times: Result<Vec<Vec<Duration>>, String> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..connections)
                .map(|_| {
                    scope.spawn(|| -> std::io::Result<Vec<Duration>> {
                        let mut connection = Connection::open(address, PATIENCE)?;
                        let mut times = Vec::new();
                        while Instant::now() < until {
                            let began = Instant::now();
                            let number = number.fetch_add(1, Ordering::Relaxed);
                            one(&mut connection, &body, &hash, number)?;
                            times.push(began.elapsed());
                        }
                        Ok(times)
                    })
                })
                .collect();
            let joined = clients.into_iter().map(|client| match client.join() {
                Ok(times) => times.map_err(|error| format!("{}: a push failed: {error}", contender.name)),
                Err(_) => Err("a client panicked".to_owned()),
            });
            joined.collect()
        });
        let mut times: Vec<Duration> = times?.into_iter().flatten().collect();
        times.sort_unstable();
        let slowest = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        Ok(Done { count: times.len() as u64, bytes: (times.len() * size) as u64, slowest })
    })
}

fn one(connection: &mut Connection, body: &[u8], hash: &Sha256, number: u64) -> std::io::Result<()> {
    let began = connection.request("POST", "/v2/team/push/blobs/uploads/", &[], Some(b""))?;
    let location = began.header("Location").filter(|_| began.status == 202).ok_or_else(|| refused(&began))?;
    // Registries answer it with or without themselves in front.
    let target = location.find("/v2/").map(|at| &location[at..]).ok_or_else(|| refused(&began))?;
    let tail = format!("{number:0TAIL$x}");
    let digest = named(hash.clone().chain_update(&tail).finalize());
    let separator = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{separator}digest={digest}");
    let length = body.len() + tail.len();
    connection.begin("PUT", &target, &[("Content-Type", "application/octet-stream")], Some(length as u64))?;
    let sent = connection.send(body).and_then(|()| connection.send(tail.as_bytes()));
    let answer = connection.answer_after(sent, "PUT")?;
    if answer.status == 201 { Ok(()) } else { Err(refused(&answer)) }
}

fn refused(answer: &Response) -> std::io::Error {
    std::io::Error::other(format!("{answer:?}"))
}
