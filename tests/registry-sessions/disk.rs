//! A file system with no room left.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_conformance::content::content;
use wharf_conformance::images::{Blob, Image, MANIFEST};
use wharf_conformance::registry_client::{Client, ClientError};
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::Store;

use crate::check::{Outcome, ensure, same};
use crate::disk_truth;
use crate::ledger::Ledger;

const MIB: usize = 1 << 20;
const SIZE: usize = 64 * MIB;
const NAME: &str = "disk/app";

/// Returns whether this process may mount a file system.
pub(crate) fn may_mount() -> bool {
    Mounted::new().is_ok()
}

/// A small file system in memory, until it is dropped.
struct Mounted {
    directory: TempDir,
}

impl Mounted {
    fn new() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let size = format!("size={SIZE}");
        let mut mount = Command::new("mount");
        let output = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path()).output()?;
        ensure(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
        Ok(Mounted { directory })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.directory.path()).status();
    }
}

/// Fills the file system to the last byte.
fn fill(file: &Path) -> Outcome {
    let mut file = fs::File::create(file)?;
    for size in [MIB, 4096, 1] {
        let bytes = vec![7; size];
        while file.write_all(&bytes).is_ok() {}
    }
    Ok(())
}

pub(crate) fn session(_: bool) -> Outcome {
    let mounted = Mounted::new()?;
    let root = mounted.path("store");
    fs::create_dir(&root)?;
    let store = Store::at(&root)?;
    let registry = RegistryProcess::wharf(&store.configuration(&json!({})))?;
    crate::with_logs(on_full_disk(&mounted, &root, &registry), &[&registry])
}

fn on_full_disk(mounted: &Mounted, root: &Path, registry: &RegistryProcess) -> Outcome {
    let mut client = Client::new(registry.address());
    let mut ledger = Ledger::default();
    let mut images = Vec::new();
    for seed in 0..3 {
        let image = Image::new("amd64", seed, &[2 * MIB, 1000])?;
        client.push_image(NAME, &format!("v{seed}"), &image)?;
        image.blobs().for_each(|blob| ledger.blob(NAME, blob));
        ledger.tagged(NAME, &format!("v{seed}"), &image.manifest);
        images.push(image);
    }

    // Clients that push at once run it full in the middle of their uploads.
    let mut refused = 0;
    let mut pushed = 0;
    for seed in 100.. {
        let blob = Blob::from(content(seed, 5 * MIB));
        match client.push_blob(NAME, &blob) {
            Ok(()) => {
                ledger.blob(NAME, &blob);
                pushed += 1;
            }
            Err(error) => {
                clear("a push on a full disk", &error)?;
                refused += 1;
                if refused == 3 {
                    break;
                }
            }
        }
        ensure(pushed * 5 * MIB <= SIZE, "more was acknowledged than there is room for")?;
    }
    ledger.check(&mut client)?;

    // Without room for a single file more: tags are moved, manifests and blobs pushed, uploads begun.
    let filler = mounted.path("filler");
    fill(&filler)?;
    let fresh = Blob::from(content(1000, 300));
    let new = Image::of("amd64", images[0].configuration.clone(), vec![images[1].layers[0].clone()]);
    for round in 0..20 {
        let error = client.push_blob(NAME, &fresh).err().ok_or("a blob was pushed onto a full disk")?;
        clear("a push on a full disk", &error)?;
        // Mounting and moving tags take little room, but some: whatever is answered has to be true.
        let tag = format!("v{}", round % 3);
        ledger.asks(NAME, &tag, &images[(round + 1) % 3].manifest);
        match client.push_manifest(NAME, &tag, MANIFEST, &images[(round + 1) % 3].manifest) {
            Ok(()) => ledger.tagged(NAME, &tag, &images[(round + 1) % 3].manifest),
            Err(error) => clear("moving a tag on a full disk", &error)?,
        }
        let error = client.push_manifest(NAME, "new", MANIFEST, &new.manifest).err();
        clear("a manifest on a full disk", &error.ok_or("a manifest was pushed onto a full disk")?)?;
    }
    ledger.check(&mut client)?;
    let found = disk_truth::check(root)?;

    // The same process works again as soon as there is room.
    fs::remove_file(&filler)?;
    let uploads = root.join("docker/registry/v2/repositories").join(NAME).join("_uploads");
    if uploads.exists() {
        // What an operator's purge removes.
        fs::remove_dir_all(&uploads)?;
    }
    let began = Instant::now();
    client.push_blob(NAME, &fresh)?;
    client.push_image(NAME, "new", &new)?;
    ledger.blob(NAME, &fresh);
    ledger.tagged(NAME, "new", &new.manifest);
    ledger.check(&mut client)?;
    disk_truth::check(root)?;
    println!(
        "disk: {pushed} pushes filled it, then all were refused, and {:.1} s after there was room all went; {found}",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Fails unless an error is an answer of the registry that says in its form that the fault is the server's.
fn clear(what: &str, error: &ClientError) -> Outcome {
    let ClientError::Answered { response, .. } = error else {
        return Err(format!("{what} had no answer: {error}").into());
    };
    ensure((500..600).contains(&response.status), format_args!("{what}: {error}"))?;
    let told: Value = serde_json::from_slice(&response.body).map_err(|parsing| {
        format!("{what} was answered without an error in the registry's form ({parsing}): {error}")
    })?;
    let entry = &told["errors"][0];
    same(what, entry["code"].is_string() && entry["message"].is_string(), true)
}
