//! What a simulated unit does: reads what earlier units wrote, and gives a result that depends on
//! that and on the truth alone.

use prost::Message as _;
use thresher_domain::{
    Accounting, Done, Failure, FailureClass, GroupPayload, KeyGroups, LayoutPayload, Lease, Listed,
    MemberGroups, MembersPayload, Outcome, Payload, PlannedUnit, RangePayload, Stage, UnitKey,
};
use thresher_proto::convert::key_groups;
use thresher_proto::pb::PublishUnit;

use super::files::Files;
use super::truth::{Fate, Truth};

/// How a run will end, as decided at its beginning, when it reads.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// With these pieces, then the result.
    Result {
        planned: Vec<PlannedUnit>,
        done: Done,
    },
    Fails(Failure),
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
            Self::Fails(failure) => vec![Outcome::Failed(failure.clone())],
            Self::Kills => Vec::new(),
        }
    }
}

/// Runs a unit.
pub(crate) fn run(truth: &Truth, files: &Files, lease: &Lease) -> End {
    let failed =
        |class: FailureClass, error: &str| End::Fails(Failure { class, error: error.to_owned() });
    match truth.fate(lease.unit, planned_inputs(&lease.payload)) {
        Fate::Kills => return End::Kills,
        Fate::Fatal => return failed(FailureClass::Data, "it can't be done"),
        Fate::Miscounts => {
            let accounting = Accounting { records_in: 2, kept: 1, ..Accounting::default() };
            let done = Done { accounting: Some(accounting), ..Done::default() };
            return End::Result { planned: Vec::new(), done };
        }
        Fate::Succeeds => {}
    }
    succeed(truth, files, lease).unwrap_or_else(|producer| {
        failed(FailureClass::Damaged { producer }, &format!("`{producer}` wrote nonsense"))
    })
}

/// What LIST planned; nothing for units of other stages.
fn planned_inputs(payload: &Payload) -> &[u8] {
    match payload {
        Payload::Planned(bytes)
        | Payload::Prepare { inputs: bytes, .. }
        | Payload::Sign { inputs: bytes, .. } => bytes,
        _ => &[],
    }
}

fn succeed(truth: &Truth, files: &Files, lease: &Lease) -> Result<End, UnitKey> {
    let (unit, stage) = (lease.unit, lease.unit.key.stage);
    let mut hash = blake3::Hasher::new();
    hash.update(&[stage as u8]);
    hash.update(&unit.key.ordinal.to_le_bytes());
    let mut planned = Vec::new();
    let mut done = Done::default();
    let mut read = |stage, ordinal| {
        files.read(UnitKey { stage, ordinal }, unit).map(|digest| {
            hash.update(&digest);
        })
    };
    match &lease.payload {
        Payload::List { source } => {
            let inputs = &truth.sources[*source as usize].inputs;
            planned.extend(inputs.iter().map(|input| input.planned.clone()));
        }
        Payload::Planned(bytes) if stage == Stage::Publish => read_shard(&mut read, bytes)?,
        Payload::Planned(_) | Payload::Prepare { .. } => {
            let (source, input) = truth.input(planned_inputs(&lease.payload));
            read(Stage::List, source as u32)?;
            if let Payload::Prepare { line_groups, .. } = &lease.payload
                && truth.sources[source].needs_lines
            {
                read_verdicts(&mut read, LINES, *line_groups, unit.key.ordinal)?;
            }
            done.accounting = Some(input.accounting.clone());
            done.keys = input.keys;
        }
        Payload::Group(group) => read_group(&mut read, stage, group)?,
        Payload::Sign { inputs, document_groups } => {
            let (source, input) = truth.input(inputs);
            assert!(truth.sources[source].compares_near, "{unit:?} has nothing to compare");
            read(Stage::Prepare, unit.key.ordinal)?;
            read_verdicts(&mut read, DOCUMENTS, *document_groups, unit.key.ordinal)?;
            done.keys = input.keys;
        }
        Payload::Members(members) => read_members(&mut read, stage, members)?,
        Payload::Range(range) if stage == Stage::Connect => {
            for number in 0..range.groups.ranges {
                read(Stage::ResolveBands, number)?;
            }
        }
        Payload::Range(range) => {
            read_range(&mut read, around(stage), range)?;
            hash.update(&range.groups.ranges.to_le_bytes());
        }
        Payload::Layout(layout) => {
            for unit in layout.first_unit..layout.first_unit + layout.units {
                if !layout.absent.contains(&unit) {
                    read_verdicts(&mut read, DOCUMENTS, layout.groups, unit)?;
                    read_decisions(&mut read, layout.band_groups, layout.job_units, unit)?;
                }
            }
            planned = shards(truth, layout);
        }
        Payload::Seal { .. } => {
            for (shard, _) in files.of_stage(Stage::Publish) {
                read(Stage::Publish, shard)?;
            }
        }
    }
    planned.iter().for_each(|unit| {
        hash.update(&unit.payload);
    });
    done.digest = hash.finalize().as_bytes().to_vec();
    Ok(End::Result { planned, done })
}

/// Reads what a unit wrote, or gives the unit whose file is damaged.
trait Reads: FnMut(Stage, u32) -> Result<(), UnitKey> {}
impl<F: FnMut(Stage, u32) -> Result<(), UnitKey>> Reads for F {}

