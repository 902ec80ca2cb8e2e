//! Registries as processes: `wharf serve`, and Debian's `docker-registry` beside it.
//!
//! One can be killed, stopped and started again on the same store and at the same address, and asked what it takes of
//! the machine. It ends when it is dropped.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::http1::Connection;
use crate::process::Process;

/// The environment variable that names the program `wharf`.
const BINARY: &str = "WHARF_TEST_BINARY";

/// How long a registry may take to answer. A component is compiled first.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the port that was free a moment ago may be somebody else's.
const PORTS: usize = 3;

/// How many bytes at the end of a log tell why a registry failed.
const LAST_BYTES: usize = 4 * 1024;

/// A registry that runs as a process.
#[derive(Debug)]
pub struct RegistryProcess {
    program: PathBuf,
    arguments: Vec<PathBuf>,
    directory: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl RegistryProcess {
    /// Starts `wharf serve` with a configuration, as YAML, and waits until it answers. Where it listens is not for the
    /// configuration to say.
    ///
    /// The program is what `WHARF_TEST_BINARY` names, or the one that was built beside this test.
    ///
    /// # Errors
    ///
    /// A sentence with what it printed, if it does not start; or with the command that builds it.
    pub fn wharf(configuration: &str) -> Result<Self, String> {
        Self::wharf_at(&wharf_program()?, configuration)
    }

    /// Starts the `wharf serve` of another program the same way.
    ///
    /// # Errors
    ///
    /// A sentence with what it printed, if it does not start.
    pub fn wharf_at(program: &Path, configuration: &str) -> Result<Self, String> {
        Self::start(program.to_owned(), &["serve", "--config"], configuration)
    }

    /// Starts `docker-registry` the same way.
    ///
    /// # Errors
    ///
    /// A sentence with what it printed, if it does not start.
    pub fn distribution(configuration: &str) -> Result<Self, String> {
        Self::start("docker-registry".into(), &["serve"], configuration)
    }

    fn start(program: PathBuf, arguments: &[&str], configuration: &str) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{} could not be started: {error}", program.display());
        let directory = TempDir::new().map_err(failed)?;
        let file = directory.path().join("config.yml");
        fs::write(&file, configuration).map_err(failed)?;
        let mut arguments: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
        arguments.push(file);
        let address = free_address().map_err(failed)?;
        let mut registry = RegistryProcess { program, arguments, directory, address, child: None };
        for attempt in 1.. {
            match registry.restart() {
                // Another program may have taken the port since it was freed.
                Err(error) if attempt < PORTS && is_taken(&error) => {
                    registry.address = free_address().map_err(|error| format!("no port is free: {error}"))?;
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(registry)
    }

    /// Starts it again, after it was killed or stopped, on the same store and at the same address, and waits until it
    /// answers.
    ///
    /// # Errors
    ///
    /// A sentence with what it printed, if it does not start.
    pub fn restart(&mut self) -> Result<(), String> {
        for _ in 1..PORTS {
            match self.run() {
                // A connection that a client is making has the port for a moment.
                Err(error) if is_taken(&error) => std::thread::sleep(Duration::from_millis(100)),
                ended => return ended,
            }
        }
        self.run()
    }

    fn run(&mut self) -> Result<(), String> {
        self.kill();
        let failed = |error: io::Error| format!("{} could not be started: {error}", self.program.display());
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).map_err(failed)?;
        let mut command = Command::new(&self.program);
        // Variables with this prefix change the configuration.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"REGISTRY_")) {
            command.env_remove(name);
        }
        command
            .args(&self.arguments)
            // It makes docker-registry's S3 driver panic.
            .env_remove("AWS_CA_BUNDLE")
            .env("REGISTRY_HTTP_ADDR", self.address.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log);
        self.child = Some(command.spawn().map_err(failed)?);
        self.wait()
    }

    /// Kills it (SIGKILL), if it runs, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop (SIGTERM) and waits until it is gone.
    ///
    /// # Errors
    ///
    /// A sentence, if it does not run, or runs on after `patience`; it is killed then.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus, String> {
        let mut child = self.child.take().ok_or("the registry does not run")?;
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status();
        asked.map_err(|error| format!("sh could not be started: {error}"))?;
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = child.try_wait().map_err(|error| format!("the registry is lost: {error}"))? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child = Some(child);
        self.kill();
        Err(format!("{} ran on {} s after SIGTERM\n{}", self.program.display(), patience.as_secs(), self.log()))
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the process, to ask what it takes.
    ///
    /// # Errors
    ///
    /// A sentence, if it does not run.
    pub fn process(&self) -> Result<Process, String> {
        let child = self.child.as_ref().ok_or("the registry does not run")?;
        Ok(Process::new(child.id()))
    }

    /// Returns whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Returns the end of what it has printed so far, for the message of a failure.
    pub fn log(&self) -> String {
        match fs::read(self.log_file()) {
            Ok(log) => String::from_utf8_lossy(&log[log.len().saturating_sub(LAST_BYTES)..]).into_owned(),
            Err(error) => format!("its log could not be read: {error}"),
        }
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Waits until it answers on `/v2/`.
    fn wait(&mut self) -> Result<(), String> {
        let name = self.program.display().to_string();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.has_ended() {
                let child = self.child.take();
                let status = child.map(|mut child| child.wait().map(|status| status.to_string()));
                return Err(format!("{name} ended: {status:?}\n{}", self.log()));
            }
            // Unauthorized is an answer too.
            if self.status().is_ok_and(|status| matches!(status, 200 | 401)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{name} did not answer within {} s\n{}", PATIENCE.as_secs(), self.log()))
    }

    fn status(&self) -> io::Result<u16> {
        let mut connection = Connection::open(self.address, Duration::from_secs(5))?;
        Ok(connection.request("GET", "/v2/", &[("Connection", "close")], None)?.status)
    }
}

impl Drop for RegistryProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns where the program `wharf` lies.
///
/// # Errors
///
/// A sentence with the command that builds it, if it is not there.
pub fn wharf_program() -> Result<PathBuf, String> {
    if let Some(program) = std::env::var_os(BINARY) {
        return Ok(program.into());
    }
    let test = std::env::current_exe().map_err(|error| format!("this program does not know where it lies: {error}"))?;
    // Tests lie in `deps`, beside the programs.
    let program = test.parent().and_then(Path::parent).unwrap_or(Path::new("")).join("wharf");
    if program.is_file() {
        return Ok(program);
    }
    Err(format!("{} is not there; `cargo xtask test` builds it, or {BINARY} names another", program.display()))
}

/// Returns whether a registry ended because another has its port. Go and Rust write it differently.
fn is_taken(error: &str) -> bool {
    error.to_lowercase().contains("address already in use")
}

/// Returns an address of this machine where nothing listens. A registry cannot be told to choose one and say which.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
