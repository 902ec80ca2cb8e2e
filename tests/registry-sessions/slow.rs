//! Clients that take what they asked for slowly or not at all, and clients that send a byte a second, from one address and
//! from many: whoever else asks for something does not notice.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::{Domain, Socket, Type};
use wharf_conformance::content::content;
use wharf_conformance::http1::Connection;
use wharf_conformance::images::{Blob, Image};
use wharf_conformance::registry_client::{Client, Upload};
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::{Outcome, ensure, same};

const NAME: &str = "slow/app";
const MIB: u64 = 1 << 20;

/// More than the system holds for a client that takes nothing.
const LARGE: usize = 24 << 20;

/// What the system holds for a client here, in bytes. By itself it would hold megabytes, and show in such steps that the client
/// takes something.
const RECEIVED: usize = 16 * 1024;

/// What the registry may hold in memory for many clients, whoever they are, in MiB; and in KiB for each connection.
const MEMORY: (u64, u64) = (224, 128);

/// What is asked for while others are slow.
const ASKED: [&str; 4] = ["tags/list", "_catalog", "manifest", "blob of 1 KiB"];

/// A registry, and the address at which it tells how it is.
struct Served {
    registry: RegistryProcess,
    debug: SocketAddr,
    _store: Store,
}

impl Served {
    fn start(kind: Kind, limits: serde_json::Value) -> Outcome<Self> {
        let store = Store::new(kind)?;
        // Free a moment ago.
        let debug = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let debugging = json!({ "addr": debug.to_string(), "prometheus": { "enabled": true } });
        let changes = json!({ "limits": limits, "http": { "debug": debugging } });
        let registry = RegistryProcess::wharf(&store.configuration(&changes))?;
        Ok(Served { registry, debug, _store: store })
    }

    /// Returns what the registry says of its readiness.
    fn readiness(&self) -> Outcome<(u16, String)> {
        let answer = Client::new(self.debug).send("GET", "/readyz", &[], None)?;
        Ok((answer.status, answer.text()))
    }

    /// Returns how many downloads or uploads the registry counts.
    fn used(&self, limit: &str) -> Outcome<usize> {
        self.capacity("used", limit)
    }

    /// Returns whether there is room for another upload.
    fn has_room(&self) -> Outcome<bool> {
        Ok(self.used("uploads")? < self.capacity("limit", "uploads")?)
    }

