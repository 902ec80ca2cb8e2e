//! What a component costs to compile, measured while its bytes are parsed and before anything else looks at them.
//!
//! Validating and compiling cannot be interrupted, and take far more than a file's size suggests: 50 KB of locals and blocks
//! took 400 MB, 6 MB of tiny functions took a minute and 5 GB, 150 KB of loops one after another two minutes and a half, and 12
//! KB of types within types overflow the stack of whoever parses them by recursion. So each measure that such files need has a
//! limit, which every component of a known toolchain stays below: one whose 19 MB hold CPython has six tenths of each at most.
//! A file beyond a limit is refused, in words that name the limit, its value and what was found. Parsing takes time in
//! proportion to the file: about a second for 64 MiB.
//!
//! A file that is accepted can still cost much. The most that was found, by files made for each measure, is that of plain code:
//! eight million operators in long functions took 66 s of processor time and 550 MB, with two threads that compile; those of
//! all other measures took 14 s and 340 MB at most. CPython takes a minute. No figure here is a promise for every file.

mod component;
mod function;
mod module;

use wasmparser::{BinaryReaderError, Encoding, Parser, Payload};

use component::Scopes;
use module::Module;

/// A measure of a component, with the most that is accepted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Core modules in the file. Each costs a memory image of up to 1 MiB.
    Modules,
    /// Components in components, and types in types, one inside another.
    Depth,
    /// Instances that instantiating the component would make, of modules and components, each counted as often as the
    /// component that it stands in is instantiated. They are laid out when it is compiled: ten levels of ten instances are
    /// a few hundred bytes, and ten thousand million instances.
    Instances,
    /// Entries of component sections, each counted as often as the component that it stands in is instantiated.
    ComponentEntries,
    /// Types within one type, counted as often as they occur in it.
    TypeSize,
    /// Types that are compared or copied where something is imported, exported or given to an instance.
    TypeWork,
    /// Entries of module sections: types with their parameters, imports, exports, globals, elements, segments, names.
    ModuleEntries,
    /// Elements of all tables together. One table has at most 65,536.
    TableElements,
    /// Functions. Each costs some 5 KB and 50 us besides its code.
    Functions,
    /// Operators of one function; one that moves several values counts as several.
    FunctionCode,
    /// Blocks, loops and branches inside one another in one function.
    BlockDepth,
    /// Loops inside one another in one function. What the compiler does for each goes through those around it: a thousand
    /// take two seconds, and four thousand minutes.
    LoopDepth,
    /// Local variables of one function times its blocks: the compiler keeps a table of that size. Two million took six
    /// seconds of processor time.
    FunctionVariables,
    /// The same of all functions together.
    Variables,
    /// Operators of all functions.
    Code,
    /// The squares of the branches of each function, added up. The compiler goes through all blocks for each block: 50,000
    /// that do nothing took 12 seconds of processor time, and as many loops, which weigh more, 156.
    Branches,
}

impl Limit {
    /// Returns the most that is accepted.
    pub(super) const fn value(self) -> u64 {
        match self {
            Limit::Modules => 128,
            Limit::Depth => 32,
            Limit::Instances => 500,
            Limit::ComponentEntries => 30_000,
            Limit::TypeSize => 60_000,
            Limit::TypeWork => 1_000_000,
            Limit::ModuleEntries => 500_000,
            Limit::TableElements => 500_000,
            Limit::Functions => 50_000,
            Limit::FunctionCode => 300_000,
            Limit::BlockDepth => 4_000,
            Limit::LoopDepth => 100,
            Limit::FunctionVariables => 1_500_000,
            Limit::Variables => 12_000_000,
            Limit::Code => 8_000_000,
            Limit::Branches => 2_000_000_000,
        }
    }

    /// Returns what is counted, as the end of "it has 7 ...".
    pub(super) const fn what(self) -> &'static str {
        match self {
            Limit::Modules => "modules",
            Limit::Depth => "components or types inside one another",
            Limit::Instances => "instances of modules and components",
            Limit::ComponentEntries => "entries in the sections of components",
            Limit::TypeSize => "types within one type",
            Limit::TypeWork => "types to compare",
            Limit::ModuleEntries => "entries in the sections of modules",
            Limit::TableElements => "elements of tables",
            Limit::Functions => "functions",
            Limit::FunctionCode => "operators in one function",
            Limit::BlockDepth => "blocks inside one another in one function",
            Limit::LoopDepth => "loops inside one another in one function",
            Limit::Variables => "blocks times local variables in all functions",
            Limit::FunctionVariables => "blocks times local variables in one function",
            Limit::Code => "operators in all functions",
            Limit::Branches => "branches times branches in its functions",
        }
    }

    /// Fails if more was found.
    fn check(self, found: u64) -> Result<(), Refusal> {
        if found > self.value() { Err(Refusal::TooComplex { limit: self, found }) } else { Ok(()) }
    }
}

/// Why a component is not given to the compiler.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A limit was passed. More may follow what was found.
    TooComplex {
        /// Which.
        limit: Limit,
        /// What there was when it was passed.
        found: u64,
    },
    /// It cannot be parsed.
    Damaged(BinaryReaderError),
}

impl From<BinaryReaderError> for Refusal {
    fn from(error: BinaryReaderError) -> Self {
        Refusal::Damaged(error)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::TooComplex { limit, found } => write!(
                f,
                "takes too much to compile: it has {found} {what} or more, and at most {most} are accepted",
                what = limit.what(),
                most = limit.value()
            ),
            Refusal::Damaged(error) => {
                write!(f, "is damaged, cut short, or uses what this host does not support: {error}")
            }
        }
    }
}

/// Counts of the whole file.
#[derive(Default)]
struct Totals {
    modules: u64,
    module_entries: u64,
    table_elements: u64,
    functions: u64,
    code: u64,
    variables: u64,
    branches: u64,
}

impl Totals {
    /// Adds entries of a module's section.
    fn entries(&mut self, more: u64) -> Result<(), Refusal> {
        self.module_entries = self.module_entries.saturating_add(more);
        Limit::ModuleEntries.check(self.module_entries)
    }
}

/// Measures a component. Neither recurses nor holds more than the counts and the sizes of its types.
///
/// What it says of a file that is not valid is of no use, except that validating it is bounded too.
///
/// # Errors
///
/// The first limit that is passed, or the first byte that cannot be parsed.
pub(super) fn check(bytes: &[u8]) -> Result<(), Refusal> {
    let mut totals = Totals::default();
    let mut scopes = Scopes::default();
    let mut module: Option<Module> = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match (&payload, &mut module) {
            (Payload::Version { encoding: Encoding::Module, .. }, _) => {
                totals.modules += 1;
                Limit::Modules.check(totals.modules)?;
                module = Some(Module::default());
            }
            (Payload::Version { encoding: Encoding::Component, .. }, _) => scopes.begin()?,
            (Payload::End(_), Some(_)) => {
                module = None;
                scopes.module()?;
            }
            (Payload::End(_), None) => scopes.end()?,
            (_, Some(module)) => module.payload(payload, &mut totals)?,
            (_, None) => scopes.payload(payload, bytes)?,
        }
    }
    Ok(())
}
