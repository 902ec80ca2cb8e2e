//! What one function costs to compile.

use wasmparser::{BlockType, FunctionBody, Operator};

use super::{Limit, Refusal};

/// How many values go into something and come out of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Arity {
    pub(super) params: u32,
    pub(super) results: u32,
}

impl Arity {
    fn values(self) -> u64 {
        u64::from(self.params) + u64::from(self.results)
    }
}

/// What the operators of a function refer to.
pub(super) trait Signatures {
    /// Returns the signature of a type; an empty one if there is no such type.
    fn of_type(&self, index: u32) -> Arity;
    /// Returns the signature of a function; an empty one if there is no such function.
    fn of_function(&self, index: u32) -> Arity;
}

/// What a function costs.
pub(super) struct Cost {
    /// Operators: one that moves values from one block to another, or to and from a function, makes an instruction for each of
    /// them, and counts as so many.
    pub(super) operators: u64,
    /// Local variables times blocks.
    pub(super) variables: u64,
    /// What makes blocks, each by what it costs beside a plain one.
    pub(super) branches: u64,
}

/// Weights of these among a function's branches, relative to a plain block, from the measured cost of tens of thousands of each.
/// Some make blocks that WebAssembly does not show: checks of bounds, and ways around them.
const LOOP: u64 = 8;
const INDIRECT_CALL: u64 = 5;
const BULK: u64 = 4;

/// Returns what a function costs.
pub(super) fn cost(body: &FunctionBody<'_>, signature: Arity, signatures: &impl Signatures) -> Result<Cost, Refusal> {
    let mut locals = u64::from(signature.params);
    for group in body.get_locals_reader()? {
        let (count, _) = group?;
        locals = locals.saturating_add(u64::from(count));
    }
    let arity = |block: BlockType| match block {
        BlockType::Empty => Arity::default(),
        BlockType::Type(_) => Arity { params: 0, results: 1 },
        BlockType::FuncType(index) => signatures.of_type(index),
    };
    // How many values a branch to each enclosing block carries, and whether the block is a loop.
    let mut labels = vec![(u64::from(signature.results), false)];
    let mut loops = 0_u64;
    let carried = |labels: &[(u64, bool)], depth: u32| {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        labels.len().checked_sub(depth.saturating_add(1)).map_or(0, |at| labels[at].0)
    };
    // Beginning and end have to be made for each value that goes in and out.
    let mut cost = locals.min(1) + signature.values();
    let (mut blocks, mut touched) = (1_u64, u64::from(signature.params));
    // What weighs more than the blocks that it makes.
    let mut heavy = 0_u64;
    for operator in body.get_operators_reader()? {
        cost += 1;
        match operator? {
            Operator::Block { blockty } => {
                labels.push((u64::from(arity(blockty).results), false));
                (blocks, cost) = (blocks + 1, cost + arity(blockty).values());
            }
            Operator::TryTable { try_table } => {
                labels.push((u64::from(arity(try_table.ty).results), false));
                let catches = u64::try_from(try_table.catches.len()).unwrap_or(u64::MAX);
                (blocks, cost) = (blocks + 1 + catches, cost + arity(try_table.ty).values() + catches);
            }
            Operator::Loop { blockty } => {
                labels.push((u64::from(arity(blockty).params), true));
                loops += 1;
                Limit::LoopDepth.check(loops)?;
                (blocks, cost) = (blocks + 2, cost + arity(blockty).values());
                heavy += LOOP - 2;
            }
            Operator::If { blockty } => {
                labels.push((u64::from(arity(blockty).results), false));
                (blocks, cost) = (blocks + 3, cost + 2 * arity(blockty).values());
            }
            Operator::End => {
                let ended = labels.pop();
                if ended.is_some_and(|(_, is_loop)| is_loop) {
                    loops -= 1;
                }
            }
            Operator::Br { relative_depth } => cost += carried(&labels, relative_depth),
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => {
                (blocks, cost) = (blocks + 1, cost + carried(&labels, relative_depth));
            }
            Operator::BrTable { targets } => {
                cost += carried(&labels, targets.default());
                for target in targets.targets() {
                    cost += 1 + carried(&labels, target?);
                }
                blocks += 1;
                Limit::FunctionCode.check(cost)?;
            }
            Operator::Return => cost += u64::from(signature.results),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                cost += signatures.of_function(function_index).values();
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => {
                (blocks, cost) = (blocks + 2, cost + 8 + signatures.of_type(type_index).values());
                heavy += INDIRECT_CALL - 2;
            }
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. } => heavy += BULK,
            Operator::LocalGet { .. } | Operator::LocalSet { .. } | Operator::LocalTee { .. } => touched += 1,
            _ => {}
        }
        Limit::FunctionCode.check(cost)?;
        Limit::BlockDepth.check(labels.len() as u64)?;
    }
    let variables = locals.min(touched).saturating_mul(blocks);
    Limit::FunctionVariables.check(variables)?;
    // A local that nothing touches is declared all the same.
    cost += locals / 4;
    Limit::FunctionCode.check(cost)?;
    Ok(Cost { operators: cost, variables, branches: blocks + heavy })
}
