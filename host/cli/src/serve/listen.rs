//! Sockets that clients connect to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `HOST:PORT`. Without a host, every address of the machine, IPv6 and IPv4. Port 0 is one that is free.
    Tcp(String),
    /// The file of a Unix socket.
    Unix(PathBuf),
}

/// Where a listener really listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The address, with the port that was free if any was asked for.
    Tcp(SocketAddr),
    /// The file.
    Unix(PathBuf),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Tcp(address) => address.fmt(f),
            Bound::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connection of any kind.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A listening socket. Dropping it closes it and removes the file of a Unix socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Listening,
    bound: Bound,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, #[allow(dead_code, reason = "removes the file when it is dropped")] SocketFile),
}

/// The probes by which a client is found out that vanished without a word: as Go's servers.
const KEEPALIVE: Duration = Duration::from_secs(15);

impl Listener {
    /// Listens.
    ///
    /// # Errors
    ///
    /// Where the address cannot be resolved, is taken or not ours; for a Unix socket also where another program listens
    /// there, or a file lies there that is no socket.
    pub(crate) async fn bind(address: &Address) -> Result<Self> {
        match address {
            Address::Tcp(address) => {
                let listener = bind_tcp(address).await.with_context(|| format!("could not listen on {address}"))?;
                let bound = listener.local_addr().with_context(|| format!("could not listen on {address}"))?;
                Ok(Listener { socket: Listening::Tcp(listener), bound: Bound::Tcp(bound) })
            }
            Address::Unix(path) => {
                let (listener, file) =
                    bind_unix(path).await.with_context(|| format!("could not listen on unix:{}", path.display()))?;
                Ok(Listener { socket: Listening::Unix(listener, file), bound: Bound::Unix(path.clone()) })
            }
        }
    }

    /// Returns where this listens.
    pub(crate) fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Waits for a client, and returns its connection and, where it has one, its address. Dropping the future loses no
    /// client.
    ///
    /// # Errors
    ///
    /// The system's. The listener can be asked again.
    pub(crate) async fn accept(&self) -> io::Result<(Box<dyn Socket>, Option<SocketAddr>)> {
        match &self.socket {
            Listening::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                prepare(&stream);
                Ok((Box::new(stream), Some(peer)))
            }
            Listening::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), None))
            }
        }
    }
}

/// Sends small answers at once, and finds out clients that vanished. A client that is gone already is no error here: its
/// connection tells.
fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

async fn bind_tcp(address: &str) -> io::Result<TcpListener> {
    if let Some(port) = address.strip_prefix(':') {
        // Both protocols at once; a machine without IPv6 has one.
        return match TcpListener::bind(format!("[::]:{port}")).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            bound => bound,
        };
    }
    TcpListener::bind(address).await
}

async fn bind_unix(path: &Path) -> Result<(UnixListener, SocketFile)> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => bail!("a file lies there that is no socket: move it away"),
        Ok(_) if tokio::net::UnixStream::connect(path).await.is_ok() => bail!("another program listens there"),
        // Left behind by a program that was killed.
        Ok(_) => std::fs::remove_file(path).context("could not remove the socket that was left there")?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile { path: path.to_owned(), inode: std::fs::symlink_metadata(path)?.ino() };
    Ok((listener, file))
}

/// The file of a Unix socket, which the system leaves behind.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another program may have put its own there since.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn refused(address: &Address) -> String {
        format!("{:#}", Listener::bind(address).await.unwrap_err())
    }

    #[tokio::test]
    async fn port_zero_is_a_free_port_that_is_told() {
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned())).await.unwrap();
        let Bound::Tcp(bound) = *listener.bound() else { panic!("{:?}", listener.bound()) };
        assert_ne!(bound.port(), 0);
        let mut client = TcpStream::connect(bound).await.unwrap();
        let (mut stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, Some(client.local_addr().unwrap()));
        client.write_all(b"hello").await.unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        let error = refused(&Address::Tcp(bound.to_string())).await;
        assert!(error.starts_with(&format!("could not listen on {bound}: ")), "{error}");
    }

    #[tokio::test]
    async fn an_accepted_connection_sends_at_once_and_is_probed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream);
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
        assert_eq!(SockRef::from(&stream).tcp_keepalive_time().unwrap(), KEEPALIVE);
    }

    #[tokio::test]
    async fn a_unix_socket_is_removed_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address = Address::Unix(path.clone());
        let listener = Listener::bind(&address).await.unwrap();
        assert_eq!(listener.bound().to_string(), format!("unix:{}", path.display()));
        let _client = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert!(listener.accept().await.unwrap().1.is_none());
        assert!(refused(&address).await.ends_with("another program listens there"));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_another_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        // The standard library's listener leaves its file.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let address = Address::Unix(path.clone());
        drop(Listener::bind(&address).await.unwrap());
        std::fs::write(&path, "precious").unwrap();
        assert!(refused(&address).await.contains("no socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
