//! Which fault strikes which request.

use std::collections::{BTreeMap, HashMap};

use super::fault::{Fault, Faults};
use super::{Report, Seen};
use crate::context::Random;

type Predicate = Box<dyn Fn(&Seen) -> bool + Send>;

/// Chooses, and counts what struck.
pub(super) struct Choice {
    faults: Faults,
    random: Random,
    /// The classes that each operation has not met in this round.
    cards: HashMap<String, Vec<Fault>>,
    instructions: Vec<Instruction>,
    struck: BTreeMap<Fault, u64>,
}

struct Instruction {
    times: usize,
    fault: Fault,
    predicate: Predicate,
}

/// A fault for one request.
#[derive(Clone, Copy)]
pub(super) struct Chosen {
    pub(super) fault: Fault,
    /// Told by [`Choice::instruct`], and not drawn.
    instructed: bool,
}

impl Choice {
    pub(super) fn new(faults: Faults) -> Self {
        let random = Random::new(faults.seed);
        Choice { faults, random, cards: HashMap::new(), instructions: Vec::new(), struck: BTreeMap::new() }
    }

    pub(super) fn instruct(&mut self, times: usize, fault: Fault, predicate: Predicate) {
        self.instructions.push(Instruction { times, fault, predicate });
    }

    pub(super) fn pending(&self) -> usize {
        self.instructions.iter().map(|instruction| instruction.times).sum()
    }

    /// Chooses the fault for a request, if it is to have one. One that needs the answer has not struck yet.
    pub(super) fn choose(&mut self, request: &Seen, operation: &str, can_repeat: bool) -> Option<Chosen> {
        let can = |fault: Fault| match fault {
            Fault::Twice => can_repeat,
            Fault::Cut | Fault::Trickle => request.method != "HEAD",
            _ => true,
        };
        // The random number is drawn in any case, so that an instruction does not shift all that follows.
        let unlucky = self.unlucky();
        let told = |told: &&Instruction| told.times > 0 && can(told.fault) && (told.predicate)(request);
        let chosen = if let Some(told) = self.instructions.iter().find(told) {
            Chosen { fault: told.fault, instructed: true }
        } else if unlucky {
            Chosen { fault: self.draw(operation, can)?, instructed: false }
        } else {
            return None;
        };
        (chosen.fault.needs_answer_body() || self.strike(chosen, request)).then_some(chosen)
    }

    /// Counts a fault that strikes. False if it must not: another request came first, to which the instruction applied.
    pub(super) fn strike(&mut self, chosen: Chosen, request: &Seen) -> bool {
        if chosen.instructed {
            let fits =
                |told: &&mut Instruction| told.times > 0 && told.fault == chosen.fault && (told.predicate)(request);
            let Some(told) = self.instructions.iter_mut().find(fits) else { return false };
            told.times -= 1;
            self.instructions.retain(|told| told.times > 0);
        }
        *self.struck.entry(chosen.fault).or_default() += 1;
        true
    }

    /// Chooses another in place of one that needed the body of an answer that has none: one that still can strike, if
    /// the operation has not met it in this round. An instruction waits for the next request.
    pub(super) fn instead(&mut self, chosen: Chosen, request: &Seen, operation: &str) -> Option<Chosen> {
        if chosen.instructed {
            return None;
        }
        let left = self.cards.get_mut(operation)?;
        let at = left.iter().position(|fault| matches!(fault, Fault::ResetAfter | Fault::ErrorAfter))?;
        let chosen = Chosen { fault: left.remove(at), instructed: false };
        self.strike(chosen, request);
        Some(chosen)
    }

    pub(super) fn report(&self, requests: u64) -> Report {
        let mut classes: BTreeMap<Fault, u64> = self.faults.classes.iter().map(|fault| (*fault, 0)).collect();
        classes.extend(&self.struck);
        Report { requests, classes }
    }

    fn unlucky(&mut self) -> bool {
        const STEPS: usize = 1 << 30;
        (self.random.below(STEPS) as f64) < self.faults.rate * STEPS as f64
    }

    /// Draws a class that the operation has not met in this round: of these, one that has struck least so far, so that
    /// every class soon strikes somewhere.
    fn draw(&mut self, operation: &str, can: impl Fn(Fault) -> bool) -> Option<Fault> {
        let left = self.cards.entry(operation.to_owned()).or_default();
        if !left.iter().any(|fault| can(*fault)) {
            let missing = self.faults.classes.iter().copied().filter(|fault| !left.contains(fault));
            let mut missing: Vec<Fault> = missing.collect();
            while !missing.is_empty() {
                left.push(missing.swap_remove(self.random.below(missing.len())));
            }
        }
        let struck = |fault: Fault| self.struck.get(&fault).copied().unwrap_or_default();
        let candidates = left.iter().enumerate().filter(|(_, fault)| can(**fault));
        let (at, _) = candidates.min_by_key(|(_, fault)| struck(**fault))?;
        Some(left.remove(at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn request(method: &str) -> Seen {
        Seen { method: method.to_owned(), ..Seen::default() }
    }

    fn strikes(choice: &Choice) -> Vec<u64> {
        choice.report(0).classes().map(|(_, count)| count).collect()
    }

    #[test]
    fn every_class_strikes_equally_often() {
        let mut choice = Choice::new(Faults::new(1.0, 7));
        for _ in 0..110 {
            let chosen = choice.choose(&request("GET"), "GET", true).unwrap();
            if chosen.fault.needs_answer_body() {
                choice.strike(chosen, &request("GET"));
            }
        }
        assert_eq!(strikes(&choice), [10; 11]);
    }

    #[test]
    fn every_operation_meets_every_class_that_can_strike_it() {
        let mut choice = Choice::new(Faults::new(1.0, 7));
        for operation in ["a", "b"] {
            let chosen = std::iter::from_fn(|| choice.choose(&request("HEAD"), operation, false));
            let mut met: Vec<Fault> = chosen.take(8).map(|chosen| chosen.fault).collect();
            met.sort();
            let needless = [Fault::Cut, Fault::Trickle, Fault::Twice];
            let all: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| !needless.contains(fault)).collect();
            assert_eq!(met, all, "{operation}");
        }
    }

    #[test]
    fn the_share_that_is_struck_is_the_rate_and_the_seed_decides_which() {
        let run = |seed| {
            let mut choice = Choice::new(Faults::new(0.1, seed).only(&[Fault::Delay]));
            (0..10_000).map(|_| choice.choose(&request("GET"), "GET", true).is_some()).collect::<Vec<_>>()
        };
        let struck = run(3).into_iter().filter(|struck| *struck).count();
        assert!((900..1100).contains(&struck), "{struck}");
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn an_answer_without_a_body_is_struck_by_what_can_come_after_it() {
        let mut choice = Choice::new(Faults::new(1.0, 1).only(&[Fault::Cut, Fault::ResetAfter]));
        let chosen = std::iter::from_fn(|| choice.choose(&request("PUT"), "PUT", true)).find(|chosen| {
            let cut = chosen.fault == Fault::Cut;
            if !cut {
                assert_eq!(chosen.fault, Fault::ResetAfter)
            }
            cut
        });
        let cut = chosen.unwrap();
        let instead = choice.instead(cut, &request("PUT"), "PUT").map(|chosen| chosen.fault);
        assert!(matches!(instead, None | Some(Fault::ResetAfter)));
        assert_eq!(choice.report(0).idle_classes(), [Fault::Cut]);
    }
}
