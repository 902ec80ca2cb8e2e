//! `wharf serve` as a process with a configuration of its own, and curl to ask it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long what is bound to happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, which ends when it is dropped.
pub(crate) struct Served {
    child: Child,
    log: Arc<Mutex<String>>,
    pub(crate) directory: TempDir,
    /// `127.0.0.1:PORT`, where clients ask.
    pub(crate) address: String,
    /// Where operators do.
    pub(crate) debug: String,
}

impl Served {
    /// Starts it in a directory of its own, which `prepare` fills and for which it returns the configuration; `DEBUG` in it
    /// becomes the address for operators. Waits until it listens.
    pub(crate) fn start(prepare: impl FnOnce(&TempDir) -> Option<String>) -> Self {
        Self::start_with(&[], prepare)
    }

    /// As [`start`](Self::start), with an environment of its own for what begins with `AWS_`.
    pub(crate) fn start_with(environment: &[(&str, &str)], prepare: impl FnOnce(&TempDir) -> Option<String>) -> Self {
        let directory = TempDir::new().unwrap();
        let (address, debug) = (free_address(), free_address());
        let mut command = super::command(&["serve"]);
        if let Some(configuration) = prepare(&directory) {
            fs::write(directory.path().join("config.yml"), configuration.replace("DEBUG", &debug)).unwrap();
            command.arg("config.yml");
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"REGISTRY_")) {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"AWS_")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        command.current_dir(&directory).env("REGISTRY_HTTP_ADDR", &address);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let read = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = read.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let served = Served { child, log, directory, address, debug };
        served.logs("the registry listens on");
        served
    }

    /// Waits until the log has this, and returns the log.
    pub(crate) fn logs(&self, what: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log.lock().unwrap().clone();
            if log.contains(what) {
                return log;
            }
            assert!(Instant::now() < until, "{what:?} is not in the log:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server runs on:\n{}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks with curl in the server's directory. Returns the status, and the body.
    pub(crate) fn curl(&self, arguments: &[&str]) -> (u16, String) {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--write-out", "\n%{http_code}"])
            .args(arguments)
            .current_dir(&self.directory)
            .output()
            .expect("curl is here: `cargo xtask test` installs it");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
        assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        (status.parse().unwrap(), body.to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an address of this machine where nothing listens.
pub(crate) fn free_address() -> String {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string()
}
