//! The registry's own `/v2/`, which no driver answers, beside components that burn a processor: 8 clients that ask for it over
//! and over, on the executor that components share with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wharf::factory::{Factory, Parameters};
use wharf::registry::Registry;

use crate::neighbour::{Fared, fared};

const CLIENTS: usize = 8;

/// The rows beside which it is asked: one of each way to compute.
pub(crate) const ROWS: [&str; 5] = [
    "spins in stat",
    "spins in stat and returns",
    "fills 200 MB of memory over and over",
    "asks for 32 MB of random bytes over and over",
    "floods the log with 50 MB",
];

/// A registry on a native driver. It ends with the executor.
pub(crate) struct Face {
    address: SocketAddr,
}

impl Face {
    pub(crate) async fn start() -> Self {
        let driver = Factory::native().create("inmemory", Parameters::new()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Registry::builder(driver).build().router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Face { address }
    }

    /// Runs the clients for a while.
    pub(crate) async fn measure(&self, time: Duration) -> Fared {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(client(self.address, Arc::clone(&stop)))).collect();
        let begun = Instant::now();
        tokio::time::sleep(time).await;
        stop.store(true, Ordering::Relaxed);
        fared(clients, begun.elapsed()).await
    }
}

/// Asks until it is to stop. Returns how long each answer took, in microseconds, and how many were wrong.
async fn client(address: SocketAddr, stop: Arc<AtomicBool>) -> (Vec<u32>, u64) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET /v2/ HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let (mut times, mut lost) = (Vec::new(), 0);
    let mut answer = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        // The body is `{}`.
        while !answer.ends_with(b"\r\n\r\n{}") {
            if stream.read_buf(&mut answer).await.unwrap() == 0 {
                return (times, lost + 1);
            }
        }
        times.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
        lost += u64::from(!answer.starts_with(b"HTTP/1.1 200 OK"));
    }
    (times, lost)
}
