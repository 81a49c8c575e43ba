//! What a simulated job is: its sources, what each unit gives, and which units can't succeed.
//!
//! It comes from the job's seed alone, so all worlds of a job must end alike.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use thresher_domain::{Accounting, AttemptRef, Count, PlannedUnit, Stage};
use thresher_scheduler::{JobPlan, LeaseOrder, Limits, SourcePlan};

/// How a unit ends whenever it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    /// Takes its worker with it.
    Kills,
    /// Says that it can't be done.
    Fatal,
    /// Reports numbers that don't add up.
    Miscounts,
}

/// Memory for keys of a gang unit.
pub(crate) const KEY_MEMORY_BYTES: u64 = 1000;
/// Attempts after which a listing that failed is fixed.
const LISTING_FIXED: u32 = 12;

#[derive(Clone, Debug)]
pub(crate) struct SourceTruth {
    pub(crate) needs_lines: bool,
    pub(crate) compares_near: bool,
    pub(crate) inputs: Vec<InputTruth>,
    pub(crate) list_fate: Fate,
}

#[derive(Clone, Debug)]
pub(crate) struct InputTruth {
    pub(crate) planned: PlannedUnit,
    pub(crate) lines_fate: Fate,
    pub(crate) prepare_fate: Fate,
    pub(crate) keys: u64,
    pub(crate) accounting: Accounting,
}

#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) sources: Vec<SourceTruth>,
    pub(crate) units_per_shard: u32,
    pub(crate) limits: Limits,
    /// The fate of every shard whose number is divisible by this; 0 for none.
    pub(crate) bad_shards: u32,
}

impl Truth {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x7472_7574);
        let sick = dice.random_bool(0.4);
        let fate = |dice: &mut ChaCha8Rng, chance: f64| {
            if !sick || !dice.random_bool(chance) {
                return Fate::Succeeds;
            }
            [Fate::Kills, Fate::Fatal, Fate::Miscounts][dice.random_range(0..3)]
        };
        // Otherwise the machines say it.
        let fixed_memory = seed.is_multiple_of(2).then_some(KEY_MEMORY_BYTES);
        let mut number = 0_u32;
        let sources = (0..dice.random_range(0..4)).map(|_| {
            let inputs = dice.random_range(0..14);
            SourceTruth {
                needs_lines: dice.random_bool(0.6),
                compares_near: dice.random_bool(0.4),
                list_fate: fate(&mut dice, 0.1),
                inputs: (0..inputs)
                    .map(|_| {
                        number += 1;
                        InputTruth {
                            planned: PlannedUnit {
                                payload: number.to_le_bytes().to_vec(),
                                cost_bytes: dice.random_range(0..1000),
                            },
                            lines_fate: fate(&mut dice, 0.05),
                            prepare_fate: fate(&mut dice, 0.05),
                            keys: dice.random_range(0..100),
                            accounting: accounting(&mut dice),
                        }
                    })
                    .collect(),
            }
        });
        Self {
            sources: sources.collect(),
            units_per_shard: dice.random_range(1..4),
            limits: Limits {
                lease_millis: 2000,
                heartbeat_millis: 200,
                max_quarantined_permille: 1000,
                key_memory_bytes: fixed_memory,
                bytes_per_line_key: dice.random_range(1..10),
                bytes_per_document_key: dice.random_range(1..10),
                bytes_per_band_key: dice.random_range(1..10),
                ..Limits::default()
            },
            bad_shards: if sick && dice.random_bool(0.2) { dice.random_range(2..6) } else { 0 },
        }
    }

    pub(crate) fn plan(&self, lease_order: LeaseOrder) -> JobPlan {
        let source = |(i, source): (usize, &SourceTruth)| SourcePlan {
            name: format!("source{i}"),
            needs_lines: source.needs_lines,
            compares_near: source.compares_near,
            is_earlier: false,
        };
        JobPlan {
            name: "simulated".to_owned(),
            output: "nowhere".to_owned(),
            sources: self.sources.iter().enumerate().map(source).collect(),
            limits: self.limits,
            lease_order,
        }
    }

    /// The input that a payload of LINES or PREPARE names.
    pub(crate) fn input(&self, payload: &[u8]) -> (usize, &InputTruth) {
        let found = self.sources.iter().enumerate().find_map(|(i, source)| {
            let input = source.inputs.iter().find(|input| input.planned.payload == payload)?;
            Some((i, input))
        });
        found.expect("the scheduler hands out only payloads that were listed")
    }

    pub(crate) fn fate(&self, unit: AttemptRef, payload: &[u8]) -> Fate {
        let ordinal = unit.key.ordinal;
        match unit.key.stage {
            // A job waits for its listings, so a person fixes what is wrong with them.
            Stage::List if unit.attempt > LISTING_FIXED => Fate::Succeeds,
            Stage::List => match self.sources[ordinal as usize].list_fate {
                // A wrong result may come late, when the fixed one exists: that is an alarm.
                Fate::Miscounts => Fate::Fatal,
                fate => fate,
            },
            Stage::Lines => self.input(payload).1.lines_fate,
            Stage::Prepare => self.input(payload).1.prepare_fate,
            Stage::Publish if self.bad_shards > 0 && ordinal.is_multiple_of(self.bad_shards) => {
                Fate::Fatal
            }
            Stage::Publish
            | Stage::GatherLines
            | Stage::ResolveLines
            | Stage::CombineLines
            | Stage::GatherDocuments
            | Stage::ResolveDocuments
            | Stage::CombineDocuments
            | Stage::Sign
            | Stage::GatherBands
            | Stage::ResolveBands
            | Stage::Connect
            | Stage::Collect
            | Stage::Compare
            | Stage::Decide
            | Stage::Layout
            | Stage::Seal => Fate::Succeeds,
        }
    }
}

fn accounting(dice: &mut ChaCha8Rng) -> Accounting {
    let mut numbers = || u64::from(dice.random_range(0..50_u32));
    let (kept, short, long, garbage) = (numbers(), numbers(), numbers(), numbers());
    let count = |name: &str, value| Count { name: name.to_owned(), value };
    Accounting {
        records_in: kept + short + long + garbage,
        kept,
        dropped: vec![count("short", short), count("long", long)],
        quarantined: vec![count("garbage", garbage)],
        bytes_in: 100,
        bytes_kept: 50,
    }
}