    fn capacity(&self, family: &str, limit: &str) -> Outcome<usize> {
        let answer = Client::new(self.debug).expect(200, "GET", "/metrics", &[], None)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let series = format!("wharf_capacity_{family}{{owner=\"registry\",limit=\"{limit}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok());
        Ok(value.ok_or_else(|| format!("the metrics do not tell {series}"))? as usize)
    }
}

/// Connects from an address of this machine.
fn connect(from: Ipv4Addr, to: SocketAddr) -> Outcome<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(RECEIVED)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Asks for a blob, and reads nothing.
fn unread(from: Ipv4Addr, to: SocketAddr, digest: &str) -> Outcome<TcpStream> {
    let mut stream = connect(from, to)?;
    write!(stream, "GET /v2/{NAME}/blobs/{digest} HTTP/1.1\r\nHost: {to}\r\n\r\n")?;
    Ok(stream)
}

/// Begins to send what an upload announces.
fn begun(from: Ipv4Addr, to: SocketAddr, upload: &Upload) -> Outcome<TcpStream> {
    let mut stream = connect(from, to)?;
    let head = "Content-Type: application/octet-stream\r\nContent-Length: 1048576\r\n\r\nx";
    write!(stream, "PATCH {} HTTP/1.1\r\nHost: {to}\r\n{head}", upload.location)?;
    Ok(stream)
}

/// The median and the 99th of 100 of how long each kind of request took; the longest if it was not answered.
type Latency = [(Duration, Duration); ASKED.len()];

fn measure(served: &Served, manifest: &str, small: &str, times: usize) -> Outcome<Latency> {
    let mut client = Client::new(served.registry.address()).with_patience(Duration::from_secs(10));
    let targets = [
        format!("/v2/{NAME}/tags/list"),
        "/v2/_catalog".to_owned(),
        format!("/v2/{NAME}/manifests/{manifest}"),
        format!("/v2/{NAME}/blobs/{small}"),
    ];
    let mut took: [Vec<Duration>; ASKED.len()] = Default::default();
    for _ in 0..times {
        for (target, took) in targets.iter().zip(&mut took) {
            let began = Instant::now();
            client.expect(200, "GET", target, &[], None)?;
            took.push(began.elapsed());
        }
    }
    Ok(took.map(|mut took| {
        took.sort_unstable();
        (took[took.len() / 2], took[(took.len() * 99 / 100).min(took.len() - 1)])
    }))
}

pub(crate) fn session(long: bool) -> Outcome {
    for kind in [Kind::Filesystem, Kind::Component] {
        let served = Served::start(kind, json!({}))?;
        crate::with_logs(beside_slow_clients(&served, kind, long), &[&served.registry])?;
    }
    Ok(())
}

fn beside_slow_clients(served: &Served, kind: Kind, long: bool) -> Outcome {
    let (count, times, floor) =
        if long { (2000, 500, Duration::from_millis(20)) } else { (300, 100, Duration::from_millis(500)) };
    let address = served.registry.address();
    let mut client = Client::new(address).with_patience(Duration::from_secs(60));
    let (large, small) = (Blob::from(content(1, LARGE)), Blob::from(content(2, 1024)));
    let image = Image::new("amd64", 3, &[100])?;
    client.push_blob(NAME, &large)?;
    client.push_blob(NAME, &small)?;
    client.push_image(NAME, "latest", &image)?;
    let process = served.registry.process()?;
    let idle = process.usage()?.resident;
    let many = |number: usize| Ipv4Addr::new(127, 0, 1 + (number / 250) as u8, 1 + (number % 250) as u8);
    let one = |_: usize| Ipv4Addr::new(127, 0, 0, 2);
    let ways: [(&str, &dyn Fn(usize) -> Ipv4Addr); 2] = [("one address", &one), ("many addresses", &many)];
    // The short form looks at one of them on the component.
    for (whence, from) in ways.into_iter().skip(usize::from(!long && kind == Kind::Component)) {
        let alone = measure(served, "latest", &small.digest, times)?;
        let uploads = (0..count).map(|_| client.begin(NAME)).collect::<Result<Vec<_>, _>>()?;
        let downloads = (0..count).map(|number| unread(from(number), address, &large.digest));
        let downloads = downloads.collect::<Outcome<Vec<_>>>()?;
        let drips = uploads.iter().enumerate().map(|(number, upload)| begun(from(number), address, upload));
        let mut drips = drips.collect::<Outcome<Vec<_>>>()?;
        let ended = AtomicBool::new(false);
        let (beside, open, most) = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    for stream in &mut drips {
                        // The registry may have refused it.
                        let _ = stream.write(b"x");
                    }
                    std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
                }
            });
            // Until the system takes no more for those that read nothing.
            std::thread::sleep(Duration::from_secs(if long { 10 } else { 2 }));
            let measured = || -> Outcome<_> {
                let mut beside = measure(served, "latest", &small.digest, times)?;
                for _ in 0..2 {
                    // What else happens on the machine is no news.
                    if too_long(&alone, &beside, floor).is_none() {
                        break;
                    }
                    beside = measure(served, "latest", &small.digest, times)?;
                }
                Ok((beside, (served.used("downloads")?, served.used("uploads")?), process.usage()?))
            };
            let measured = measured();
            ended.store(true, Ordering::Relaxed);
            measured
        })?;
        let name = format!("{} and {count} + {count} slow clients of {whence}", kind.name());
        println!(
            "slow: {name}: {} downloads and {} uploads open, {} connections, {} MiB resident, {} MiB idle, {} threads, {} files",
            open.0,
            open.1,
            most.connections,
            most.resident / MIB,
            idle / MIB,
            most.threads,
            most.files,
        );
        for (asked, (alone, beside)) in ASKED.iter().zip(alone.iter().zip(&beside)) {
            println!(
                "slow:   {asked}: p50 {:.2?} alone, {:.2?} beside; p99 {:.2?} and {:.2?}",
                alone.0, beside.0, alone.1, beside.1
            );
        }
        if let Some(why) = too_long(&alone, &beside, floor) {
            return Err(format!("{name}: {why}").into());
        }
        // Unless they are there, nothing was shown. A component has 1,024 of each, of which one client gets less than half.
        let least = count.min(if kind == Kind::Component { 440 } else { 1500 });
        ensure(open.0 >= least && open.1 >= least.min(300), format_args!("{name}: {open:?} are open"))?;
        let connections = 2 * count as u64;
        let allowed = idle + MEMORY.0 * MIB + connections * MEMORY.1 * 1024;
        ensure(
            most.resident <= allowed,
            format_args!("{name}: {} MiB resident, more than {} MiB", most.resident / MIB, allowed / MIB),
        )?;
        let (status, why) = served.readiness()?;
        match served.has_room()? {
            true => same("readiness while there is capacity", (status, &*why), (200, "ok"))?,
            // So many addresses take all uploads until they are too slow, and that is to be told.
            false => ensure(status == 503 && why.contains("uploads"), format_args!("readiness is {status}, {why}"))?,
        }
        drop((downloads, drips));
        let until = Instant::now() + Duration::from_secs(30);
        while served.used("downloads")? + served.used("uploads")? > 0 {
            ensure(Instant::now() < until, format_args!("{name}: what they held is not free after 30 s"))?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Says which kind of request took more than twice as long as alone, and more than `floor`.
fn too_long(alone: &Latency, beside: &Latency, floor: Duration) -> Option<String> {
    let all = ASKED.iter().zip(alone.iter().zip(beside));
    let found = all.into_iter().find(|(_, (alone, beside))| beside.1 > (alone.1 * 2).max(floor));
    found.map(|(asked, (alone, beside))| format!("{asked} has a p99 of {:?}, and alone {:?}", beside.1, alone.1))
}

/// How long a client may be too slow here, and how long the registry may take to notice it then.
const GRACE: Duration = Duration::from_secs(8);
const NOTICED: Duration = Duration::from_secs(15);

/// A download that is not read and an upload that drips are ended after the grace, slow ones are not; and what came of an upload
/// is kept.
pub(crate) fn rates(_: bool) -> Outcome {
    let served = Served::start(Kind::Filesystem, json!({ "min_rate_grace": format!("{}s", GRACE.as_secs()) }))?;
    crate::with_logs(ended_by_rate(&served), &[&served.registry])
}

fn ended_by_rate(served: &Served) -> Outcome {
    let address = served.registry.address();
    let mut client = Client::new(address);
    let large = Blob::from(content(4, LARGE));
    client.push_blob(NAME, &large)?;
    let (dripping, honest) = (client.begin(NAME)?, client.begin(NAME)?);
    let stopped = unread(Ipv4Addr::LOCALHOST, address, &large.digest)?;
    let mut drip = begun(Ipv4Addr::LOCALHOST, address, &dripping)?;
    let mut reads = unread(Ipv4Addr::LOCALHOST, address, &large.digest)?;
    let mut sends = begun(Ipv4Addr::LOCALHOST, address, &honest)?;
    let (began, mut ended) = (Instant::now(), None);
    let mut piece = [0; 10 * 1024];
    // 10 KiB a second in both directions, and beside it a byte a second and nothing.
    while began.elapsed() < 2 * GRACE + Duration::from_secs(4) {
        std::thread::sleep(Duration::from_secs(1));
        reads.read_exact(&mut piece).map_err(|error| format!("a download of 10 KiB a second was cut: {error}"))?;
        sends.write_all(&piece).map_err(|error| format!("an upload of 10 KiB a second was cut: {error}"))?;
        if drip.write_all(b"x").is_err() && ended.is_none() {
            ended = Some(began.elapsed());
        }
    }
    let open = (served.used("downloads")?, served.used("uploads")?);
    same("what is open after the grace, of two downloads and two uploads", open, (1, 1))?;
    drop((reads, sends, stopped));
    let (kept, upload) = client.offset(&dripping)?;
    ensure(kept > 0, "nothing of what came before is kept")?;
    println!("rates: a dripping upload broke after {ended:.1?} with {kept} bytes kept");
    client.finish(&upload, &large.bytes[..1000], &{
        let whole = [vec![b'x'; kept], large.bytes[..1000].to_vec()].concat();
        Blob::from(bytes::Bytes::from(whole)).digest
    })?;
    Ok(())
}

/// The registry says when capacity has run out, refuses with words, and is ready again when it is back.
pub(crate) fn exhausted(_: bool) -> Outcome {
    let served = Served::start(Kind::Filesystem, json!({ "downloads": 8, "client_share": 100 }))?;
    crate::with_logs(capacity_runs_out(&served), &[&served.registry])
}

fn capacity_runs_out(served: &Served) -> Outcome {
    let address = served.registry.address();
    let mut client = Client::new(address);
    let (large, small) = (Blob::from(content(5, LARGE)), Blob::from(content(6, 1024)));
    client.push_blob(NAME, &large)?;
    client.push_blob(NAME, &small)?;
    let slow = (0..8).map(|number| unread(Ipv4Addr::new(127, 0, 0, 10 + number), address, &large.digest));
    let slow = slow.collect::<Outcome<Vec<_>>>()?;
    let until = Instant::now() + NOTICED + Duration::from_secs(15);
    let why = loop {
        match served.readiness()? {
            (503, why) => break why,
            (status, why) => {
                ensure(Instant::now() < until, format_args!("readiness is {status}, {why}, without capacity"))?;
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    };
    ensure(why.contains("capacity has run out: 8 of 8 downloads"), format_args!("readiness says {why}"))?;
    let mut refused = Connection::open(address, Duration::from_secs(20))?;
    let answer = refused.request("GET", &format!("/v2/{NAME}/blobs/{}", large.digest), &[], None)?;
    same("a download that is too many", answer.status, 503)?;
    ensure(answer.header("retry-after").is_some(), format_args!("no Retry-After: {answer:?}"))?;
    // What is small goes on.
    client.pull_blob(NAME, &small.digest)?;
    client.expect(200, "GET", "/v2/_catalog", &[], None)?;
    drop(slow);
    let until = Instant::now() + NOTICED;
    while served.readiness()?.0 != 200 {
        ensure(Instant::now() < until, "readiness stays away when capacity is back")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    client.pull_blob(NAME, &large.digest)?;
    Ok(())
}
