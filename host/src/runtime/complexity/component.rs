//! What the sections of a component cost to validate and to lay out: its types and its instances.
//!
//! The size of a type is that of what it is written out as, since that is what comparing it to another may take. A type that
//! a name leads to counts as the largest that was exported under that name by then: more than it is, if anything.

use std::collections::HashMap;

use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentAlias, ComponentDefinedType, ComponentExport, ComponentExternalKind,
    ComponentImport, ComponentInstance, ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentValType,
    CoreType, Instance, Payload, TypeBounds,
};

use super::{Limit, Refusal};

/// What something takes.
#[derive(Clone, Copy, Default)]
struct Extent {
    /// Types, written out.
    size: u64,
    /// For a component: instances that its instantiation makes.
    instances: u64,
    /// For a component: entries that its instantiation goes through.
    entries: u64,
}

impl Extent {
    fn of_size(size: u64) -> Self {
        Extent { size, ..Extent::default() }
    }

    fn max(self, other: Self) -> Self {
        Extent {
            size: self.size.max(other.size),
            instances: self.instances.max(other.instances),
            entries: self.entries.max(other.entries),
        }
    }
}

/// A component, or a type of a component or an instance, that is being parsed: what its indices stand for, and what it
/// takes so far.
#[derive(Default)]
struct Scope {
    types: Vec<Extent>,
    functions: Vec<Extent>,
    instances: Vec<Extent>,
    components: Vec<Extent>,
    values: Vec<Extent>,
    total: Extent,
}

impl Scope {
    /// Returns what the indices of a kind stand for; none for core modules, whose types are not looked into.
    fn space(&mut self, kind: ComponentExternalKind) -> Option<&mut Vec<Extent>> {
        match kind {
            ComponentExternalKind::Type => Some(&mut self.types),
            ComponentExternalKind::Func => Some(&mut self.functions),
            ComponentExternalKind::Instance => Some(&mut self.instances),
            ComponentExternalKind::Component => Some(&mut self.components),
            ComponentExternalKind::Value => Some(&mut self.values),
            ComponentExternalKind::Module => None,
        }
    }

    fn get(&mut self, kind: ComponentExternalKind, index: u32) -> Extent {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.space(kind).and_then(|space| space.get(index).copied()).unwrap_or(Extent::of_size(1))
    }

    fn push(&mut self, kind: ComponentExternalKind, extent: Extent) {
        if let Some(space) = self.space(kind) {
            space.push(extent);
        }
    }
}

/// The components and types around what is being parsed, the innermost last.
#[derive(Default)]
pub(super) struct Scopes<'a> {
    stack: Vec<Scope>,
    /// The largest that was exported under each name.
    named: HashMap<(&'static str, &'a str), Extent>,
    /// Types that are compared or copied.
    work: u64,
    /// What the innermost scope is, when there is none: a module at the top.
    none: Scope,
}

impl<'a> Scopes<'a> {
    fn current(&mut self) -> &mut Scope {
        self.stack.last_mut().unwrap_or(&mut self.none)
    }

    /// A component, or a type of one, begins.
    pub(super) fn begin(&mut self) -> Result<(), Refusal> {
        self.stack.push(Scope::default());
        Limit::Depth.check(self.stack.len() as u64)
    }

