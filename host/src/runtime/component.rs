//! A component before it is opened: loaded, checked, described.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use wasmtime::component::types::ComponentItem;

use super::bindings::StorageDriverComponentPre;
use super::bindings::exports::wharf::storage::driver as wit;
use super::ceiling::{Stretch, limit_behind};
use super::compiler::Turn;
use super::complexity;
use super::convert::excerpt;
use super::cpu_time::Budget;
use super::engine::{Runtime, places, too_many};
use super::guests::{Conduct, Guest};
use super::log::LogBudget;
use super::proposals;
use super::source;
use super::state::{Sandbox, Share, State};
use super::{Grants, Limits};
use crate::contract::{Error, ErrorKind, Result, is_printable, printable};

/// The interface that a driver exports, without its version.
const DRIVER: &str = "wharf:storage/driver";

/// The version of the contract that this host speaks.
pub const CONTRACT_VERSION: &str = "0.2.0";

/// What there is of outgoing HTTP; a later patch of the same is as good.
const OUTGOING_HTTP: [&str; 2] = ["wasi:http/client@0.3.0", "wasi:http/types@0.3.0"];

/// A component that was loaded and checked. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    pre: StorageDriverComponentPre<State>,
    /// How many places of the pool an instance takes.
    places: u32,
    description: Description,
    imports: Vec<Import>,
    contract: String,
    sha256: String,
    size: u64,
    origin: String,
    conduct: Arc<Conduct>,
}

/// What a driver says of itself, before it is opened.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// What kind of store it drives.
    pub name: String,
    /// The driver's own version.
    pub version: String,
    /// How many instances may serve one opened driver.
    pub instances: Instances,
}

/// How many instances of a component may serve one opened driver at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Instances {
    /// Exactly one: what it stores lives in its own memory, and is lost with it.
    One,
    /// Any number, side by side: what it stores lives outside.
    Many,
    /// One at a time: what it stores lives outside, and an instance beside it would damage it. One that died is replaced when
    /// it is gone, and a second opening of the driver is refused.
    Exclusive,
}

/// An interface that a component imports.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Import {
    /// Its full name, for instance `wasi:filesystem/types@0.3.0`.
    pub name: String,
    /// How it is answered.
    pub access: Access,
}

/// How an import is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Always there, and reaches nothing outside the sandbox.
    Harmless,
    /// There, and reaches the directories that are granted: none by default.
    Directories,
    /// There, and reaches the hosts that are granted: a component that imports it is not opened without any.
    Http,
    /// There, and refuses every call.
    Denied,
    /// Not there: a component that imports it is not loaded.
    Refused,
}

impl Import {
    fn new(name: &str) -> Self {
        let interface = name.split('@').next().unwrap_or(name);
        let package = interface.split('/').next().unwrap_or(interface);
        let access = match package {
            "wasi:cli" | "wasi:clocks" | "wasi:io" | "wasi:random" | "wharf:storage" => Access::Harmless,
            "wasi:filesystem" => Access::Directories,
            "wasi:sockets" => Access::Denied,
            "wasi:http" if OUTGOING_HTTP.iter().any(|offered| is_compatible(name, offered)) => Access::Http,
            _ => Access::Refused,
        };
        // A name can quote an address, in which may stand what a terminal must not be shown.
        Import { name: printable(name).into_owned(), access }
    }
}

/// Whether an interface that is imported is one that is there, of the same version or of one that is compatible by its number, as
/// the linker takes them: what it needs beyond that is found missing when it is linked.
fn is_compatible(wanted: &str, offered: &str) -> bool {
    let parts = |name: &str| -> Option<(String, [u64; 3])> {
        let (interface, version) = name.split_once('@')?;
        let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
        let numbers = [numbers.next()??, numbers.next()??, numbers.next()??];
        Some((interface.to_owned(), numbers)).filter(|_| version.split('.').count() == 3)
    };
    let (Some((wanted, [major, minor, _])), Some((offered, [of_major, of_minor, _]))) = (parts(wanted), parts(offered))
    else {
        return wanted == offered;
    };
    wanted == offered && major == of_major && (major > 0 || minor == of_minor)
}

