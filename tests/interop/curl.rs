//! HTTP by the program `curl`: a client that shares no code with Wharf.

use std::io::Write;
use std::process::{Command, Stdio};

use bytes::Bytes;

use crate::check::{Outcome, ensure};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    url: String,
    arguments: Vec<String>,
    body: Option<Bytes>,
}

/// An answer; of redirections that were followed, the last one's.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: String,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: &str, url: impl Into<String>) -> Self {
        // `--request HEAD` would wait for a body.
        let arguments = match method {
            "HEAD" => vec!["--head".to_owned()],
            _ => vec!["--request".to_owned(), method.to_owned()],
        };
        Request { method: method.to_owned(), url: url.into(), arguments, body: None }
    }

    pub(crate) fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// Adds arguments of the program.
    pub(crate) fn with<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    pub(crate) fn header(self, header: &str) -> Self {
        self.with(["--header", header])
    }

    pub(crate) fn body(mut self, content_type: &str, body: Bytes) -> Self {
        self.body = Some(body);
        self.header(&format!("Content-Type: {content_type}")).header("Expect:")
    }

    /// Returns the address without its query, which is long and mostly a signature.
    fn place(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    /// Sends it, whatever the status of the answer.
    pub(crate) fn send(self) -> Outcome<Reply> {
        let directory = tempfile::tempdir()?;
        let (headers, body, upload) =
            (directory.path().join("headers"), directory.path().join("body"), directory.path().join("upload"));
        let mut command = Command::new("curl");
        // Without a configuration file and without a proxy: every address is on this machine.
        command.args(["--disable", "--noproxy", "*", "--silent", "--show-error", "--max-time", "120"]);
        command.arg("--dump-header").arg(&headers).arg("--output").arg(&body);
        command.args(["--write-out", "%{http_code}"]).args(&self.arguments);
        if let Some(content) = &self.body {
            std::fs::File::create(&upload)?.write_all(content)?;
            command.arg("--data-binary").arg(format!("@{}", upload.display()));
        }
        let output = run(command.arg(&self.url))?;
        ensure(output.success, format_args!("curl {} failed: {}", self.place(), output.stderr))?;
        let headers = std::fs::read_to_string(&headers)?;
        let last = headers.trim_end().rsplit("\r\n\r\n").next().unwrap_or_default().to_owned();
        let body = std::fs::read(&body).unwrap_or_default();
        Ok(Reply { status: output.stdout.trim().parse()?, headers: last, body: body.into() })
    }

    /// Sends it and fails unless the answer has that status.
    pub(crate) fn expect(self, status: u16) -> Outcome<Reply> {
        let what = format!("{} {}", self.method, self.place());
        let reply = self.send()?;
        let told = String::from_utf8_lossy(&reply.body[..reply.body.len().min(500)]);
        ensure(reply.status == status, format_args!("{what}: {}, promised {status}: {told}", reply.status))?;
        Ok(reply)
    }
}

impl Reply {
    /// Returns a header's value.
    pub(crate) fn header(&self, name: &str) -> Outcome<&str> {
        let value = self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        value.ok_or_else(|| format!("the answer has no header {name}: {}", self.headers).into())
    }
}

/// What a program printed, and whether it succeeded.
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Outcome<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        format!("{name} could not be started ({error}): these tests need it; on Debian, apt-get install {name}")
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Output { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}