fn read_shard(read: &mut impl Reads, payload: &[u8]) -> Result<(), UnitKey> {
    let shard = PublishUnit::decode(payload).expect("a PUBLISH payload");
    let units = || {
        let all = shard.first_unit..shard.last_unit;
        all.filter(|ordinal| !shard.absent.contains(ordinal))
    };
    for ordinal in units() {
        read(Stage::Prepare, ordinal)?;
    }
    for ordinal in units() {
        read_verdicts(read, DOCUMENTS, key_groups(shard.groups), ordinal)?;
        read_decisions(read, key_groups(shard.band_groups), shard.job_units, ordinal)?;
    }
    Ok(())
}

/// Reads for GATHER the keys of a group's units, and for COMBINE the verdicts of all ranges.
fn read_group(read: &mut impl Reads, stage: Stage, group: &GroupPayload) -> Result<(), UnitKey> {
    let around = around(stage);
    if stage == around.gathered {
        let units = group.groups.units_of(group.group, group.units);
        for ordinal in units.filter(|ordinal| !group.absent.contains(ordinal)) {
            read(around.keyed, ordinal)?;
        }
    } else {
        for range in 0..group.groups.ranges {
            read(around.resolved, range)?;
        }
    }
    Ok(())
}

/// Reads for COLLECT the documents, the keys and the labels of a group, for COMPARE what all groups
/// collected, and for DECIDE what all parts decided.
fn read_members(
    read: &mut impl Reads,
    stage: Stage,
    members: &MembersPayload,
) -> Result<(), UnitKey> {
    let groups = MemberGroups::of(members.units);
    match stage {
        Stage::Collect => {
            read(Stage::Connect, 0)?;
            let units = groups.units_of(members.number);
            assert_eq!(members.sources.len(), units.len());
            for ordinal in units.filter(|ordinal| !members.absent.contains(ordinal)) {
                read(Stage::Prepare, ordinal)?;
                read(Stage::Sign, ordinal)?;
            }
            Ok(())
        }
        Stage::Compare => (0..groups.groups()).try_for_each(|group| read(Stage::Collect, group)),
        _ => (0..groups.parts()).try_for_each(|part| read(Stage::Compare, part)),
    }
}

/// Reads what was decided about the near-duplicates of a unit.
fn read_decisions(
    read: &mut impl Reads,
    band_groups: KeyGroups,
    units: u32,
    unit: u32,
) -> Result<(), UnitKey> {
    match band_groups.ranges {
        0 => Ok(()),
        _ => read(Stage::Decide, MemberGroups::of(units).group_of(unit)),
    }
}

/// Reads the keys of all groups, or of all units if they are not gathered.
fn read_range(read: &mut impl Reads, around: Around, range: &RangePayload) -> Result<(), UnitKey> {
    if range.groups.is_gathered() {
        for group in 0..range.groups.groups(range.units) {
            read(around.gathered, group)?;
        }
    } else {
        for ordinal in (0..range.units).filter(|ordinal| !range.absent.contains(ordinal)) {
            read(around.keyed, ordinal)?;
        }
    }
    Ok(())
}

/// The stages around a resolve stage.
struct Around {
    keyed: Stage,
    gathered: Stage,
    resolved: Stage,
    combined: Stage,
}

const LINES: Around = Around {
    keyed: Stage::Lines,
    gathered: Stage::GatherLines,
    resolved: Stage::ResolveLines,
    combined: Stage::CombineLines,
};

const DOCUMENTS: Around = Around {
    keyed: Stage::Prepare,
    gathered: Stage::GatherDocuments,
    resolved: Stage::ResolveDocuments,
    combined: Stage::CombineDocuments,
};

const BANDS: Around = Around {
    keyed: Stage::Sign,
    gathered: Stage::GatherBands,
    resolved: Stage::ResolveBands,
    combined: Stage::Connect,
};

fn around(stage: Stage) -> Around {
    match stage {
        _ if stage < Stage::Prepare => LINES,
        _ if stage < Stage::Sign => DOCUMENTS,
        _ => BANDS,
    }
}

/// Reads what was decided about a unit.
fn read_verdicts(
    read: &mut impl Reads,
    around: Around,
    groups: KeyGroups,
    unit: u32,
) -> Result<(), UnitKey> {
    match groups.ranges {
        0 => Ok(()),
        1 => read(around.resolved, 0),
        _ => read(around.combined, groups.group_of(unit)),
    }
}

fn shards(truth: &Truth, layout: &LayoutPayload) -> Vec<PlannedUnit> {
    let end = layout.first_unit + layout.units;
    let firsts = (layout.first_unit..end).step_by(truth.units_per_shard as usize);
    let shard = |(first_unit, shard)| PublishUnit {
        source: layout.source,
        shard,
        first_unit,
        last_unit: end.min(first_unit + truth.units_per_shard),
        absent: layout.absent.clone(),
        groups: Some(layout.groups.into()),
        job_units: layout.job_units,
        band_groups: Some(layout.band_groups.into()),
        ..PublishUnit::default()
    };
    let planned = |unit: PublishUnit| PlannedUnit { payload: unit.encode_to_vec(), cost_bytes: 1 };
    firsts.zip(0..).map(shard).map(planned).collect()
}
