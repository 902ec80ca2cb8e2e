//! Hundreds of clients that stall or vanish in the middle of what they send.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use wharf_conformance::content::content;
use wharf_conformance::http1::Connection;
use wharf_conformance::images::Blob;
use wharf_conformance::process::{Process, Usage};
use wharf_conformance::registry_client::{Client, Upload};
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::{Outcome, ensure};

const NAME: &str = "vanish/app";
/// How long an upload may send nothing; what the configuration says.
const IDLE: Duration = Duration::from_secs(2);
/// How long the registry may take to give back what a client that sent half a header took: the header's own limit, and time.
const HEADERS: Duration = Duration::from_secs(75);
const LENGTH: usize = 1 << 20;
/// How much of an upload is sent before nothing more is.
const PART: usize = 300_000;

/// How much may be left: threads, buffers of the allocator.
const MEMORY: u64 = 64 << 20;
const FILES: usize = 12;

pub(crate) fn session(long: bool) -> Outcome {
    let each = if long { 400 } else { 100 };
    let store = Store::new(Kind::Filesystem)?;
    let changes = json!({ "limits": { "upload_idle": format!("{}s", IDLE.as_secs()) } });
    let registry = RegistryProcess::wharf(&store.configuration(&changes))?;
    crate::with_logs(with_clients(&registry, each), &[&registry])
}

fn with_clients(registry: &RegistryProcess, each: usize) -> Outcome {
    let address = registry.address();
    let process = registry.process()?;
    let mut healthy = Client::new(address).with_patience(Duration::from_secs(20));
    for seed in 0..20 {
        healthy.push_blob(NAME, &Blob::from(content(seed, LENGTH)))?;
    }
    // What the registry is like when it works, with one connection.
    let before = process.usage()?;
    let blob = Blob::from(content(1000, LENGTH));

    let (mut uploads, mut stalled, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..each * 2 {
        let (upload, connection) = half(registry, &mut healthy, &blob)?;
        uploads.push(upload);
        if number % 2 == 0 {
            stalled.push(connection);
        }
    }
    for (number, upload) in uploads.iter().take(each).enumerate() {
        let mut stream = TcpStream::connect(address)?;
        if number % 2 == 0 {
            write!(stream, "PATCH {} HTTP/1.1\r\nHost: {address}\r\nX-Slow: ", upload.location)?;
        }
        silent.push(stream);
    }
    let most = process.usage()?;
    ensure(
        most.connections >= before.connections + each,
        format_args!("the registry holds {} connections, too few to tell anything", most.connections),
    )?;

    // Whoever works is served all the same, and whoever is slow without stopping.
    let slow = std::thread::scope(|scope| -> Outcome<Duration> {
        let slow = scope.spawn(|| slowly(registry));
        let mut worst = Duration::ZERO;
        for seed in 2000..2010 {
            let (blob, began) = (Blob::from(content(seed, LENGTH)), Instant::now());
            healthy.push_blob(NAME, &blob)?;
            healthy.pull_blob(NAME, &blob.digest)?;
            worst = worst.max(began.elapsed());
        }
        slow.join().map_err(|_| "the slow client panicked")??;
        Ok(worst)
    })?;
    ensure(slow < Duration::from_secs(10), format_args!("a push and a pull took {:.1} s", slow.as_secs_f64()))?;

    // The clients still hold their ends: it is the registry that lets go.
    let began = Instant::now();
    let uploads_gone =
        until(process, IDLE + Duration::from_secs(20), |now| now.connections <= before.connections + each + 2)
            .map_err(|now| format!("stalled uploads are held on: {before:?} before, {now:?} now"))?;
    // The header's limit is longer than the upload's.
    let all_gone =
        until(process, HEADERS, |now| now.connections <= before.connections + 2 && now.files <= before.files + FILES)
            .map_err(|now| format!("silent connections are held on: {before:?} before, {now:?} now"))?;
    let after = until(process, Duration::from_secs(10), |now| now.resident <= before.resident + MEMORY)
        .map_err(|now| format!("memory is held on: {before:?} before, {now:?} now"))?;
    println!(
        "vanish: {} uploads stalled or cut, {each} silent connections: from {} connections and {} files at most to {} and \
         {}, {} MiB resident, {} MiB before; uploads were let go after {:.1} s, all after {:.1} s; meanwhile a push and \
         pull took at most {:.2} s",
        uploads.len(),
        most.connections,
        most.files,
        all_gone.0.connections,
        all_gone.0.files,
        after.0.resident >> 20,
        before.resident >> 20,
        uploads_gone.1.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        slow.as_secs_f64(),
    );

    // And what came before the stall is there to go on with.
    let mut kept = 0;
    for upload in uploads.iter().step_by(uploads.len() / 20) {
        let (offset, upload) = healthy.offset(upload)?;
        ensure(offset <= PART, format_args!("an upload has {offset} bytes of {PART} that were sent"))?;
        kept += offset;
        healthy.finish(&upload, &blob.bytes[offset..], &blob.digest)?;
        healthy.pull_blob(NAME, &blob.digest)?;
    }
    ensure(kept > 0, "nothing of what was sent before a stall was kept")
}

/// Begins an upload and sends a part of what it announces.
fn half(registry: &RegistryProcess, client: &mut Client, blob: &Blob) -> Outcome<(Upload, Connection)> {
    let upload = client.begin(NAME)?;
    let mut connection = Connection::open(registry.address(), Duration::from_secs(20))?;
    let headers = [("Content-Type", "application/octet-stream")];
    connection.begin("PATCH", &upload.location, &headers, Some(LENGTH as u64))?;
    connection.send(&blob.bytes[..PART])?;
    Ok((upload, connection))
}

/// Pushes a blob in pieces with pauses that are shorter than the limit, and together longer.
fn slowly(registry: &RegistryProcess) -> Outcome {
    let blob = Blob::from(content(3000, 8 * 1000));
    let mut client = Client::new(registry.address());
    let upload = client.begin(NAME)?;
    let mut connection = Connection::open(registry.address(), Duration::from_secs(60))?;
    let separator = if upload.location.contains('?') { '&' } else { '?' };
    let target = format!("{}{separator}digest={}", upload.location, blob.digest);
    let headers = [("Content-Type", "application/octet-stream")];
    connection.begin("PUT", &target, &headers, Some(blob.bytes.len() as u64))?;
    for piece in blob.bytes.chunks(1000) {
        std::thread::sleep(IDLE / 3);
        connection.send(piece).map_err(|error| format!("a slow upload was cut: {error}"))?;
    }
    let answer = connection.answer("PUT").map_err(|error| format!("a slow upload was cut: {error}"))?;
    ensure(answer.status == 201, format_args!("a slow upload: {answer:?}"))
}

/// Waits until something holds of what the process takes. Returns that and the time that passed, or what it was at last.
fn until(process: Process, patience: Duration, holds: impl Fn(&Usage) -> bool) -> Result<(Usage, Duration), String> {
    let began = Instant::now();
    loop {
        let now = process.usage().map_err(|error| error.to_string())?;
        if holds(&now) {
            return Ok((now, began.elapsed()));
        }
        if began.elapsed() > patience {
            return Err(format!("{now:?}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