impl Component {
    /// Reads a file and [loads](Component::load_bytes) it. With `sha256`, 64 hexadecimal digits, only if that is the
    /// file's: nothing of another one is compiled or run.
    ///
    /// # Errors
    ///
    /// As [`load_bytes`](Component::load_bytes); also if the file cannot be read, is no regular file, has more than 64 MiB,
    /// or is not the one that was pinned. No more than that is read, whatever the name leads to.
    pub async fn load_file(runtime: &Runtime, file: &Path, sha256: Option<&str>, limits: &Limits) -> Result<Self> {
        let origin = file.display().to_string();
        let turn = runtime.compiler.turn().await;
        let path = file.to_owned();
        let read = tokio::task::spawn_blocking(move || source::read(&path));
        let bytes = read.await.map_err(std::io::Error::from).flatten().map_err(|error| {
            Error::new(ErrorKind::Other, format!("{origin} cannot be read: {error}")).with_source(error)
        })?;
        if let Some(pinned) = sha256 {
            let found = sha256_hex(&bytes);
            if !found.eq_ignore_ascii_case(pinned) {
                let message = format!(
                    "{origin} is not the file that was pinned: its SHA-256 is {found}, and the configuration says \
                     `sha256: {pinned}`; put the right file there, or correct the pin"
                );
                return Err(Error::new(ErrorKind::Other, message));
            }
        }
        Self::load(runtime, turn, bytes, &origin, limits).await
    }

    /// Checks a component, compiles it, and asks it what it is, within `limits`. `origin` names it in errors.
    ///
    /// Nothing of it runs before it is known to be a component that exports the contract in a version that this host
    /// speaks, and to import nothing that does not exist here. Compiling takes about a tenth of a second for 400 KB, on
    /// threads of its own that the rest of the process goes before; one component is compiled at a time. Before, it is
    /// measured what that would take: some files of 50 KB would take half a gigabyte, and are refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`], in words that name the cause: not WebAssembly, a core module, damaged, too much to compile
    /// (which measure, how much there is of it, and how much may be), another world,
    /// another version of the contract, an import that is refused, a trap in `describe`;
    /// [`ErrorKind::LimitExceeded`] if `describe` reaches one of `limits`.
    pub async fn load_bytes(runtime: &Runtime, bytes: Vec<u8>, origin: &str, limits: &Limits) -> Result<Self> {
        let turn = runtime.compiler.turn().await;
        Self::load(runtime, turn, bytes, origin, limits).await
    }

    async fn load(runtime: &Runtime, turn: Turn, bytes: Vec<u8>, origin: &str, limits: &Limits) -> Result<Self> {
        // Reasons quote names that the component chose.
        let refuse = |why: String| Error::new(ErrorKind::Other, format!("{origin} {}", excerpt(why)));
        check_header(&bytes).map_err(refuse)?;
        let size = bytes.len() as u64;
        let engine = runtime.engine.clone();
        let refused = |why: String| Error::new(ErrorKind::Other, why);
        let compile = move || {
            complexity::check(&bytes).map_err(|refusal| refused(refusal.to_string()))?;
            let compiled =
                wasmtime::component::Component::new(&engine, &bytes).map_err(|error| match too_many(&error) {
                    Some((limit, why)) => Error::new(ErrorKind::LimitExceeded { limit }, why),
                    None => refused(not_compiled(&bytes, &error)),
                })?;
            Ok((sha256_hex(&bytes), compiled))
        };
        let (sha256, compiled) = turn
            .run(compile)
            .await
            .unwrap_or_else(|error| Err(refused(format!("could not be compiled: {error}"))))
            .map_err(|error| {
                let why = excerpt(error.message().to_owned());
                Error::new(error.kind().clone(), format!("{origin} {why}"))
            })?;
        let places = places(&compiled);

        let ty = compiled.component_type();
        let exports: Vec<String> = ty.exports(&runtime.engine).map(|(name, _)| name.to_owned()).collect();
        let contract = check_exports(&exports).map_err(refuse)?;
        let imports: BTreeSet<String> = ty
            .imports(&runtime.engine)
            .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
            .map(|(name, _)| name.to_owned())
            .collect();
        let imports: Vec<Import> = imports.iter().map(|name| Import::new(name)).collect();
        for import in &imports {
            check_import(import).map_err(refuse)?;
        }
        let pre = runtime
            .linker
            .instantiate_pre(&compiled)
            .map_err(|error| refuse(format!("imports what does not exist here: {}", one_line(&error))))?;
        let pre = StorageDriverComponentPre::new(pre).map_err(|error| {
            refuse(format!(
                "says that it is a driver of contract {contract}, but its shape is another: {}",
                one_line(&error)
            ))
        })?;
        let conduct = Arc::default();
        let description = describe(runtime, &pre, places, limits, &conduct).await.map_err(|error| {
            let why = excerpt(error.message().to_owned());
            Error::new(error.kind().clone(), format!("{origin} does not say what it is: {why}"))
        })?;
        let (runtime, origin) = (runtime.clone(), origin.to_owned());
        let inner = Inner { runtime, pre, places, description, imports, contract, sha256, size, origin, conduct };
        Ok(Component { inner: Arc::new(inner) })
    }

