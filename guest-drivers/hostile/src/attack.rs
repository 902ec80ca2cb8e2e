//! What it does, and where.

use std::hint::black_box;
use std::time::Duration;

use serde::Deserialize;

use crate::bindings::wharf::storage::types::{Error, ErrorKind};
use crate::{error, files, handles, hoard, old};

/// The driver's parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What it does. Default: nothing.
    #[serde(default)]
    pub(crate) attack: Attack,
    /// In which operation. Default: in `stat`.
    #[serde(default)]
    pub(crate) at: Place,
    /// How much or how many, where that makes a difference: bytes, entries, handles. Default 1,000,000.
    #[serde(default = "million")]
    pub(crate) count: u64,
    /// `write`: not at once, but after so many bytes.
    #[serde(default)]
    pub(crate) after_bytes: u64,
    /// At which path. Default: `/attack`. Attacks in streams and in what is returned are at that one only.
    #[serde(default = "attack")]
    pub(crate) path: String,
    /// The path that the attacks on files use, or the name of the variable.
    #[serde(default)]
    pub(crate) target: String,
    /// Whether it declares that uploads can be continued.
    #[serde(default = "yes")]
    pub(crate) resumable: bool,
    /// The other path, of a link.
    #[serde(default)]
    pub(crate) link: String,
}

fn attack() -> String {
    crate::ATTACK.to_owned()
}

fn yes() -> bool {
    true
}

fn million() -> u64 {
    1_000_000
}

/// Where it attacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    Open,
    GetContent,
    PutContent,
    Reader,
    /// In the stream of a reader or a listing.
    Stream,
    Writer,
    Write,
    Close,
    Commit,
    Cancel,
    /// Where an upload is destroyed.
    Destructor,
    #[default]
    Stat,
    List,
    Walk,
    Move,
    Delete,
    DeleteFiles,
    RedirectUrl,
    Uploads,
}

/// What it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Attack {
    /// Nothing.
    #[default]
    None,
    /// Burns a processor for ever.
    Spin,
    /// Burns a processor for ever, with calls of the host in between.
    SpinCalling,
    /// Burns a processor for ever, and gives its turn away in between.
    SpinYielding,
    /// The same, by returning from its callback.
    SpinReturning,
    /// Burns a processor for ever, and asks in between whether something has happened.
    SpinPolling,
    /// Burns a processor for ever, and refuses and takes calls by turns.
    SpinBackpressure,
    /// Burns a processor for ever, and waits for no time in between.
    SpinWaiting,
    /// Fills `count` bytes of memory, over and over: by an instruction that nobody can interrupt.
    SpinFilling,
    /// Asks for `count` random bytes, over and over.
    SpinRandom,
    /// Waits for ever.
    Sleep,
    /// Waits for ever, in a call that blocks the whole instance.
    SleepBlocking,
    /// Traps.
    Trap,
    /// Exits the process that it is not.
    Exit,
    /// Calls itself for ever.
    Recurse,
    /// Takes `count` bytes of memory, 64 KiB at a time.
    GrowSmall,
    /// Takes `count` bytes of memory at once.
    GrowLarge,
    /// Returns a content of `count` bytes.
    HugeContent,
    /// Returns a text of `count` bytes.
    HugeText,
    /// Returns a text that would forge a header, and drive a terminal.
    ControlText,
    /// Returns an error whose message is of `count` bytes.
    HugeError,
    /// Returns an error whose message is `target`.
    ErrorText,
    /// Says that the store asks for so many milliseconds of rest as there can be.
    Throttle,
    /// Returns the address `target`.
    Address,
    /// Answers for a path outside.
    OtherPath,
    /// Tells a time that does not exist.
    ImpossibleTime,
    /// Writes `count` bytes to its log.
    FloodLog,
    /// Asks for `count` random bytes.
    HugeRandom,
    /// Asks for `count` random bytes by version 0.2.
    OldRandom,

    /// Streams: `count` entries at once.
    ManyEntries,
    /// Streams: entries, or bytes, without end.
    Endless,
    /// Streams: `count` bytes, one at a time.
    ByteByByte,
    /// Streams: an entry with a path that leads outside.
    EscapingEntry,
    /// Streams: nothing, again and again.
    EmptyWrites,
    /// Streams: dropped at once.
    DropStream,
    /// Streams: well until its end, and then nobody says how it ended.
    SilentFuture,
    /// Streams: keeps its end and never writes to it.
    LeaveStream,
    /// Streams: some bytes, then it spins.
    SpinBetween,
    /// Streams: some bytes, then it traps.
    TrapBetween,

    /// Opens `count` streams and keeps them.
    LeakStreams,
    /// Opens the directory `count` times and keeps it.
    LeakFiles,
    /// Begins `count` waits and keeps them.
    LeakTasks,
    /// Drops a handle that it has dropped before.
    DropTwice,
    /// Uses a handle that it never had.
    ForgeHandle,

    /// Streams: `count` entries, all the same bytes of its memory, each of as many as `after_bytes` says.
    AliasEntries,
    /// Opens `count` streams of the directory and reads none.
    HoardDirectories,
    /// Opens `target`, `count` times at once.
    HoardOpens,
    /// Asks for `count` paths of a megabyte, behind many openings of `target`.
    HoardPaths,
    /// Begins `count` calls about `target` at once.
    HoardCalls,
    /// Begins to read the file `target`, `count` times.
    HoardReads,
    /// Begins to write the file `target`, `count` times.
    HoardWrites,
    /// Begins to append to the file `target`, `count` times.
    HoardAppends,
    /// Cancels a copy on the wrong end of a stream, in the way `count`.
    CancelWrongEnd,
    /// Writes nothing to a stream, `count` times.
    WriteNothing,

    /// Reads the file `target`.
    ReadFile,
    /// Writes the file `target`.
    WriteFile,
    /// Makes a symbolic link at `link` to `target`, and reads through it.
    SymbolicLink,
    /// Makes a hard link at `link` to `target`, and reads it.
    HardLink,
    /// Renames `target` to `link`.
    Rename,
    /// Lists the directory `target`.
    ListDirectory,
    /// Reads the environment variable `target`.
    ReadVariable,
    /// Connects to the address `target`.
    Connect,
    /// Looks the name `target` up.
    LookUp,
}

