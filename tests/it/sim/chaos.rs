//! What goes wrong and when, from the world's seed. It stops after a while, so that the room heals,
//! and never harms one unit so often that giving it up would be right.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use thresher_domain::{FailureClass, UnitKey};
use thresher_scheduler::LeaseOrder;

use super::shell::Allocation;

/// Losses of its worker that a healthy unit may see.
const MAX_LOSSES: u32 = 3;

/// When a coordinator dies, relative to a record that it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Death {
    BeforeAppend,
    /// The file system takes that many bytes, then fails.
    Torn {
        bytes: usize,
        errno: i32,
    },
    /// The record is durable, but its effects are not performed.
    AfterCommit,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Answered,
    RequestLost,
    AnswerLost,
    /// The caller gives up, and then the request arrives.
    Delayed {
        millis: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    None,
    Crash,
    Hang {
        millis: u64,
    },
    Preempted,
    /// It exits within that time because of a signal.
    Leaves {
        millis: u64,
    },
    Damage(usize),
    /// The coordinator is suspended for that time, and nobody is answered.
    Freeze {
        millis: u64,
    },
    Drain,
}

/// A time in which every unit fails on a machine, or on all of them.
#[derive(Clone, Debug)]
struct Fault {
    /// `None`: what all machines use is broken.
    machine: Option<usize>,
    class: FailureClass,
    time: Range<u64>,
}

#[derive(Debug)]
pub(crate) struct Chaos {
    pub(crate) dice: ChaCha8Rng,
    ends_at: u64,
    /// Chances by kind, each drawn for this world; some worlds are calm.
    call: f64,
    mishap: f64,
    death: f64,
    retry: f64,
    walltime: f64,
    /// Times in which one machine, or what all of them use, is broken.
    faults: Vec<Fault>,
    /// Attempts failed and workers lost so far, by unit.
    retries: BTreeMap<UnitKey, u32>,
    pub(crate) losses: BTreeMap<UnitKey, u32>,
}

impl Chaos {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x0063_6861_6f73);
        let ends_at = dice.random_range(0..60_000);
        let mut chance = |most: f64| dice.random_bool(0.7).then(|| dice.random_range(0.0..most));
        let (call, mishap) = (chance(0.3).unwrap_or(0.0), chance(0.05).unwrap_or(0.0));
        let (death, retry) = (chance(0.1).unwrap_or(0.0), chance(0.2).unwrap_or(0.0));
        let walltime = chance(1.0).unwrap_or(0.0);
        let faults = (0..dice.random_range(0..4)).map(|_| fault(&mut dice, ends_at)).collect();
        let (retries, losses) = (BTreeMap::new(), BTreeMap::new());
        Self { dice, ends_at, call, mishap, death, retry, walltime, faults, retries, losses }
    }

    fn rolls(&mut self, now: u64, chance: f64) -> bool {
        now < self.ends_at && self.dice.random_bool(chance)
    }

    pub(crate) fn order(&mut self) -> LeaseOrder {
        match self.dice.random_bool(0.5) {
            true => LeaseOrder::Shuffled(self.dice.random()),
            false => LeaseOrder::Canonical,
        }
    }

    pub(crate) fn call(&mut self, now: u64) -> Call {
        if !self.rolls(now, self.call) {
            return Call::Answered;
        }
        match self.dice.random_range(0..3) {
            0 => Call::RequestLost,
            1 => Call::AnswerLost,
            _ => Call::Delayed { millis: self.dice.random_range(1..3000) },
        }
    }

    pub(crate) fn death(&mut self, now: u64) -> Option<Death> {
        self.rolls(now, self.death).then(|| match self.dice.random_range(0..3) {
            0 => Death::BeforeAppend,
            1 => Death::Torn {
                bytes: self.dice.random_range(1..200),
                errno: [5, 28][self.dice.random_range(0..2)],
            },
            _ => Death::AfterCommit,
        })
    }

    /// The allocation of a coordinator that comes up; in a room that has healed there is no end.
    pub(crate) fn allocation(&mut self, chaos_time: u64, now: u64) -> Allocation {
        if !self.rolls(chaos_time, self.walltime) {
            return Allocation::default();
        }
        let ends_millis = now + self.dice.random_range(500..12_000);
        Allocation { ends_millis, margin_millis: self.dice.random_range(1..3000) }
    }

    /// What befalls a machine, given the units that it holds or may have been given.
    pub(crate) fn mishap(&mut self, now: u64, held: impl Iterator<Item = UnitKey>) -> Mishap {
        if !self.rolls(now, self.mishap) {
            return Mishap::None;
        }
        let spared = held.into_iter().any(|key| self.spares(key));
        match self.dice.random_range(0..8) {
            0 | 1 if !spared => Mishap::Crash,
            2 if !spared => Mishap::Hang { millis: self.dice.random_range(500..6000) },
            3 => Mishap::Preempted,
            4 => Mishap::Damage(self.dice.random_range(0..1000)),
            5 if self.dice.random_bool(0.2) => Mishap::Drain,
            7 => Mishap::Freeze { millis: self.dice.random_range(500..20_000) },
            6 if !spared => Mishap::Leaves { millis: self.dice.random_range(1..2000) },
            _ => Mishap::None,
        }
    }

    /// Whether a unit has seen as many losses as a healthy one may.
    fn spares(&self, key: UnitKey) -> bool {
        self.losses.get(&key) >= Some(&MAX_LOSSES)
    }

    /// Whether a call that its caller gave up still arrives. Its caller may be dead, and what it
    /// gets is then lost.
    pub(crate) fn lets_arrive_late(&self) -> bool {
        !self.losses.keys().any(|key| self.spares(*key))
    }

    /// Whether the storage refuses the whole job just now.
    pub(crate) fn blocks(&mut self, now: u64) -> bool {
        let chance = self.mishap / 5.0;
        self.rolls(now, chance)
    }

    /// What is broken for a machine just now.
    pub(crate) fn fault(&self, now: u64, machine: usize) -> Option<FailureClass> {
        let hits = |fault: &&Fault| {
            fault.time.contains(&now) && fault.machine.is_none_or(|broken| broken == machine)
        };
        self.faults.iter().find(hits).map(|fault| fault.class)
    }

    /// Whether an attempt of a healthy unit fails, though the next may not.
    pub(crate) fn fails(&mut self, now: u64, key: UnitKey, most: u32) -> bool {
        let fails = self.rolls(now, self.retry) && self.retries.get(&key) < Some(&most);
        if fails {
            *self.retries.entry(key).or_default() += 1;
        }
        fails
    }
}

/// A fault that begins and ends while anything may go wrong. What looks like a fault of the user's
/// program hits one machine only: on every machine it would be one.
fn fault(dice: &mut ChaCha8Rng, ends_at: u64) -> Fault {
    let everywhere = dice.random_bool(0.3);
    let machine = (!everywhere).then(|| dice.random_range(0..6));
    let class = match dice.random_range(0..4) {
        0 => FailureClass::Node,
        1 => FailureClass::Service,
        2 => FailureClass::Storage,
        _ if everywhere => FailureClass::Node,
        _ => FailureClass::Program,
    };
    let begins = dice.random_range(0..ends_at.max(1));
    Fault { machine, class, time: begins..dice.random_range(begins..ends_at.max(begins + 1)) }
}