    /// Returns what the driver says of itself.
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// Returns the interfaces that it imports, by name.
    pub fn imports(&self) -> &[Import] {
        &self.inner.imports
    }

    /// Returns the version of the contract that it exports, for instance `0.2.0`.
    pub fn contract_version(&self) -> &str {
        &self.inner.contract
    }

    /// Returns the SHA-256 of the file, as 64 hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.inner.sha256
    }

    /// Returns the size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// Returns where it came from, for people.
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// Returns how its instances behaved lately.
    pub(super) fn conduct(&self) -> &Arc<Conduct> {
        &self.inner.conduct
    }

    pub(super) fn pre(&self) -> &StorageDriverComponentPre<State> {
        &self.inner.pre
    }

    pub(super) fn places(&self) -> u32 {
        self.inner.places
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("origin", &self.inner.origin)
            .field("description", &self.inner.description)
            .finish_non_exhaustive()
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says why a file that is no more complex than others was not compiled.
fn not_compiled(bytes: &[u8], error: &wasmtime::Error) -> String {
    match &proposals::needed(bytes)[..] {
        [] => format!("is damaged, cut short, or uses what this host does not support: {}", one_line(error)),
        needed => format!(
            "uses proposals to WebAssembly that this host has switched off: {}; build it without them",
            needed.join(", ")
        ),
    }
}

/// The first eight bytes tell a component from everything else.
fn check_header(bytes: &[u8]) -> std::result::Result<(), String> {
    match bytes {
        [] => Err("is empty".to_owned()),
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            Err("is a core WebAssembly module, not a component; build it for \
             the target wasm32-wasip2, which makes components"
                .to_owned())
        }
        [b'\0', b'a', b's', b'm', _, _, _, _, ..] => {
            Err("is WebAssembly of a version that this host does not know".to_owned())
        }
        _ if b"\0asm".starts_with(&bytes[..bytes.len().min(4)]) => Err("is cut short".to_owned()),
        _ => Err("is not WebAssembly".to_owned()),
    }
}

/// Returns the version of the contract that is exported.
fn check_exports(exports: &[String]) -> std::result::Result<String, String> {
    let versions: Vec<&str> = exports.iter().filter_map(|name| name.strip_prefix(DRIVER)?.strip_prefix('@')).collect();
    if versions.is_empty() {
        let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(format!(
            "is a component, but not a storage driver: it exports {found}, and a driver exports \
             {DRIVER}@{CONTRACT_VERSION}"
        ));
    }
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    match versions.iter().find(|version| minor(version) == minor(CONTRACT_VERSION)) {
        Some(version) => Ok((*version).to_owned()),
        None => Err(format!(
            "is a driver of contract {}, and this host speaks {CONTRACT_VERSION}: {}",
            versions.join(", "),
            "use a host of that version, or build the driver with an SDK of this one's"
        )),
    }
}

fn check_import(import: &Import) -> std::result::Result<(), String> {
    match import.access {
        Access::Refused if import.name.starts_with("wasi:http/") => Err(format!(
            "imports {}, which this host does not have; outgoing HTTP is {} here",
            import.name,
            OUTGOING_HTTP.join(" and ")
        )),
        Access::Refused => {
            Err(format!("imports {}, which this host does not have and no configuration grants", import.name))
        }
        _ => Ok(()),
    }
}

