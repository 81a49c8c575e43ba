//! A document of a component, with all that the comparison needs to know about it.
//!
//! The sort key of a member is its component, its rank and its document, so sorted members are
//! grouped by component, and each component is in the order of survival.

use thresher_near::similarity::ContainedText;

use crate::codec::{Fields, put_text, put_u32s, put_u64s};
use crate::document::Document;

/// A document that shares a band with another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The smallest document of its component.
    pub component: Document,
    /// The order of survival within the component: smaller bytes first, then smaller documents.
    pub rank: Vec<u8>,
    /// The document, its names and its bands.
    pub head: Head,
    /// What it is compared by.
    pub evidence: Evidence,
}

/// A member without what it is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The document.
    pub document: Document,
    /// Number of its source.
    pub source: u32,
    /// The dump that it is from; empty if its source has none.
    pub dump: String,
    /// Its published identifier.
    pub id: String,
    /// Its band keys, by band.
    pub keys: Vec<u64>,
}

/// What a member is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing: candidates count as similar.
    None,
    /// The sorted set of its hashed n-grams.
    Shingles(Vec<u64>),
    /// What the rule of containment reads.
    Text(TextEvidence),
}

/// What the rule of containment reads of a text; see [`ContainedText`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextEvidence {
    /// Characters of the text.
    pub characters: u64,
    /// The hashed tokens in their order.
    pub tokens: Vec<u32>,
    /// The sorted set of hashed runs of three tokens.
    pub trigrams: Vec<u64>,
    /// The sorted set of hashed runs of five characters.
    pub character_grams: Vec<u64>,
}

impl TextEvidence {
    /// Returns it as the rule of containment takes it.
    pub fn contained(&self) -> ContainedText<'_> {
        ContainedText {
            characters: self.characters,
            tokens: &self.tokens,
            trigrams: &self.trigrams,
            character_grams: &self.character_grams,
        }
    }
}

const NO_EVIDENCE: u8 = 0;
const SHINGLES: u8 = 1;
const TEXT: u8 = 2;

impl Member {
    /// Appends the sort key.
    pub(crate) fn put_key(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.component.to_u64().to_be_bytes());
        put_rank(key, &self.rank);
        key.extend_from_slice(&self.head.document.to_u64().to_be_bytes());
    }

    /// Appends what the sort key does not say.
    pub(crate) fn put_payload(&self, payload: &mut Vec<u8>) {
        self.head.put(payload);
        self.evidence.put(payload);
    }

    /// Returns the member with this key and payload; none if they are not those of a member.
    pub(crate) fn decode(key: &[u8], payload: &[u8]) -> Option<Self> {
        let (component, rest) = key.split_first_chunk::<8>()?;
        let (rank, document) = rest.split_last_chunk::<8>()?;
        let document = Document::from_u64(u64::from_be_bytes(*document));
        let mut fields = Fields(payload);
        let head = Head::take(&mut fields)?;
        let evidence = Evidence::take(&mut fields)?;
        fields.end()?;
        (head.document == document).then_some(())?;
        let component = Document::from_u64(u64::from_be_bytes(*component));
        Some(Self { component, rank: take_rank(rank)?, head, evidence })
    }
}

impl Head {
    /// Appends all of its fields.
    pub(crate) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.document.to_u64().to_le_bytes());
        bytes.extend_from_slice(&self.source.to_le_bytes());
        put_text(bytes, &self.dump);
        put_text(bytes, &self.id);
        put_u64s(bytes, &self.keys);
    }

    /// Reads what [`Head::put`] appended.
    pub(crate) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            document: Document::from_u64(fields.u64()?),
            source: fields.u32()?,
            dump: fields.text()?,
            id: fields.text()?,
            keys: fields.u64s()?,
        })
    }

    /// Returns about how much memory it needs.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.dump.len() + self.id.len() + self.keys.len() * 8
    }

    /// Returns the first band in which both have the same key.
    pub(crate) fn common_band(&self, other: &Self) -> Option<u16> {
        (0..=u16::MAX)
            .zip(self.keys.iter().zip(&other.keys))
            .find_map(|(band, (own, key))| (own == key).then_some(band))
    }
}

impl Evidence {
    /// Appends all of its fields.
    pub(crate) fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::None => bytes.push(NO_EVIDENCE),
            Self::Shingles(shingles) => {
                bytes.push(SHINGLES);
                put_u64s(bytes, shingles);
            }
            Self::Text(text) => {
                bytes.push(TEXT);
                bytes.extend_from_slice(&text.characters.to_le_bytes());
                put_u32s(bytes, &text.tokens);
                put_u64s(bytes, &text.trigrams);
                put_u64s(bytes, &text.character_grams);
            }
        }
    }

    /// Reads what [`Evidence::put`] appended.
    pub(crate) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        match fields.u8()? {
            NO_EVIDENCE => Some(Self::None),
            SHINGLES => fields.u64s().map(Self::Shingles),
            TEXT => Some(Self::Text(TextEvidence {
                characters: fields.u64()?,
                tokens: fields.u32s()?,
                trigrams: fields.u64s()?,
                character_grams: fields.u64s()?,
            })),
            _ => None,
        }
    }

    /// Returns about how much memory it needs.
    pub(crate) fn memory_bytes(&self) -> usize {
        let lists = match self {
            Self::None => 0,
            Self::Shingles(shingles) => shingles.len() * 8,
            Self::Text(text) => {
                text.tokens.len() * 4 + (text.trigrams.len() + text.character_grams.len()) * 8
            }
        };
        size_of::<Self>() + lists
    }
}

