//! A registry, an OCI layout to push from, and the clients with directories of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_conformance::images::{Image, Index, write_layout};
use wharf_conformance::registry_client::Client;
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::{Outcome, ensure};

const KIB: usize = 1024;

/// How long a client may take, in seconds.
const PATIENCE: &str = "120";

/// What a promise is tried on.
pub(crate) struct Bench {
    pub(crate) registry: RegistryProcess,
    /// The image `one` of the layout.
    pub(crate) one: Image,
    /// The index `many` of the layout.
    pub(crate) many: Index,
    directory: TempDir,
    _store: Store,
}

/// What a client printed.
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    pub(crate) fn new(kind: Kind) -> Outcome<Self> {
        Self::with(kind, |_| Ok(json!({})))
    }

    /// Makes one with changes to the registry's configuration, which may name files in the directory given.
    pub(crate) fn with(kind: Kind, changes: impl Fn(&Path) -> Outcome<Value>) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let store = Store::new(kind)?;
        let registry = RegistryProcess::wharf(&store.configuration(&changes(directory.path())?))?;
        // Layers of which one needs several reads, one a single one, and one is nearly nothing.
        let one = Image::new("amd64", 1, &[3000 * KIB, 40 * KIB, 1])?;
        let many = Index::new(vec![Image::new("amd64", 2, &[200 * KIB])?, Image::new("arm64", 3, &[200 * KIB])?]);
        write_layout(&directory.path().join("layout"), &one, &many)?;
        // So that each client speaks plain HTTP without being told so by each of its commands, and asks no other
        // registry.
        let registries = format!(
            "unqualified-search-registries = []\nshort-name-mode = \"disabled\"\n[[registry]]\nlocation = \"{}\"\ninsecure \
             = true\n",
            registry.address()
        );
        std::fs::write(directory.path().join("registries.conf"), registries)?;
        // podman and buildah want the file to be there.
        std::fs::write(directory.path().join("auth.json"), "{}")?;
        Ok(Bench { registry, one, many, directory, _store: store })
    }

    /// Returns another client of the same registry, whose answers are the measure.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.registry.address())
    }

    /// Returns the registry as images name it: `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.registry.address().to_string()
    }

    /// Returns an image's name at the registry.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address())
    }

    /// Returns the same for clients that want a transport before it.
    pub(crate) fn docker(&self, name: &str) -> String {
        format!("docker://{}", self.at(name))
    }

    /// Returns an image of the layout, as clients name it: below their working directory, since podman makes an image's
    /// name of the path, which must have no capital letter then.
    pub(crate) fn layout(&self, name: &str) -> String {
        format!("oci:layout:{name}")
    }

    /// Returns a path in the directory of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs skopeo and returns what it printed.
    pub(crate) fn skopeo(&self, arguments: &[&str]) -> Outcome<String> {
        self.successful(self.command("skopeo", &["--registries-conf", &self.text("registries.conf")], arguments))
    }

    /// Runs podman with a storage of its own and returns what it printed.
    pub(crate) fn podman(&self, arguments: &[&str]) -> Outcome<String> {
        self.successful(self.podman_command(arguments))
    }

    /// Runs podman, whatever comes of it.
    pub(crate) fn try_podman(&self, arguments: &[&str]) -> Outcome<Output> {
        self.run(self.podman_command(arguments))
    }

    fn podman_command(&self, arguments: &[&str]) -> Command {
        // The driver that needs nothing of the machine; and no daemon is asked for groups or told of events.
        let (root, runroot, tmpdir) = (self.text("podman"), self.text("podman-run"), self.text("podman-tmp"));
        let global = [
            "--root",
            &root,
            "--runroot",
            &runroot,
            "--tmpdir",
            &tmpdir,
            "--storage-driver",
            "vfs",
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
        ];
        self.command("podman", &global, arguments)
    }

    /// Runs buildah with a storage of its own and returns what it printed.
    pub(crate) fn buildah(&self, arguments: &[&str]) -> Outcome<String> {
        self.successful(self.buildah_command(arguments))
    }

    /// Runs buildah, whatever comes of it.
    pub(crate) fn try_buildah(&self, arguments: &[&str]) -> Outcome<Output> {
        self.run(self.buildah_command(arguments))
    }

    fn buildah_command(&self, arguments: &[&str]) -> Command {
        let (root, runroot, registries) =
            (self.text("buildah"), self.text("buildah-run"), self.text("registries.conf"));
        let global =
            ["--root", &root, "--runroot", &runroot, "--storage-driver", "vfs", "--registries-conf", &registries];
        self.command("buildah", &global, arguments)
    }

    /// Runs skopeo, whatever comes of it.
    pub(crate) fn try_skopeo(&self, arguments: &[&str]) -> Outcome<Output> {
        self.run(self.command("skopeo", &["--registries-conf", &self.text("registries.conf")], arguments))
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn command(&self, program: &str, global: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", PATIENCE, program]).args(global).args(arguments);
        // Nothing of this machine's user counts, and nothing is left with him.
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(name, self.path("home"));
        }
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "CONTAINER_HOST"] {
            command.env_remove(name);
        }
        command
            .env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"))
            .env("REGISTRY_AUTH_FILE", self.path("auth.json"))
            .env("TMPDIR", self.directory.path())
            .env("BUILDAH_ISOLATION", "chroot")
            .current_dir(self.directory.path());
        command
    }

    fn run(&self, mut command: Command) -> Outcome<Output> {
        let program = command.get_args().nth(2).unwrap_or_default().to_string_lossy().into_owned();
        std::fs::create_dir_all(self.path("home"))?;
        let output = command.stdin(Stdio::null()).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // What `timeout` returns when there is no such program.
        ensure(
            output.status.code() != Some(127),
            format_args!("{program} is not here: these tests need it; on Debian, apt-get install {program}"),
        )?;
        Ok(Output { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn successful(&self, command: Command) -> Outcome<String> {
        let told: Vec<String> = command.get_args().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
        let output = self.run(command)?;
        ensure(output.success, format_args!("{} failed:\n{}", told.join(" "), output.stderr))?;
        Ok(output.stdout.trim_end().to_owned())
    }
}
