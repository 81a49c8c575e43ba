//! Leases for workers, with their payloads encoded.

use prost::Message as _;
use thresher_domain::{
    GroupPayload, KeyGroups, LayoutPayload, Lease, MembersPayload, Payload, RangePayload,
};

use crate::pb;

/// The contents of the lease of the SEAL unit, at the time of the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealReport {
    /// The report for programs.
    pub json: String,
    /// The report for people.
    pub markdown: String,
    /// Number of PREPARE units.
    pub units: u32,
    /// Ordinals of the PREPARE units that wrote nothing.
    pub absent: Vec<u32>,
    /// Number of PUBLISH units.
    pub shards: u32,
    /// Ordinals of the PUBLISH units that wrote nothing.
    pub absent_shards: Vec<u32>,
}

/// Converts a lease. `report` is called for a SEAL unit only.
pub fn lease_to_wire(lease: Lease, report: impl FnOnce() -> SealReport) -> pb::Lease {
    let Lease { unit, payload, cost_bytes, start_within_millis } = lease;
    pb::Lease {
        unit: Some(unit.into()),
        payload: encode(payload, report),
        cost_bytes,
        // On the wire 0 means no end.
        start_within_millis: start_within_millis.map_or(0, |millis| millis.max(1)),
    }
}

fn encode(payload: Payload, report: impl FnOnce() -> SealReport) -> Vec<u8> {
    match payload {
        Payload::List { source } => pb::ListUnit { source }.encode_to_vec(),
        Payload::Planned(bytes) => bytes,
        Payload::Prepare { inputs, line_groups } => {
            pb::PrepareUnit { inputs, line_groups: Some(line_groups.into()) }.encode_to_vec()
        }
        Payload::Group(GroupPayload { group, groups, units, absent }) => {
            pb::GroupUnit { group, groups: Some(groups.into()), units, absent }.encode_to_vec()
        }
        Payload::Range(range) => {
            let RangePayload { range, groups, units, absent, budget_bytes } = range;
            let groups = Some(groups.into());
            pb::RangeUnit { range, groups, units, absent, budget_bytes }.encode_to_vec()
        }
        Payload::Sign { inputs, document_groups } => {
            pb::SignUnit { inputs, document_groups: Some(document_groups.into()) }.encode_to_vec()
        }
        Payload::Members(members) => {
            let MembersPayload { number, units, absent, band_groups, sources } = members;
            let band_groups = Some(band_groups.into());
            pb::MembersUnit { number, units, absent, band_groups, sources }.encode_to_vec()
        }
        Payload::Layout(layout) => {
            let LayoutPayload { source, first_unit, units, absent, .. } = layout;
            pb::LayoutUnit {
                source,
                first_unit,
                units,
                absent,
                groups: Some(layout.groups.into()),
                job_units: layout.job_units,
                job_absent: layout.job_absent,
                band_groups: Some(layout.band_groups.into()),
            }
            .encode_to_vec()
        }
        Payload::Seal { band_groups } => {
            let SealReport { json, markdown, units, absent, shards, absent_shards } = report();
            pb::SealUnit {
                report_json: json,
                report_markdown: markdown,
                units,
                absent,
                shards,
                absent_shards,
                band_groups: Some(band_groups.into()),
            }
            .encode_to_vec()
        }
    }
}

impl From<KeyGroups> for pb::KeyGroups {
    fn from(KeyGroups { ranges, group_units }: KeyGroups) -> Self {
        Self { ranges, group_units }
    }
}

/// Returns the groups that a payload names, or that nothing is compared.
pub fn key_groups(groups: Option<pb::KeyGroups>) -> KeyGroups {
    groups.map_or(KeyGroups::NONE, |pb::KeyGroups { ranges, group_units }| KeyGroups {
        ranges,
        group_units: group_units.max(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_domain::{Stage, UnitKey};

    fn wire(payload: Payload, start_within_millis: Option<u32>) -> pb::Lease {
        let unit = UnitKey { stage: Stage::List, ordinal: 3 }.attempt(1);
        let lease = Lease { unit, payload, cost_bytes: 5, start_within_millis };
        lease_to_wire(lease, || SealReport { json: "{}".to_owned(), ..SealReport::default() })
    }

    fn seal() -> Payload {
        Payload::Seal { band_groups: KeyGroups::NONE }
    }

    #[test]
    fn a_payload_is_the_message_that_workers_read() {
        let list = wire(Payload::List { source: 3 }, None);
        assert_eq!(pb::ListUnit::decode(list.payload.as_slice()), Ok(pb::ListUnit { source: 3 }));
        assert_eq!(wire(Payload::Planned(vec![7]), None).payload, [7]);
        let sealed = wire(seal(), None).payload;
        assert_eq!(pb::SealUnit::decode(sealed.as_slice()).unwrap().report_json, "{}");
    }

    #[test]
    fn a_start_that_must_be_immediate_differs_from_one_without_a_limit() {
        let limit = |millis| wire(seal(), millis).start_within_millis;
        assert_eq!([limit(None), limit(Some(0)), limit(Some(2))], [0, 1, 2]);
    }
}