/// Appends a rank so that it sorts as its bytes do, whatever follows: a zero is followed by a one,
/// and the end is two zeros.
fn put_rank(key: &mut Vec<u8>, rank: &[u8]) {
    for &byte in rank {
        key.push(byte);
        if byte == 0 {
            key.push(1);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// Returns the rank that [`put_rank`] appended.
fn take_rank(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rank = Vec::with_capacity(bytes.len());
    loop {
        match bytes {
            [0, 0] => return Some(rank),
            [0, 1, rest @ ..] => {
                rank.push(0);
                bytes = rest;
            }
            [0, ..] | [] => return None,
            [byte, rest @ ..] => {
                rank.push(*byte);
                bytes = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn documents() -> impl Strategy<Value = Document> {
        (any::<u32>(), any::<u32>()).prop_map(|(unit, place)| Document { unit, place })
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        let numbers = || prop::collection::vec(any::<u64>(), 0..5);
        let tokens = prop::collection::vec(any::<u32>(), 0..5);
        let text = (any::<u64>(), tokens, numbers(), numbers());
        let text = text.prop_map(|(characters, tokens, trigrams, character_grams)| {
            Evidence::Text(TextEvidence { characters, tokens, trigrams, character_grams })
        });
        prop_oneof![Just(Evidence::None), numbers().prop_map(Evidence::Shingles), text]
    }

    fn members() -> impl Strategy<Value = Member> {
        let rank = prop::collection::vec(0_u8..3, 0..4);
        let keys = prop::collection::vec(any::<u64>(), 0..4);
        let names = (any::<u32>(), "[a-z0-9-]{0,9}", ".{0,9}");
        (0_u64..2, rank, documents(), names, keys, evidence()).prop_map(
            |(component, rank, document, (source, dump, id), keys, evidence)| Member {
                component: Document::from_u64(component),
                rank,
                head: Head { document, source, dump, id, keys },
                evidence,
            },
        )
    }

    fn encoded(member: &Member) -> (Vec<u8>, Vec<u8>) {
        let (mut key, mut payload) = (Vec::new(), Vec::new());
        member.put_key(&mut key);
        member.put_payload(&mut payload);
        (key, payload)
    }

    proptest! {
        #[test]
        fn members_survive_their_encoding_and_a_cut_one_is_refused(
            member in members(), cut in any::<prop::sample::Index>(),
        ) {
            let (key, payload) = encoded(&member);
            prop_assert_eq!(Member::decode(&key, &payload), Some(member));
            let shorter = &payload[..cut.index(payload.len())];
            prop_assert_eq!(Member::decode(&key, shorter), None);
            prop_assert_eq!(Member::decode(&key[..cut.index(key.len())], &payload), None);
            prop_assert_eq!(Member::decode(&key, &[&payload[..], &[0]].concat()), None);
        }

        #[test]
        fn sort_keys_have_the_order_of_survival(left in members(), right in members()) {
            let order = |member: &Member| {
                (member.component, member.rank.clone(), member.head.document)
            };
            let keys = (encoded(&left).0, encoded(&right).0);
            prop_assert_eq!(keys.0.cmp(&keys.1), order(&left).cmp(&order(&right)));
        }

        #[test]
        fn hostile_members_are_refused_without_a_panic_or_a_large_allocation(
            key in prop::collection::vec(any::<u8>(), 0..40),
            payload in prop::collection::vec(prop_oneof![Just(0), Just(255), any::<u8>()], 0..80),
        ) {
            let document = key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
            let start = document.unwrap_or_default().to_le_bytes();
            let payload = [&start[..], &payload].concat();
            if let Some(member) = Member::decode(&key, &payload) {
                prop_assert_eq!(encoded(&member), (key, payload));
            }
        }
    }

    #[test]
    fn the_common_band_is_the_first_with_equal_keys() {
        let head = |keys: &[u64]| Head {
            document: Document { unit: 0, place: 0 },
            source: 0,
            dump: String::new(),
            id: String::new(),
            keys: keys.to_vec(),
        };
        assert_eq!(head(&[1, 2, 3]).common_band(&head(&[2, 2, 3])), Some(1));
        assert_eq!(head(&[1, 2]).common_band(&head(&[2, 1])), None);
        assert_eq!(head(&[]).common_band(&head(&[2, 1])), None);
    }
}
