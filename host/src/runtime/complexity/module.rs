//! What one core module costs to compile.

use wasmparser::{CompositeInnerType, DataKind, ElementItems, KnownCustom, Name, Payload, RecGroup, SubType, TypeRef};

use super::function::{self, Arity, Signatures};
use super::{Limit, Refusal, Totals};

/// A module that is being parsed.
#[derive(Default)]
pub(super) struct Module {
    types: Vec<Arity>,
    /// The types of the functions: those that are imported, then those of the module's own.
    functions: Vec<u32>,
    /// How many functions are imported.
    imported: usize,
    /// How many bodies came.
    bodies: usize,
}

impl Signatures for Module {
    fn of_type(&self, index: u32) -> Arity {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.types.get(index).copied().unwrap_or_default()
    }

    fn of_function(&self, index: u32) -> Arity {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.functions.get(index).map_or_else(Arity::default, |index| self.of_type(*index))
    }
}

impl Module {
    /// Counts a section, or a function.
    pub(super) fn payload(&mut self, payload: Payload<'_>, totals: &mut Totals) -> Result<(), Refusal> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    self.types_of(&group?, totals)?;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    totals.entries(1)?;
                    if let TypeRef::Func(index) | TypeRef::FuncExact(index) = import?.ty {
                        self.functions.push(index);
                    }
                }
                self.imported = self.functions.len();
            }
            Payload::FunctionSection(section) => {
                totals.functions += u64::from(section.count());
                Limit::Functions.check(totals.functions)?;
                for index in section {
                    self.functions.push(index?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    totals.entries(1)?;
                    totals.table_elements = totals.table_elements.saturating_add(table?.ty.initial);
                    Limit::TableElements.check(totals.table_elements)?;
                }
            }
            Payload::MemorySection(section) => totals.entries(section.count().into())?,
            Payload::TagSection(section) => totals.entries(section.count().into())?,
            Payload::GlobalSection(section) => {
                for global in section {
                    let bytes = global?.init_expr.get_binary_reader().bytes_remaining();
                    totals.entries(1 + bytes as u64 / 8)?;
                }
            }
            Payload::ExportSection(section) => totals.entries(section.count().into())?,
            Payload::ElementSection(section) => {
                for segment in section {
                    let count = match segment?.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    // An element takes a sixteenth of what a segment does.
                    totals.entries(1 + u64::from(count) / 16)?;
                }
            }
            Payload::DataSection(section) => {
                for segment in section {
                    let segment = segment?;
                    let expression = match segment.kind {
                        DataKind::Active { offset_expr, .. } => offset_expr.get_binary_reader().bytes_remaining(),
                        DataKind::Passive => 0,
                    };
                    totals.entries(1 + expression as u64 / 8)?;
                }
            }
            Payload::CodeSectionEntry(body) => {
                let declared = self.functions.get(self.imported + self.bodies).copied();
                self.bodies += 1;
                let signature = declared.map_or_else(Arity::default, |index| self.of_type(index));
                let cost = function::cost(&body, signature, self)?;
                totals.code += cost.operators;
                Limit::Code.check(totals.code)?;
                totals.variables += cost.variables;
                Limit::Variables.check(totals.variables)?;
                totals.branches = totals.branches.saturating_add(cost.branches.saturating_mul(cost.branches));
                Limit::Branches.check(totals.branches)?;
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    // A custom section that cannot be parsed is passed over by everybody.
                    for name in names.into_iter().map_while(Result::ok) {
                        if let Name::Function(names) = name {
                            totals.entries(names.count().into())?;
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn types_of(&mut self, group: &RecGroup, totals: &mut Totals) -> Result<(), Refusal> {
        for SubType { composite_type, .. } in group.types() {
            let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
            let arity = match &composite_type.inner {
                CompositeInnerType::Func(function) => {
                    Arity { params: count(function.params().len()), results: count(function.results().len()) }
                }
                CompositeInnerType::Struct(fields) => Arity { params: count(fields.fields.len()), results: 0 },
                CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => Arity::default(),
            };
            totals.entries(1 + (u64::from(arity.params) + u64::from(arity.results)) / 8)?;
            self.types.push(arity);
        }
        Ok(())
    }
}
