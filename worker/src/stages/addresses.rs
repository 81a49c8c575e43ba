//! Keeps documents by their URL, as RedPajama-Data-1T kept pages.
//!
//! Its script read the files in order. For each URL of a file it took the digest of the last page
//! there, and kept the URL if the digest was new. Then it wrote every page of every file whose URL
//! was kept. So a page with a kept URL is kept whatever its text.
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
use thresher_unit::staging::{DocumentFile, DocumentSummary};

/// Suffix of the file of excluded documents.
pub(super) const SUFFIX: &str = "addresses";

/// Memory of one address in a hash set, including unused space.
const ADDRESS_BYTES: u64 = 18;

/// The addresses of an input's documents while they are prepared.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    /// The place of the first page and the key of the last page, by address.
    input: BTreeMap<u64, (u32, u128)>,
}

impl AddressBook {
    /// Adds the document at `place`, and returns the hash of its address.
    pub(super) fn add(&mut self, url: &str, key: u128, place: u32) -> u64 {
        let address = xxh3_64(url.as_bytes());
        self.input.entry(address).or_insert((place, key)).1 = key;
        address
    }

    /// Adds the input's keys to those of the unit. It must be called after the input's last page.
    pub(super) fn end_input(&mut self, keys: &mut KeyCollector<u128>) -> Result<(), KeysError> {
        for (place, key) in std::mem::take(&mut self.input).into_values() {
            keys.push(key, place)?;
        }
        Ok(())
    }
}

/// Returns the documents of a LAYOUT unit's source whose address is not kept.
pub(super) fn decide(
    context: &JobContext,
    unit: &LayoutUnit,
    duplicates: &Duplicates,
) -> Result<Excluded, UnitError> {
    let own = unit.first_unit..unit.first_unit + unit.units;
    let present = |number: &u32| unit.job_absent.binary_search(number).is_err();
    let (mut addressed, mut total) = (Vec::new(), 0);
    for number in (0..unit.job_units).filter(present) {
        let count = staged(context, number)?.addressed();
        if count > 0 {
            addressed.push(number);
            total += count;
        }
    }
    let memory = context.key_memory().max(ADDRESS_BYTES);
    let passes = (total * ADDRESS_BYTES).div_ceil(memory).max(1);
    let mut excluded = Excluded::default();
    for pass in 0..passes {
        let mut kept = HashSet::new();
        for number in &addressed {
            let summaries = staged(context, *number)?.summaries()?;
            let verdicts = duplicates.of(context, *number)?;
            let stays = |place| verdicts.as_ref().is_none_or(|v| !v.is_dropped(place));
            let firsts = first_places(&summaries);
            let in_pass = firsts.filter(|(_, address)| pass_of(*address, passes) == pass);
            kept.extend(in_pass.filter(|(place, _)| stays(*place)).map(|(_, address)| address));
        }
        for number in addressed.iter().filter(|number| own.contains(number)) {
            let summaries = staged(context, *number)?.summaries()?;
            for (place, address) in (0..).zip(summaries.iter().map(|summary| summary.address)) {
                let in_pass = address.filter(|address| pass_of(*address, passes) == pass);
                if in_pass.is_some_and(|address| !kept.contains(&address)) {
                    excluded.push(*number, place);
                }
            }
        }
    }
    excluded.sort();
    Ok(excluded)
}

fn staged(context: &JobContext, unit: u32) -> Result<DocumentFile, UnitError> {
    DocumentFile::open(&context.work.unit_file(Stage::Prepare, unit, "documents"), unit)
}

/// Returns the pass that handles an address.
fn pass_of(address: u64, passes: u64) -> u64 {
    ((u128::from(address) * u128::from(passes)) >> 64) as u64
}

/// Returns the place of the first page of each address in each input, because only its verdict
/// counts.
fn first_places(summaries: &[DocumentSummary]) -> impl Iterator<Item = (u32, u64)> {
    let mut seen = HashSet::new();
    (0_u32..).zip(summaries).filter_map(move |(place, summary)| {
        if summary.starts_input {
            seen.clear();
        }
        let address = summary.address?;
        seen.insert(address).then_some((place, address))
    })
}