/// Asks an instance without any grant what it is.
async fn describe(
    runtime: &Runtime,
    pre: &StorageDriverComponentPre<State>,
    places: u32,
    limits: &Limits,
    conduct: &Arc<Conduct>,
) -> Result<Description> {
    let (grants, log) = (Grants::default(), LogBudget::new("describe".into(), limits.log.as_u64()));
    let share = Share::new(limits, runtime.share(places))?;
    let sandbox = Sandbox {
        engine: &runtime.engine,
        grants: &grants,
        limits,
        counters: &runtime.counters,
        log: &log,
        http: None,
        share: &share,
    };
    let room = runtime.instance(places)?;
    let (stretch, ends) = (Stretch::default(), Arc::new(AtomicBool::new(false)));
    let mut store = sandbox.store(Arc::clone(&ends), stretch.clone())?;
    let pre = pre.clone();
    let (mut answer, answered) = oneshot::channel();
    let counted = stretch.clone();
    let running = async move {
        let asking = counted.around(async {
            let bindings = pre.instantiate_async(&mut store).await?;
            store
                .run_concurrent(async |accessor| {
                    let driver = bindings.wharf_storage_driver();
                    let first = driver.call_describe(accessor).await?;
                    Ok::<_, wasmtime::Error>((first, driver.call_describe(accessor).await?))
                })
                .await?
        });
        let described = tokio::select! {
            described = asking => described,
            // Nobody waits for it any more.
            () = answer.closed() => return,
        };
        // Whoever has the answer may need the room.
        drop((store, room));
        let _ = answer.send(described);
    };
    let guest = Guest {
        running: Box::pin(running),
        budget: Arc::new(Budget::new(limits.cpu_share)),
        conduct: Arc::clone(conduct),
        stretch,
        threads: Arc::clone(&runtime.guests),
        serves: Arc::default(),
        ends: Arc::clone(&ends),
    };
    guest.spawn();
    let described = tokio::time::timeout(limits.open, answered).await;
    // One that still runs ends at the next tick.
    ends.store(true, Ordering::Relaxed);
    let described = described
        .map_err(|_| {
            let message = format!("`describe` did not answer within {:?}", limits.open);
            Error::new(ErrorKind::LimitExceeded { limit: "open" }, message)
        })?
        .map_err(|_| Error::new(ErrorKind::Other, "its task ended"))?
        .map_err(|error| {
            let kind = limit_behind(&error).map_or(ErrorKind::Other, |limit| ErrorKind::LimitExceeded { limit });
            Error::new(kind, one_line(&error))
        })?;
    let (wit::Description { name, version, instances }, again) = described;
    if (&again.name, &again.version, again.instances) != (&name, &version, instances) {
        return Err(Error::new(ErrorKind::Other, "`describe` does not answer the same at every call"));
    }
    if name.is_empty()
        || name.len() > 64
        || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        let message = "its name is not 1 to 64 lower-case letters, digits and '-'";
        return Err(Error::new(ErrorKind::Other, message));
    }
    let instances = match instances {
        wit::Instances::One => Instances::One,
        wit::Instances::Many => Instances::Many,
        wit::Instances::Exclusive => Instances::Exclusive,
    };
    let version = version.chars().filter(|character| is_printable(*character)).take(64).collect();
    Ok(Description { name, version, instances })
}

/// An error of wasmtime's without its stack, in one line.
fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string().replace('\n', " ")).collect();
    let mut line = causes.join(": ");
    if line.len() > 500 {
        line.truncate(line.floor_char_boundary(500));
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outgoing_http_is_there_in_every_patch_of_its_version_and_in_no_other() {
        for (name, access) in [
            ("wasi:http/client@0.3.0", Access::Http),
            ("wasi:http/types@0.3.0", Access::Http),
            ("wasi:http/types@0.3.1", Access::Http),
            ("wasi:http/client@0.3.27", Access::Http),
            ("wasi:http/types@0.4.0", Access::Refused),
            ("wasi:http/types@0.2.0", Access::Refused),
            ("wasi:http/types@1.3.0", Access::Refused),
            ("wasi:http/types@0.3.0-rc-2026-01-01", Access::Refused),
            ("wasi:http/types@0.3", Access::Refused),
            ("wasi:http/types@0.3.0.1", Access::Refused),
            ("wasi:http/types", Access::Refused),
            ("wasi:http/handler@0.3.1", Access::Refused),
        ] {
            assert_eq!(Import::new(name).access, access, "{name}");
        }
    }
}
