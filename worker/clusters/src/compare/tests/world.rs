//! Corpora of random members, and the way of one through all files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use rand::{RngExt, rngs::SmallRng, seq::SliceRandom};
use thresher_near::components;

use super::*;
use crate::decision::Decision;
use crate::decisions::{DecisionFile, Group, decide};
use crate::member::{Head, TextEvidence};
use crate::members_file::MembersWriter;

/// A document, with everything that any comparison may read.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) head: Head,
    pub(super) rank: Vec<u8>,
    pub(super) text: TextEvidence,
}

/// Documents in the order of their positions.
#[derive(Debug)]
pub(super) struct World {
    pub(super) documents: Vec<Known>,
}

/// One way of comparing a world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) settings: Settings,
    /// Documents of sources from this number on are kept.
    pub(super) kept_from: u32,
    pub(super) parts: u32,
    pub(super) group_units: u32,
}

/// What came out.
pub(super) struct Decided {
    pub(super) decisions: BTreeMap<Document, Decision>,
    pub(super) tally: CompareTally,
    /// The file of each group.
    pub(super) files: Vec<Vec<u8>>,
}

impl Run {
    /// Draws everything but the settings.
    pub(super) fn random(random: &mut SmallRng) -> Self {
        let settings = Settings {
            verify: Verify::None,
            survivors: Survivors::Witness,
            first_kept: 1,
            memory_bytes: 0,
        };
        let (parts, group_units) = (random.random_range(1..6), random.random_range(1..5));
        Self { settings, kept_from: u32::MAX, parts, group_units }
    }
}

fn known(document: Document, keys: Vec<u64>, tokens: Vec<u32>) -> Known {
    let trigrams = tokens.windows(3).map(|run| {
        run.iter().fold(7_u64, |hash, &token| (hash ^ u64::from(token)).wrapping_mul(0x9E37_79B9))
    });
    let trigrams: BTreeSet<u64> = trigrams.collect();
    let trigrams: Vec<u64> = trigrams.into_iter().collect();
    let text = TextEvidence {
        characters: tokens.len() as u64 * 5,
        character_grams: trigrams.clone(),
        tokens,
        trigrams,
    };
    let Document { unit, place } = document;
    let (source, dump) = (unit % 2, format!("dump-{}", unit / 2 % 2));
    let head = Head { document, source, dump, id: format!("{unit}/{place}"), keys };
    Known { head, rank: Vec::new(), text }
}