impl Parameters {
    /// Attacks. Returns if the attack fails or ends, with what it got as an error of the kind `conflict`.
    pub(crate) async fn strike(&self) -> Result<(), Error> {
        let got = match self.attack {
            Attack::Spin => spin(),
            Attack::SpinCalling => loop {
                black_box(std::time::Instant::now());
            },
            Attack::SpinYielding => loop {
                wit_bindgen::yield_blocking();
            },
            Attack::SpinReturning => loop {
                wit_bindgen::yield_async().await;
            },
            Attack::SpinPolling => handles::poll_for_ever(),
            Attack::SpinBackpressure => loop {
                wit_bindgen::backpressure_inc();
                wit_bindgen::backpressure_dec();
            },
            Attack::SpinWaiting => loop {
                wasip3::clocks::monotonic_clock::wait_for(0).await;
            },
            Attack::SpinFilling => {
                let mut memory = vec![1_u8; self.count as usize];
                loop {
                    memory.fill(black_box(2));
                    black_box(&memory);
                }
            }
            Attack::SpinRandom => loop {
                black_box(wasip3::random::random::get_random_bytes(self.count));
            },
            Attack::Sleep => std::future::pending().await,
            Attack::SleepBlocking => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Attack::Trap => panic!("the attack that the parameters asked for"),
            Attack::Exit => std::process::exit(0),
            Attack::Recurse => format!("{}", recurse(0)),
            Attack::GrowSmall => grow(self.count as usize, 64 * 1024),
            Attack::GrowLarge => grow(self.count as usize, self.count as usize),
            Attack::HugeError => return Err(error(ErrorKind::Other, "\u{1b}[2J".repeat(self.count as usize / 4))),
            Attack::ErrorText => return Err(error(ErrorKind::Other, self.target.clone())),
            Attack::Throttle => return Err(error(ErrorKind::Throttled(Some(u64::MAX)), "come back later")),
            Attack::FloodLog => flood(self.count),
            Attack::HugeRandom => {
                let bytes = wasip3::random::random::get_random_bytes(self.count);
                format!("{} random bytes", bytes.len())
            }
            Attack::OldRandom => format!("{} random bytes", old::random_bytes(self.count)),
            Attack::LeakStreams => handles::leak_streams(self.count),
            Attack::LeakFiles => handles::leak_files(self.count).await,
            Attack::LeakTasks => handles::leak_tasks(self.count).await,
            Attack::DropTwice => handles::drop_twice(),
            Attack::ForgeHandle => handles::forge().await,
            Attack::HoardDirectories => hoard::directories(self.count).await,
            Attack::HoardOpens => hoard::opens(&self.target, self.count).await,
            Attack::HoardPaths => hoard::paths(&self.target, self.count).await,
            Attack::HoardCalls => hoard::calls(&self.target, self.count).await,
            Attack::HoardReads => hoard::reads(&self.target, self.count).await,
            Attack::HoardWrites => hoard::writes(&self.target, self.count, false).await,
            Attack::HoardAppends => hoard::writes(&self.target, self.count, true).await,
            Attack::CancelWrongEnd => hoard::cancel_the_wrong_end(self.count),
            Attack::WriteNothing => hoard::write_nothing(self.count),
            Attack::ReadFile => files::read(&self.target)?,
            Attack::WriteFile => files::write(&self.target)?,
            Attack::SymbolicLink => files::symbolic_link(&self.target, &self.link).await?,
            Attack::HardLink => files::hard_link(&self.target, &self.link)?,
            Attack::Rename => files::rename(&self.target, &self.link)?,
            Attack::ListDirectory => files::list(&self.target)?,
            Attack::ReadVariable => match std::env::var(&self.target) {
                Ok(value) => value,
                Err(_) => return Err(error(ErrorKind::AccessDenied, "there is no such variable")),
            },
            Attack::Connect => files::connect(&self.target)?,
            Attack::LookUp => files::look_up(&self.target)?,
            // What is returned is the attack.
            _ => return Ok(()),
        };
        Err(error(ErrorKind::Conflict, format!("got {got}")))
    }
}

/// Burns a processor for ever.
pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

#[allow(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    // Something on the stack, and something after the call, or it would become a loop.
    let page = black_box([depth; 64]);
    recurse(black_box(depth + 1)) + page[depth as usize % 64]
}

fn grow(bytes: usize, step: usize) -> String {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    while hoard.len() * step < bytes {
        // Ones, since memory that is never written may never be there.
        hoard.push(vec![1; step]);
        black_box(&hoard);
    }
    format!("{} bytes of memory", hoard.len() * step)
}

fn flood(bytes: u64) -> String {
    let line = "the same line again; ".repeat(50);
    let lines = bytes / line.len() as u64;
    for _ in 0..lines {
        eprintln!("{line}");
    }
    format!("{lines} lines written")
}
