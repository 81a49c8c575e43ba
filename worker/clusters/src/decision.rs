//! What was decided about a document of a cluster.

use thresher_near::Similarity;

use crate::codec::{Fields, put_text};
use crate::document::Document;

/// The decision about a document that is removed, or because of which others are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The document.
    pub document: Document,
    /// Number of its source.
    pub source: u32,
    /// The dump that it is from; empty if its source has none.
    pub dump: String,
    /// Number of documents of its cluster, with the kept one.
    pub cluster_size: u32,
    /// Whether it is kept.
    pub outcome: Outcome,
}

/// Whether a document is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept.
    Kept {
        /// Number of documents that are removed because of it.
        near_duplicates: u32,
    },
    /// It is removed.
    Removed(Removal),
}

/// Why a document is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The kept document of its cluster.
    pub witness: Document,
    /// The identifier of the witness, which is also that of the cluster.
    pub witness_id: String,
    /// Number of the witness's source.
    pub witness_source: u32,
    /// The dump that the witness is from; empty if its source has none.
    pub witness_dump: String,
    /// The measured similarity of the two; none if nothing was measured.
    pub similarity: Option<Similarity>,
    /// The first band that has both; none if they are in one cluster only because of others.
    pub band: Option<u16>,
}

const HAS_SIMILARITY: u8 = 2;
const HAS_BAND: u8 = 4;
const IS_REMOVED: u8 = 1;

impl Decision {
    /// Returns the sort key.
    pub(crate) fn key(&self) -> [u8; 8] {
        self.document.to_u64().to_be_bytes()
    }

    /// Appends what the sort key does not say.
    pub(crate) fn put_payload(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.source.to_le_bytes());
        put_text(bytes, &self.dump);
        bytes.extend_from_slice(&self.cluster_size.to_le_bytes());
        let removal = match &self.outcome {
            Outcome::Kept { near_duplicates } => {
                bytes.push(0);
                bytes.extend_from_slice(&near_duplicates.to_le_bytes());
                return;
            }
            Outcome::Removed(removal) => removal,
        };
        let flags =
            [(removal.similarity.is_some(), HAS_SIMILARITY), (removal.band.is_some(), HAS_BAND)];
        let flags = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag);
        bytes.push(flags.fold(IS_REMOVED, |all, flag| all | flag));
        bytes.extend_from_slice(&removal.witness.to_u64().to_le_bytes());
        put_text(bytes, &removal.witness_id);
        bytes.extend_from_slice(&removal.witness_source.to_le_bytes());
        put_text(bytes, &removal.witness_dump);
        bytes.extend(removal.similarity.iter().flat_map(|similarity| similarity.0.to_le_bytes()));
        bytes.extend(removal.band.iter().flat_map(|band| band.to_le_bytes()));
    }

    /// Returns the decision with this key and payload; none if they are not those of a decision.
    pub(crate) fn decode(key: &[u8], payload: &[u8]) -> Option<Self> {
        let document = u64::from_be_bytes(key.try_into().ok()?);
        let mut fields = Fields(payload);
        let decision = Self {
            document: Document::from_u64(document),
            source: fields.u32()?,
            dump: fields.text()?,
            cluster_size: fields.u32()?,
            outcome: match fields.u8()? {
                0 => Outcome::Kept { near_duplicates: fields.u32()? },
                flags => Outcome::Removed(Removal::take(&mut fields, flags)?),
            },
        };
        fields.end()?;
        Some(decision)
    }
}

impl Removal {
    fn take(fields: &mut Fields<'_>, flags: u8) -> Option<Self> {
        if flags & IS_REMOVED == 0 || flags & !(IS_REMOVED | HAS_SIMILARITY | HAS_BAND) != 0 {
            return None;
        }
        Some(Self {
            witness: Document::from_u64(fields.u64()?),
            witness_id: fields.text()?,
            witness_source: fields.u32()?,
            witness_dump: fields.text()?,
            similarity: match flags & HAS_SIMILARITY {
                0 => None,
                _ => Some(Similarity(fields.u16()?)),
            },
            band: match flags & HAS_BAND {
                0 => None,
                _ => Some(fields.u16()?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decisions() -> impl Strategy<Value = Decision> {
        let witness = (any::<u64>(), ".{0,9}", any::<u32>(), "[a-z0-9-]{0,9}");
        let measured = (any::<Option<u16>>(), any::<Option<u16>>());
        let removed = (witness, measured).prop_map(|(witness, (similarity, band))| {
            Outcome::Removed(Removal {
                witness: Document::from_u64(witness.0),
                witness_id: witness.1,
                witness_source: witness.2,
                witness_dump: witness.3,
                similarity: similarity.map(Similarity),
                band,
            })
        });
        let kept = any::<u32>().prop_map(|near_duplicates| Outcome::Kept { near_duplicates });
        let outcome = prop_oneof![kept, removed];
        let fields = (any::<u64>(), any::<u32>(), ".{0,9}", any::<u32>(), outcome);
        fields.prop_map(|(document, source, dump, cluster_size, outcome)| Decision {
            document: Document::from_u64(document),
            source,
            dump,
            cluster_size,
            outcome,
        })
    }

    proptest! {
        #[test]
        fn decisions_survive_their_encoding_and_a_cut_one_is_refused(
            decision in decisions(), cut in any::<prop::sample::Index>(),
        ) {
            let mut payload = Vec::new();
            decision.put_payload(&mut payload);
            let key = decision.key();
            prop_assert_eq!(Decision::decode(&key, &payload), Some(decision));
            prop_assert_eq!(Decision::decode(&key, &payload[..cut.index(payload.len())]), None);
            prop_assert_eq!(Decision::decode(&key, &[&payload[..], &[0]].concat()), None);
            prop_assert_eq!(Decision::decode(&key[1..], &payload), None);
        }

        #[test]
        fn hostile_decisions_are_refused_without_a_panic(
            key in any::<[u8; 8]>(), payload in prop::collection::vec(0_u8..9, 0..70),
        ) {
            if let Some(decision) = Decision::decode(&key, &payload) {
                let mut encoded = Vec::new();
                decision.put_payload(&mut encoded);
                prop_assert_eq!(encoded, payload);
            }
        }
    }
}
