//! Clients that disconnect in the middle of an upload and resume at once, at the same server or at another.

use std::time::{Duration, Instant};

use wharf_conformance::content::{Random, content};
use wharf_conformance::http1::Connection;
use wharf_conformance::images::Blob;
use wharf_conformance::registry_client::{Client, Upload};

use crate::check::{Outcome, ensure};
use crate::disk_truth;
use crate::two::Two;

const CLIENTS: u64 = 8;
const NAME: &str = "reconnect/app";

/// How long a client goes on to ask where its upload stands while the server ends what it had before.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of the uploads.
#[derive(Default)]
struct Seen {
    uploads: usize,
    /// Bytes that a server took before the connection was cut, and kept.
    kept: usize,
    /// How often the server that was resumed at still ended what came before.
    busy: usize,
}

pub(crate) fn session(long: bool) -> Outcome {
    let rounds = if long { 400 } else { 25 };
    let two = Two::start()?;
    let began = Instant::now();
    let seen = two.run(CLIENTS, |number| {
        let (mut clients, mut random, mut seen) = (two.clients(), Random::new(number), Seen::default());
        for round in 0..rounds {
            let blob = Blob::from(content(random.next(), 200_000 + random.below(800_000)));
            let first = random.below(2);
            let second = if round % 2 == 0 { first } else { 1 - first };
            let mut upload = clients[first].begin(NAME)?;
            // Some uploads have bytes that were acknowledged; the others are cut in their first request.
            let mut acknowledged = 0;
            if random.below(2) == 0 {
                acknowledged = 70_000 + random.below(50_000);
                upload = clients[first].patch(&upload, 0, &blob.bytes[..acknowledged])?;
            }
            let sent = acknowledged + 10_000 + random.below(blob.bytes.len() - acknowledged - 10_000);
            cut(&two, first, &upload, &blob.bytes, acknowledged..sent)?;
            resume(&mut clients[second], &upload, &blob, acknowledged..=sent, &mut seen)?;
            clients[random.below(2)].pull_blob(NAME, &blob.digest)?;
            seen.uploads += 1;
        }
        Ok(seen)
    })?;
    // What a server still did for clients that have gone is over by now.
    std::thread::sleep(Duration::from_millis(500));
    let found = disk_truth::check(&two.store.root()?)?;
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    println!(
        "reconnect: {} uploads cut and resumed at once in {:.1} s, half of them at another server: {} KiB kept that nobody \
         had acknowledged, {} times the server was asked again; {found}",
        sum(|seen| seen.uploads),
        began.elapsed().as_secs_f64(),
        sum(|seen| seen.kept) >> 10,
        sum(|seen| seen.busy),
    );
    Ok(())
}

/// Sends a part of a request's body and closes the connection.
fn cut(two: &Two, server: usize, upload: &Upload, bytes: &[u8], range: std::ops::Range<usize>) -> Outcome {
    let mut connection = Connection::open(two.registries[server].address(), Duration::from_secs(20))?;
    let place = format!("{}-{}", range.start, bytes.len() - 1);
    let headers = [("Content-Type", "application/octet-stream"), ("Content-Range", place.as_str())];
    connection.begin("PATCH", &upload.location, &headers, Some((bytes.len() - range.start) as u64))?;
    connection.send(&bytes[range])?;
    Ok(())
}

/// Asks where the upload stands, and ends it from there.
fn resume(
    client: &mut Client,
    upload: &Upload,
    blob: &Blob,
    possible: std::ops::RangeInclusive<usize>,
    seen: &mut Seen,
) -> Outcome {
    let began = Instant::now();
    loop {
        let ended = client.offset(upload).and_then(|(offset, upload)| {
            client.finish(&upload, blob.bytes.get(offset..).unwrap_or_default(), &blob.digest).map(|()| offset)
        });
        match ended {
            Ok(offset) => {
                ensure(
                    possible.contains(&offset),
                    format_args!(
                        "the upload has {offset} bytes, and can have {possible:?}: what was acknowledged is lost"
                    ),
                )?;
                seen.kept += offset - possible.start();
                return Ok(());
            }
            // 416: the first request's bytes came in between. 409: its end is not reached yet.
            Err(error) if matches!(error.status(), Some(409 | 416)) && began.elapsed() < PATIENCE => seen.busy += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
