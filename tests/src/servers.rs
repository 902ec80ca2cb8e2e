//! The servers that the tests of cloud drivers talk to.
//!
//! `cargo xtask test` starts them and says in the environment where they are; `cargo xtask servers` does so for whoever
//! runs one test by hand. A test without its server has failed, not passed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The access key of every S3 server that xtask starts.
pub const ACCESS_KEY: &str = "testaccess";

/// The secret key that belongs to it.
pub const SECRET_KEY: &str = "testsecret123";

/// How long a registry may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the URL of a server, such as `RGW` or `SEAWEED`: what the variable `WHARF_TEST_RGW` says.
///
/// # Errors
///
/// A sentence with the commands that start it, if the variable is not set.
pub fn server(name: &str) -> Result<String, String> {
    let variable = format!("WHARF_TEST_{name}");
    std::env::var(&variable).map_err(|_| {
        format!(
            "{variable} is not set: run `cargo xtask test`, which starts the servers, or `cargo xtask servers`, which \
             prints what to set and keeps them running"
        )
    })
}

/// Debian's `docker-registry`, running until it is dropped.
pub struct DockerRegistry {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl DockerRegistry {
    /// Starts a registry with a configuration, as YAML, and waits until it answers. Where it listens is not for the
    /// configuration to say.
    ///
    /// # Errors
    ///
    /// A sentence with what the registry printed, if it does not start.
    pub fn start(configuration: &str) -> Result<Self, String> {
        let failed = |error: io::Error| format!("docker-registry could not be started: {error}");
        let directory = TempDir::new().map_err(failed)?;
        let file = directory.path().join("config.yml");
        fs::write(&file, configuration).map_err(failed)?;
        let log = File::create(directory.path().join("log")).map_err(failed)?;
        // Freed before the registry takes it: it cannot be told to choose one and say which.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        drop(listener);

        let mut command = Command::new("docker-registry");
        // Variables with this prefix change its configuration.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"REGISTRY_")) {
            command.env_remove(name);
        }
        command
            .arg("serve")
            .arg(&file)
            // It makes the S3 driver panic.
            .env_remove("AWS_CA_BUNDLE")
            .env("REGISTRY_HTTP_ADDR", address.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log);
        let child = command.spawn().map_err(|error| {
            format!("docker-registry could not be started, and `cargo xtask test` installs it: {error}")
        })?;
        let mut registry = DockerRegistry { child, address, directory };
        registry.wait()?;
        Ok(registry)
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the same as a URL: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what it has printed so far, for the message of a failure.
    pub fn log(&self) -> String {
        fs::read(self.directory.path().join("log")).map_or_else(
            |error| format!("its log could not be read: {error}"),
            |log| String::from_utf8_lossy(&log).into_owned(),
        )
    }

    /// Waits until it answers on `/v2/`.
    fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let ended = self.child.try_wait().map_err(|error| format!("docker-registry is lost: {error}"))?;
            if let Some(status) = ended {
                return Err(format!("docker-registry ended: {status}\n{}", self.log()));
            }
            // Unauthorized is an answer too.
            if self.status().is_ok_and(|status| matches!(status, 200 | 401)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("docker-registry did not answer within {} s\n{}", PATIENCE.as_secs(), self.log()))
    }

    fn status(&self) -> io::Result<u16> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /v2/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut answer)?;
        let status =
            std::str::from_utf8(&answer).ok().and_then(|answer| answer.strip_prefix("HTTP/1.1 ")?.parse().ok());
        status.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_server_that_nobody_started_is_named_with_the_commands_that_start_it() {
        let error = server("NO_SUCH").unwrap_err();
        for words in ["WHARF_TEST_NO_SUCH", "cargo xtask test", "cargo xtask servers"] {
            assert!(error.contains(words), "{error}");
        }
    }
}
