//! Documents kept by their address, as RedPajama-Data-1T kept pages.
//!
//! Its script looked through the files in order, took of each file every address with the digest
//! of the last page there, kept the address where the digest was new, and then wrote every page of
//! every file whose address was kept. So a page of a kept address stays whatever it says.
//!
//! ```text
//! PREPARE   for each address of an input: the key of its last page, at the place of its first
//! RESOLVE   the first place of each key
//! LAYOUT    addresses whose place stays → pages of these addresses
//! ```
//! Addresses are compared as 64 bits of xxh3 of their bytes.
//!
//! **Invariant:** the result is a function of the units in canonical order, whatever the
//! memory: less of it means more passes over the addresses.

use std::collections::{BTreeMap, HashSet};

use thresher_proto::pb::{LayoutUnit, Stage};
use xxhash_rust::xxh3::xxh3_64;

use super::JobContext;
use super::duplicates::Duplicates;
use super::excluded::Excluded;
use thresher_dedup::keys::{KeyCollector, KeysError};
use thresher_unit::UnitError;
use thresher_unit::staging::{DOCUMENTS, DocumentFile, UnitFacts};

/// Suffix of the file of excluded documents.
pub(super) const SUFFIX: &str = "addresses";

/// What one address takes in a hash set, spare room included.
const ADDRESS_BYTES: u64 = 18;

/// The addresses of a unit's documents while they are prepared.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    /// Of each document.
    addresses: Vec<u64>,
    /// Of the input that is being read: the place of the first page and the key of the last.
    input: BTreeMap<u64, (u32, u128)>,
}

impl AddressBook {
    /// Adds the unit's next document.
    pub(super) fn push(&mut self, url: &str, key: u128) {
        let (address, place) = (xxh3_64(url.as_bytes()), self.addresses.len() as u32);
        self.addresses.push(address);
        self.input.entry(address).or_insert((place, key)).1 = key;
    }

    /// Hands the input's keys over: no page of it follows.
    pub(super) fn end_input(&mut self, keys: &mut KeyCollector<u128>) -> Result<(), KeysError> {
        for (place, key) in std::mem::take(&mut self.input).into_values() {
            keys.push(key, place)?;
        }
        Ok(())
    }

    /// The address of each document.
    pub(super) fn finish(mut self, keys: &mut KeyCollector<u128>) -> Result<Vec<u64>, KeysError> {
        self.end_input(keys)?;
        Ok(self.addresses)
    }
}

/// The documents of a LAYOUT unit's source whose address is not kept.
pub(super) fn decide(
    context: &JobContext,
    unit: &LayoutUnit,
    duplicates: &Duplicates,
) -> Result<Excluded, UnitError> {
    let own = unit.first_unit..unit.first_unit + unit.units;
    let present = |number: &u32| unit.job_absent.binary_search(number).is_err();
    let (mut addressed, mut total) = (Vec::new(), 0);
    for number in (0..unit.job_units).filter(present) {
        let count = facts(context, number)?.addresses.len() as u64;
        if count > 0 {
            addressed.push(number);
            total += count;
        }
    }
    let memory = context.job.dedup.memory.0.max(ADDRESS_BYTES);
    let passes = (total * ADDRESS_BYTES).div_ceil(memory).max(1);
    let mut excluded = Excluded::default();
    for pass in 0..passes {
        let mut kept = HashSet::new();
        for number in &addressed {
            let facts = facts(context, *number)?;
            let verdicts = duplicates.of(context, *number)?;
            let stays = |place| verdicts.as_ref().is_none_or(|v| !v.is_dropped(place));
            let firsts = first_places(&facts);
            let in_pass = firsts.filter(|(_, address)| pass_of(*address, passes) == pass);
            kept.extend(in_pass.filter(|(place, _)| stays(*place)).map(|(_, address)| address));
        }
        for number in addressed.iter().filter(|number| own.contains(number)) {
            for (place, address) in (0..).zip(facts(context, *number)?.addresses) {
                if pass_of(address, passes) == pass && !kept.contains(&address) {
                    excluded.push(*number, place);
                }
            }
        }
    }
    excluded.sort();
    Ok(excluded)
}

fn facts(context: &JobContext, unit: u32) -> Result<UnitFacts, UnitError> {
    let path = context.work.unit_file(Stage::Prepare, unit, "documents");
    DocumentFile::open(&path, DOCUMENTS, unit)?.facts()
}

/// Which of the passes looks at an address.
fn pass_of(address: u64, passes: u64) -> u64 {
    ((u128::from(address) * u128::from(passes)) >> 64) as u64
}

/// The place of the first page of each address in each input, where alone its verdict counts.
fn first_places(facts: &UnitFacts) -> impl Iterator<Item = (u32, u64)> {
    let mut seen = HashSet::new();
    let mut starts = facts.input_starts.iter().peekable();
    (0_u32..).zip(&facts.addresses).filter_map(move |(place, address)| {
        while starts.next_if(|start| **start <= place).is_some() {
            seen.clear();
        }
        seen.insert(*address).then_some((place, *address))
    })
}