impl World {
    /// Draws families of texts, of which some share bands by chance.
    pub(super) fn random(random: &mut SmallRng) -> Self {
        let families: Vec<Vec<u32>> = (0..random.random_range(1..12))
            .map(|_| (0..random.random_range(0..40)).map(|_| random.random_range(0..90)).collect())
            .collect();
        let (bands, keys_per_band) = (random.random_range(1..7), random.random_range(2..60));
        let mut documents = Vec::new();
        for unit in 0..random.random_range(1..9) {
            for place in 0..random.random_range(0..25) {
                let family = random.random_range(0..families.len());
                let mut tokens = families[family].clone();
                for _ in 0..random.random_range(0..3) {
                    if !tokens.is_empty() {
                        let at = random.random_range(0..tokens.len());
                        tokens[at] = random.random_range(0..90);
                    }
                }
                tokens.truncate(tokens.len() - random.random_range(0..=tokens.len() / 8));
                let keys = (0..bands).map(|band| {
                    let by_family = random.random_range(0..3) > 0;
                    let drawn =
                        if by_family { family } else { random.random_range(0..keys_per_band) };
                    (drawn as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ band
                });
                let mut document =
                    known(Document { unit, place: place * 3 }, keys.collect(), tokens);
                document.rank =
                    (0..random.random_range(0..3)).map(|_| random.random_range(0..3)).collect();
                documents.push(document);
            }
        }
        Self { documents }
    }

    /// Documents of which each shares most trigrams, and one band, with the next one.
    pub(super) fn chain(count: u32) -> Self {
        let document = |at: u32| {
            let tokens = (at * 3..at * 3 + 22).collect();
            let keys = vec![u64::from(at / 2), 1 << 40 | u64::from(at.div_ceil(2))];
            known(Document { unit: at / 40, place: at % 40 }, keys, tokens)
        };
        Self { documents: (0..count).map(document).collect() }
    }

    /// Documents that have one band in common, and nothing else.
    pub(super) fn one_group(count: u32) -> Self {
        let document = |at: u32| {
            let keys = vec![u64::from(at) << 20, 7];
            known(
                Document { unit: at / 40, place: at % 40 },
                keys,
                (at * 30..at * 30 + 30).collect(),
            )
        };
        Self { documents: (0..count).map(document).collect() }
    }

    /// Counts the trigrams that two documents have in common, and those that one of them has.
    pub(super) fn counted(&self, left: Document, right: Document) -> (u64, u64) {
        let set = |document: Document| -> BTreeSet<u64> {
            let at = self.documents.binary_search_by_key(&document, |known| known.head.document);
            self.documents[at.unwrap()].text.trigrams.iter().copied().collect()
        };
        let (left, right) = (set(left), set(right));
        (left.intersection(&right).count() as u64, left.union(&right).count() as u64)
    }

    /// Returns the documents that share a key with another one, with their components.
    fn labels(&self) -> BTreeMap<Document, Document> {
        let mut groups: HashMap<u64, Vec<u64>> = HashMap::new();
        for known in &self.documents {
            for key in &known.head.keys {
                groups.entry(*key).or_default().push(known.head.document.to_u64());
            }
        }
        let mut edges = Vec::new();
        groups.into_values().for_each(|mut group| {
            group.dedup();
            components::star(&group, &mut edges);
        });
        let labels = components::of_edges(&edges).into_iter();
        labels.map(|(u, v)| (Document::from_u64(u), Document::from_u64(v))).collect()
    }

    /// Returns the members in any order.
    pub(super) fn members(&self, verify: Verify, random: &mut SmallRng) -> Vec<Member> {
        let labels = self.labels();
        let member = |known: &Known| {
            let component = *labels.get(&known.head.document)?;
            let evidence = match verify {
                Verify::Jaccard(_) => Evidence::Shingles(known.text.trigrams.clone()),
                Verify::Containment => Evidence::Text(known.text.clone()),
                Verify::None => Evidence::None,
            };
            Some(Member { component, rank: known.rank.clone(), head: known.head.clone(), evidence })
        };
        let mut members: Vec<Member> = self.documents.iter().filter_map(member).collect();
        members.shuffle(random);
        members
    }

    /// Writes, compares and decides.
    pub(super) fn decided(&self, run: &Run, random: &mut SmallRng) -> Decided {
        let folder = tempfile::tempdir().unwrap();
        let members = self.members(run.settings.verify, random);
        let member_files = write_members(&members, run, folder.path());
        let mut tally = CompareTally::default();
        let mut part_files = Vec::new();
        for part in 0..run.parts {
            let task = CompareTask {
                members: &member_files,
                parts: run.parts,
                part,
                group_units: run.group_units,
                settings: run.settings,
                kept_from_source: run.kept_from,
                scratch_folder: folder.path(),
                open_files: random.random_range(0..3),
            };
            let (bytes, counted) = compare(&task, Vec::new()).unwrap();
            tally.add(counted);
            let path = folder.path().join(format!("{part}.decisions"));
            fs::write(&path, bytes).unwrap();
            part_files.push(RunFile { number: part, path });
        }
        let units = self.documents.last().map_or(0, |known| known.head.document.unit + 1);
        let (mut decisions, mut files) = (BTreeMap::new(), Vec::new());
        for group in 0..units.div_ceil(run.group_units) {
            let group = Group { group, group_units: run.group_units };
            let (bytes, summary) = decide(&part_files, group, 1, Vec::new()).unwrap();
            let path = folder.path().join("group");
            fs::write(&path, &bytes).unwrap();
            let file = DecisionFile::open(&path).unwrap();
            assert_eq!(file.summary(), summary);
            for unit in (0..units).filter(|unit| group.has(*unit)) {
                let of_unit = file.of_unit(unit).unwrap();
                decisions.extend(of_unit.into_iter().map(|decision| (decision.document, decision)));
            }
            files.push(bytes);
        }
        Decided { decisions, tally, files }
    }
}

/// Writes the members files of all groups, with little memory.
pub(super) fn write_members(members: &[Member], run: &Run, folder: &Path) -> Vec<RunFile> {
    let mut groups: BTreeMap<u32, Vec<&Member>> = BTreeMap::new();
    for member in members {
        let group = group_of(member.head.document.unit, run.group_units);
        groups.entry(group).or_default().push(member);
    }
    let write = |(number, members): (u32, Vec<&Member>)| {
        let mut writer = MembersWriter::new(Vec::new(), run.parts, 4_000, folder).unwrap();
        members.iter().for_each(|member| writer.push(member).unwrap());
        let (bytes, count) = writer.finish().unwrap();
        assert_eq!(count, members.len() as u64);
        let path = folder.join(format!("{number}.members"));
        fs::write(&path, bytes).unwrap();
        RunFile { number, path }
    };
    groups.into_iter().map(write).collect()
}