    /// A component ends.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        let component = self.stack.pop().unwrap_or_default().total;
        let current = self.current();
        current.components.push(component);
        self.add(Extent { size: component.size, entries: 1, instances: 0 })
    }

    /// A module has ended.
    pub(super) fn module(&mut self) -> Result<(), Refusal> {
        self.add(Extent { size: 1, entries: 1, instances: 0 })
    }

    /// Adds to what the innermost scope takes.
    fn add(&mut self, more: Extent) -> Result<(), Refusal> {
        let total = &mut self.current().total;
        total.size = total.size.saturating_add(more.size);
        total.instances = total.instances.saturating_add(more.instances);
        total.entries = total.entries.saturating_add(more.entries);
        let Extent { size, instances, entries } = *total;
        Limit::TypeSize.check(size)?;
        Limit::Instances.check(instances)?;
        Limit::ComponentEntries.check(entries)
    }

    /// Counts a type, or what has one, as compared.
    fn compare(&mut self, size: u64) -> Result<(), Refusal> {
        self.work = self.work.saturating_add(size);
        Limit::TypeWork.check(self.work)
    }

    fn name(&mut self, kind: ComponentExternalKind, name: &'a str, extent: Extent) {
        let known = self.named.entry((kind.desc(), name)).or_default();
        *known = known.max(extent);
    }

    /// Counts a section of a component. `file` is the whole file.
    pub(super) fn payload(&mut self, payload: Payload<'a>, file: &'a [u8]) -> Result<(), Refusal> {
        match payload {
            Payload::ComponentTypeSection(section) => {
                // By hand: the parser's own reading of types recurses without bound.
                let range = section.range();
                let bytes = file.get(range.clone()).unwrap_or_default();
                let mut reader = BinaryReader::new(bytes, range.start);
                for _ in 0..reader.read_var_u32()? {
                    self.component_type(&mut reader)?;
                }
            }
            Payload::CoreTypeSection(section) => {
                for ty in section {
                    self.core_type(&ty?)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.import(&import?)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.export(&export?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias?)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.instance(&instance?)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    let (instances, given) = match instance? {
                        Instance::Instantiate { args, .. } => (1, args.len()),
                        Instance::FromExports(exports) => (0, exports.len()),
                    };
                    self.add(Extent { size: 0, instances, entries: 1 + given as u64 })?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.add(Extent { size: 0, instances: 0, entries: 1 })?;
                    if let CanonicalFunction::Lift { type_index, .. } = function? {
                        let lifted = self.current().get(ComponentExternalKind::Type, type_index);
                        self.current().functions.push(lifted);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a type and pushes what it takes.
    fn component_type(&mut self, reader: &mut BinaryReader<'a>) -> Result<(), Refusal> {
        let size = match reader.clone().read_u8()? {
            // A component's and an instance's type: declarations, which may be such types again.
            0x41 | 0x42 => {
                reader.read_u8()?;
                self.begin()?;
                for _ in 0..reader.read_var_u32()? {
                    self.declaration(reader)?;
                }
                self.stack.pop().unwrap_or_default().total.size.saturating_add(1)
            }
            _ => self.leaf(&reader.read::<ComponentType<'_>>()?),
        };
        Limit::TypeSize.check(size)?;
        self.current().types.push(Extent::of_size(size));
        self.add(Extent { size: 0, instances: 0, entries: 1 })
    }

    /// Reads a declaration in a component's or an instance's type.
    fn declaration(&mut self, reader: &mut BinaryReader<'a>) -> Result<(), Refusal> {
        match reader.clone().read_u8()? {
            0x01 => {
                reader.read_u8()?;
                return self.component_type(reader);
            }
            0x00 => {
                reader.read_u8()?;
                return self.core_type(&reader.read()?);
            }
            0x02 => {
                reader.read_u8()?;
                return self.alias(&reader.read()?);
            }
            0x03 => {
                reader.read_u8()?;
                return self.import(&reader.read()?);
            }
            _ => {}
        }
        // An export, or what is not known: the parser says what it is.
        match reader.read()? {
            wasmparser::InstanceTypeDeclaration::Export { name, ty } => self.declare(name.name, ty),
            _ => Ok(()),
        }
    }

    /// Returns the size of a type that holds no declarations.
    fn leaf(&mut self, ty: &ComponentType<'_>) -> u64 {
        let scope = self.current();
        let mut of = |ty: &ComponentValType| match ty {
            ComponentValType::Primitive(_) => 1,
            ComponentValType::Type(index) => scope.get(ComponentExternalKind::Type, *index).size,
        };
        let sum = |sizes: &mut dyn Iterator<Item = u64>| sizes.fold(1, u64::saturating_add);
        match ty {
            ComponentType::Func(function) => {
                sum(&mut function.params.iter().map(|(_, ty)| ty).chain(&function.result).map(&mut of))
            }
            ComponentType::Defined(defined) => match defined {
                ComponentDefinedType::Record(fields) => sum(&mut fields.iter().map(|(_, ty)| of(ty))),
                ComponentDefinedType::Variant(cases) => {
                    sum(&mut cases.iter().map(|case| case.ty.as_ref().map_or(1, &mut of)))
                }
                ComponentDefinedType::Tuple(types) => sum(&mut types.iter().map(&mut of)),
                ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => 1 + names.len() as u64,
                ComponentDefinedType::List(ty)
                | ComponentDefinedType::Option(ty)
                | ComponentDefinedType::FixedLengthList(ty, _) => of(ty).saturating_add(1),
                ComponentDefinedType::Map(key, value) => sum(&mut [key, value].into_iter().map(&mut of)),
                ComponentDefinedType::Result { ok, err } => sum(&mut ok.iter().chain(err).map(&mut of)),
                ComponentDefinedType::Future(ty) | ComponentDefinedType::Stream(ty) => sum(&mut ty.iter().map(&mut of)),
                ComponentDefinedType::Primitive(_) | ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => {
                    1
                }
            },
            ComponentType::Component(_) | ComponentType::Instance(_) | ComponentType::Resource { .. } => 1,
        }
    }

    /// Counts a type of a core module; its parts are bytes of the file, and hold one another by number.
    fn core_type(&mut self, ty: &CoreType<'_>) -> Result<(), Refusal> {
        let entries = match ty {
            CoreType::Rec(group) => group.types().len(),
            CoreType::Module(declarations) => declarations.len(),
        };
        self.add(Extent { size: 0, instances: 0, entries: 1 + entries as u64 })
    }

    /// Returns what a type reference stands for.
    fn referred(&mut self, ty: ComponentTypeRef) -> Extent {
        let scope = self.current();
        match ty {
            ComponentTypeRef::Func(index)
            | ComponentTypeRef::Instance(index)
            | ComponentTypeRef::Component(index)
            | ComponentTypeRef::Type(TypeBounds::Eq(index))
            | ComponentTypeRef::Value(ComponentValType::Type(index)) => scope.get(ComponentExternalKind::Type, index),
            ComponentTypeRef::Module(_)
            | ComponentTypeRef::Type(TypeBounds::SubResource)
            | ComponentTypeRef::Value(ComponentValType::Primitive(_)) => Extent::of_size(1),
        }
    }

    /// Something with a name and a type that is declared: it takes the size of that type, and has an index.
    fn declare(&mut self, name: &'a str, ty: ComponentTypeRef) -> Result<(), Refusal> {
        let extent = self.referred(ty);
        self.name(ty.kind(), name, extent);
        self.current().push(ty.kind(), extent);
        self.compare(extent.size)?;
        self.add(Extent { size: extent.size, instances: 0, entries: 1 })
    }

    fn import(&mut self, import: &ComponentImport<'a>) -> Result<(), Refusal> {
        self.declare(import.name.name, import.ty)
    }

    fn export(&mut self, export: &ComponentExport<'a>) -> Result<(), Refusal> {
        let mut extent = self.current().get(export.kind, export.index);
        if let Some(ty) = export.ty {
            extent = extent.max(self.referred(ty));
        }
        self.name(export.kind, export.name.name, extent);
        self.current().push(export.kind, extent);
        self.compare(extent.size)?;
        self.add(Extent { size: extent.size, instances: 0, entries: 1 })
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) -> Result<(), Refusal> {
        match *alias {
            ComponentAlias::InstanceExport { kind, name, .. } => {
                let extent = self.named.get(&(kind.desc(), name)).copied().unwrap_or(Extent::of_size(1));
                self.current().push(kind, extent);
            }
            ComponentAlias::Outer { kind, count, index } => {
                let kind = match kind {
                    ComponentOuterAliasKind::Type => Some(ComponentExternalKind::Type),
                    ComponentOuterAliasKind::Component => Some(ComponentExternalKind::Component),
                    ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::CoreType => None,
                };
                let outwards = usize::try_from(count).unwrap_or(usize::MAX).saturating_add(1);
                let outer = self.stack.len().checked_sub(outwards);
                if let (Some(kind), Some(outer)) = (kind, outer) {
                    let extent = self.stack[outer].get(kind, index);
                    self.current().push(kind, extent);
                }
            }
            ComponentAlias::CoreInstanceExport { .. } => {}
        }
        self.add(Extent { size: 0, instances: 0, entries: 1 })
    }

    fn instance(&mut self, instance: &ComponentInstance<'a>) -> Result<(), Refusal> {
        let made = match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                for argument in args {
                    let given = self.current().get(argument.kind, argument.index);
                    self.compare(given.size)?;
                }
                let component = self.current().get(ComponentExternalKind::Component, *component_index);
                // What it imports is compared with, and what it exports is copied.
                self.compare(component.size)?;
                self.add(Extent {
                    size: 0,
                    instances: component.instances.saturating_add(1),
                    entries: component.entries.saturating_add(1 + args.len() as u64),
                })?;
                component.size
            }
            ComponentInstance::FromExports(exports) => {
                let mut size = 1_u64;
                for export in exports {
                    let extent = self.current().get(export.kind, export.index);
                    self.name(export.kind, export.name.name, extent);
                    size = size.saturating_add(extent.size);
                }
                self.add(Extent { size: 0, instances: 0, entries: 1 + exports.len() as u64 })?;
                size
            }
        };
        Limit::TypeSize.check(made)?;
        self.current().instances.push(Extent::of_size(made));
        Ok(())
    }
}
