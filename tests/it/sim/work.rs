//! What a simulated unit does: reads what earlier units wrote, and gives a result that depends on
//! that and on the truth alone.

use prost::Message as _;
use thresher_proto::pb::report::Outcome;
use thresher_proto::pb::{
    Accounting, Done, Failed, LayoutUnit, Lease, ListUnit, Listed, PlannedUnit, PrepareUnit,
    PublishUnit, RangeUnit, Stage, UnitRef, failed::Kind,
};

use super::files::{Files, Key};
use super::truth::{Fate, Truth};

/// How a run will end, as decided at its beginning, when it reads.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// With these pieces, then the result.
    Result {
        planned: Vec<PlannedUnit>,
        done: Done,
    },
    Fails(Failed),
    /// The worker dies.
    Kills,
}

impl End {
    /// The reports to make of it.
    pub(crate) fn outcomes(&self, piece_units: usize) -> Vec<Outcome> {
        match self {
            Self::Result { planned, done } => {
                let pieces = planned.chunks(piece_units).zip(0..);
                let listed = |(units, piece): (&[PlannedUnit], u32)| {
                    Outcome::Listed(Listed { piece, units: units.to_vec() })
                };
                pieces.map(listed).chain([Outcome::Done(done.clone())]).collect()
            }
            Self::Fails(failed) => vec![Outcome::Failed(failed.clone())],
            Self::Kills => Vec::new(),
        }
    }
}

/// Runs a unit.
pub(crate) fn run(truth: &Truth, files: &Files, lease: &Lease) -> End {
    let unit = lease.unit.expect("a lease names its unit");
    let (planned, _) = inputs_of(unit.stage(), &lease.payload);
    let failed = |kind: Kind, error: &str| {
        End::Fails(Failed { kind: kind.into(), error: error.to_owned(), producer: None })
    };
    match truth.fate(&unit, &planned) {
        Fate::Kills => return End::Kills,
        Fate::Fatal => return failed(Kind::Fatal, "it can't be done"),
        Fate::NeverBetter => return failed(Kind::Retry, "no luck"),
        Fate::Miscounts => {
            let accounting = Accounting { records_in: 2, kept: 1, ..Accounting::default() };
            let done = Done { accounting: Some(accounting), ..Done::default() };
            return End::Result { planned: Vec::new(), done };
        }
        Fate::Succeeds => {}
    }
    succeed(truth, files, lease, unit).unwrap_or_else(|(stage, ordinal)| {
        let producer = UnitRef { stage: stage.into(), ordinal, attempt: 0 };
        End::Fails(Failed {
            kind: Kind::Damaged.into(),
            error: format!("`{producer}` wrote nonsense"),
            producer: Some(producer),
        })
    })
}

/// What LIST planned, and for PREPARE how many ranges the lines were resolved in.
fn inputs_of(stage: Stage, payload: &[u8]) -> (Vec<u8>, u32) {
    if stage != Stage::Prepare {
        return (payload.to_vec(), 0);
    }
    let prepare = PrepareUnit::decode(payload).expect("a PREPARE payload");
    (prepare.inputs, prepare.line_ranges)
}

fn succeed(truth: &Truth, files: &Files, lease: &Lease, unit: UnitRef) -> Result<End, Key> {
    let mut hash = blake3::Hasher::new();
    hash.update(&[unit.stage as u8]);
    hash.update(&unit.ordinal.to_le_bytes());
    let mut planned = Vec::new();
    let mut done = Done::default();
    let mut read = |stage, ordinal| {
        files.read((stage, ordinal), &unit).map(|digest| {
            hash.update(&digest);
        })
    };
    let payload = lease.payload.as_slice();
    match unit.stage() {
        Stage::List => {
            let source = ListUnit::decode(payload).expect("a LIST payload").source;
            let inputs = &truth.sources[source as usize].inputs;
            planned.extend(inputs.iter().map(|input| input.planned.clone()));
        }
        Stage::Lines | Stage::Prepare => {
            let (planned, line_ranges) = inputs_of(unit.stage(), payload);
            let (source, input) = truth.input(&planned);
            read(Stage::List, source as u32)?;
            let ranges = if truth.sources[source].needs_lines { line_ranges } else { 0 };
            for range in 0..ranges {
                read(Stage::ResolveLines, range)?;
            }
            done.accounting = Some(input.accounting.clone());
            done.keys = input.keys;
        }
        Stage::ResolveLines | Stage::ResolveDocuments => {
            let range = RangeUnit::decode(payload).expect("a RESOLVE payload");
            let keyed = match unit.stage() {
                Stage::ResolveLines => Stage::Lines,
                _ => Stage::Prepare,
            };
            for ordinal in (0..range.units).filter(|ordinal| !range.absent.contains(ordinal)) {
                read(keyed, ordinal)?;
            }
            hash.update(&range.ranges.to_le_bytes());
        }
        Stage::Layout => {
            let layout = LayoutUnit::decode(payload).expect("a LAYOUT payload");
            for range in 0..layout.ranges {
                read(Stage::ResolveDocuments, range)?;
            }
            planned = shards(truth, &layout);
        }
        Stage::Publish => {
            let shard = PublishUnit::decode(payload).expect("a PUBLISH payload");
            let units = shard.first_unit..shard.last_unit;
            for ordinal in units.filter(|ordinal| !shard.absent.contains(ordinal)) {
                read(Stage::Prepare, ordinal)?;
            }
            for range in 0..shard.ranges {
                read(Stage::ResolveDocuments, range)?;
            }
        }
        Stage::Seal => {
            for (shard, _) in files.of_stage(Stage::Publish) {
                read(Stage::Publish, shard)?;
            }
        }
        Stage::Unspecified => panic!("a unit of no stage was leased"),
    }
    planned.iter().for_each(|unit| {
        hash.update(&unit.payload);
    });
    done.digest = hash.finalize().as_bytes().to_vec();
    Ok(End::Result { planned, done })
}

fn shards(truth: &Truth, layout: &LayoutUnit) -> Vec<PlannedUnit> {
    let end = layout.first_unit + layout.units;
    let firsts = (layout.first_unit..end).step_by(truth.units_per_shard as usize);
    let shard = |(first_unit, shard)| PublishUnit {
        source: layout.source,
        shard,
        first_unit,
        last_unit: end.min(first_unit + truth.units_per_shard),
        absent: layout.absent.clone(),
        ranges: layout.ranges,
        ..PublishUnit::default()
    };
    let planned = |unit: PublishUnit| PlannedUnit { payload: unit.encode_to_vec(), cost_bytes: 1 };
    firsts.zip(0..).map(shard).map(planned).collect()
}
