//! How many bytes the system still holds for a client.
//!
//! The system takes megabytes for a connection at once, and then says for minutes nothing of how they leave: a client of 10
//! KiB a second would look as if it had stopped. What it has not taken yet stands in the system's table of connections. The
//! table is read as a whole, so it is read seldom, and only while a client is waited for.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// The tables of this process's network.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// How old what is known may be, at the least.
const AGE: Duration = Duration::from_secs(1);

/// And at the most.
const OLD: Duration = Duration::from_secs(2);

/// By a port of this machine and a client's address.
type Table = HashMap<(u16, SocketAddr), u64>;

/// What the system holds for the clients of this process. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    table: Table,
    /// Until when it counts.
    until: Instant,
}

impl Queues {
    /// Returns how many bytes are still held for a client; none where the system does not say.
    pub(super) async fn unsent(&self, port: u16, client: SocketAddr) -> Option<u64> {
        let mut known = self.0.lock().await;
        if known.as_ref().is_none_or(|known| known.until <= Instant::now()) {
            let began = Instant::now();
            let table = tokio::task::spawn_blocking(read).await.unwrap_or_default();
            // A machine with very many connections reads it less often, but not so seldom that a client seems to stand still.
            let until = Instant::now() + (began.elapsed() * 20).clamp(AGE, OLD);
            *known = Some(Known { table, until });
        }
        let Known { table, .. } = known.as_ref()?;
        table.get(&(port, canonical(client))).copied()
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn read() -> Table {
    let mut table = Table::new();
    for file in TABLES {
        let text = fs::read_to_string(file).unwrap_or_default();
        table.extend(text.lines().skip(1).filter_map(row));
    }
    table
}

/// Reads `0: 0100007F:1F90 0100007F:D431 01 000A0000:00000000 ...`: number, here, there, state, to be sent and to be read.
fn row(line: &str) -> Option<((u16, SocketAddr), u64)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (here, there) = (address(fields.next()?)?, address(fields.next()?)?);
    let (unsent, _) = fields.nth(1)?.split_once(':')?;
    Some(((here.port(), canonical(there)), u64::from_str_radix(unsent, 16).ok()?))
}

/// Reads an address as the kernel writes it: words of 32 bits in the machine's order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_a_client_has_not_taken_is_known() {
        for bind in ["127.0.0.1:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut server, peer) = listener.accept().unwrap();
            assert_eq!(Queues::default().unsent(port, peer).await, Some(0), "{bind}");
            server.set_nonblocking(true).unwrap();
            let mut written = 0;
            while let Ok(count) = server.write(&[0; 65536]) {
                written += count as u64;
            }
            let unsent = Queues::default().unsent(port, peer).await.unwrap();
            assert!(unsent > 0 && unsent <= written, "{bind}: {unsent} of {written}");
            drop(client);
        }
    }

    #[test]
    fn what_is_no_row_is_passed_over() {
        for line in
            ["", "sl local_address", "0: 0100007F:1F90 0100007F", "0: 01:1 02:2 01 0:0", "0: \u{e9}00007F:1F90 x y z"]
        {
            assert!(row(line).is_none(), "{line}");
        }
    }
}
