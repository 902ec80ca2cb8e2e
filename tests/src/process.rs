//! What the system says of a process: its memory, its files, its time on the processors. Linux only.

use std::fs;
use std::io;

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

/// What a process takes of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What is resident, in bytes.
    pub resident: u64,
    /// The most that was resident since it began or since [`Process::reset_peak`], in bytes.
    pub peak: u64,
    /// How many files, sockets among them, it has open.
    pub files: usize,
    /// How many TCP connections it has, those it listens on not among them.
    pub connections: usize,
    /// How many threads it has.
    pub threads: usize,
}

impl Process {
    /// Names a process by its number.
    pub fn new(id: u32) -> Self {
        Process(id)
    }

    /// Returns what it takes now.
    ///
    /// # Errors
    ///
    /// The system's, if the process is gone or somebody else's.
    pub fn usage(self) -> io::Result<Usage> {
        let status = self.read("status")?;
        let (mut files, mut sockets) = (0, Vec::new());
        for file in fs::read_dir(format!("/proc/{}/fd", self.0))? {
            files += 1;
            // One that was closed meanwhile is no socket of it any more.
            let Ok(target) = fs::read_link(file?.path()) else { continue };
            let target = target.to_string_lossy().into_owned();
            sockets
                .extend(target.strip_prefix("socket:[").and_then(|inode| inode.strip_suffix(']')).map(str::to_owned));
        }
        Ok(Usage {
            resident: field(&status, "VmRSS:")? * 1024,
            peak: field(&status, "VmHWM:")? * 1024,
            files,
            connections: self.connections(&sockets)?,
            threads: field(&status, "Threads:")? as usize,
        })
    }

    /// Makes what is resident now the peak.
    ///
    /// # Errors
    ///
    /// The system's, if the process is gone or somebody else's.
    pub fn reset_peak(self) -> io::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5")
    }

    /// Returns the time that it has spent on the processors, in seconds; in steps of a hundredth.
    ///
    /// # Errors
    ///
    /// The system's, if the process is gone.
    pub fn processor_seconds(self) -> io::Result<f64> {
        /// In user space, Linux counts in hundredths on every architecture (`USER_HZ`).
        const TICKS: f64 = 100.0;
        let stat = self.read("stat")?;
        // The name, in parentheses, may have spaces and parentheses itself.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<f64>().ok()).ok_or_else(unreadable);
        Ok((ticks(11)? + ticks(12)?) / TICKS)
    }

    fn connections(self, sockets: &[String]) -> io::Result<usize> {
        /// `TCP_LISTEN`, as the tables of connections have it.
        const LISTEN: &str = "0A";
        let mut count = 0;
        for table in ["net/tcp", "net/tcp6"] {
            // Without IPv6 there is no table of its connections.
            let Ok(table) = self.read(table) else { continue };
            count += table
                .lines()
                .filter_map(|line| {
                    let fields: Vec<&str> = line.split_whitespace().collect();
                    Some((*fields.get(3)?, *fields.get(9)?))
                })
                .filter(|&(state, inode)| state != LISTEN && sockets.iter().any(|socket| socket == inode))
                .count();
        }
        Ok(count)
    }

    fn read(self, what: &str) -> io::Result<String> {
        let path = format!("/proc/{}/{what}", self.0);
        fs::read_to_string(&path).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
    }
}

fn field(status: &str, name: &str) -> io::Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).ok_or_else(unreadable)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the process is not told of in the form that Linux has")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_counted_while_it_is_open_and_a_listener_is_not() {
        let process = Process::new(std::process::id());
        let before = process.usage().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(process.usage().unwrap().connections, before.connections);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let during = process.usage().unwrap();
        assert_eq!(during.connections, before.connections + 2);
        drop((client, server));
    }

    #[test]
    fn what_is_resident_grows_with_what_is_touched() {
        let process = Process::new(std::process::id());
        let before = process.usage().unwrap();
        let touched = vec![1_u8; 32 << 20];
        assert!(process.usage().unwrap().resident > before.resident + (24 << 20));
        drop(touched);
        assert!(process.usage().unwrap().peak > before.resident + (24 << 20));
    }

    #[test]
    fn computing_takes_time_on_the_processors() {
        let process = Process::new(std::process::id());
        let before = process.processor_seconds().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_millis(200);
        while std::time::Instant::now() < until {}
        assert!(process.processor_seconds().unwrap() > before);
    }
}
