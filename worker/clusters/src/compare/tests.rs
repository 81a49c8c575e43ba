//! Decisions are those of plain programs, whatever the memory, the parts and the order of members.

mod damage;
mod oracle;
mod world;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;
use crate::{Decision, Outcome};
use oracle::Oracle;
use world::{Run, World};

/// All ways in which members may be compared.
fn ways() -> Vec<(Verify, Survivors)> {
    let verify =
        [Verify::Jaccard(Threshold::from_millionths(700_000)), Verify::Containment, Verify::None];
    let both = |verify| [(verify, Survivors::Witness), (verify, Survivors::Components)];
    verify.into_iter().flat_map(both).collect()
}

#[test]
fn decisions_are_those_of_the_plain_program() {
    let seed = rand::random();
    let mut random = SmallRng::seed_from_u64(seed);
    let mut removed = 0;
    for number in 0..40 {
        let world = World::random(&mut random);
        for (verify, survivors) in ways() {
            let first_kept = [1, 2, 3, 64][random.random_range(0..4)];
            let settings = Settings { verify, survivors, first_kept, memory_bytes: usize::MAX };
            let context = format!("seed {seed}, world {number}, {settings:?}");
            let run = Run { settings, ..Run::random(&mut random) };
            let found = world.decided(&run, &mut random);
            let oracle = Oracle::new(&world, &settings);
            assert_eq!(found.decisions, oracle.decisions(), "{context}");
            oracle.check_tally(&found.tally, &context);
            removed += found.tally.removed;
        }
    }
    assert!(removed > 1000, "seed {seed}: the worlds have too few duplicates");
}

#[test]
fn memory_parts_files_and_order_change_no_byte() {
    let seed = rand::random();
    let mut random = SmallRng::seed_from_u64(seed);
    for number in 0..12 {
        let world = World::random(&mut random);
        for (verify, survivors) in ways() {
            let settings = Settings { verify, survivors, first_kept: 2, memory_bytes: usize::MAX };
            let first = Run { settings, ..Run::random(&mut random) };
            let expected = world.decided(&first, &mut random);
            for memory_bytes in [0, 1_000, 30_000, usize::MAX] {
                let settings = Settings { memory_bytes, ..settings };
                let run = Run { group_units: first.group_units, ..Run::random(&mut random) };
                let run = Run { settings, ..run };
                let found = world.decided(&run, &mut random);
                assert!(found.files == expected.files, "seed {seed}, world {number}, {run:?}");
                assert_eq!(found.tally, expected.tally, "seed {seed}, world {number}, {run:?}");
            }
        }
    }
}

#[test]
fn a_document_of_a_kept_source_is_never_removed_and_memory_changes_nothing() {
    let seed = rand::random();
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut would_be_removed, mut removed) = (0, 0);
    for _ in 0..10 {
        let world = World::random(&mut random);
        for (verify, survivors) in ways() {
            let settings = Settings { verify, survivors, first_kept: 3, memory_bytes: usize::MAX };
            let first = Run { settings, ..Run::random(&mut random) };
            let is_kept_source = |decision: &Decision| decision.source >= 1;
            let is_removed = |decision: &&Decision| matches!(decision.outcome, Outcome::Removed(_));
            let free = world.decided(&first, &mut random);
            would_be_removed +=
                free.decisions.values().filter(is_removed).filter(|it| is_kept_source(it)).count();
            let first = Run { kept_from: 1, ..first };
            let found = world.decided(&first, &mut random);
            let gone = found.decisions.values().filter(is_removed);
            gone.for_each(|decision| {
                assert!(!is_kept_source(decision), "seed {seed}: {decision:?}");
                removed += 1;
            });
            let settings = Settings { memory_bytes: 0, ..settings };
            let little = world.decided(&Run { settings, ..first }, &mut random);
            assert_eq!(little.decisions, found.decisions, "seed {seed}");
        }
    }
    assert!(would_be_removed > 10 && removed > 10, "seed {seed}: {would_be_removed} {removed}");
}

#[test]
fn a_witness_is_as_similar_as_the_threshold_and_as_recorded() {
    let seed = rand::random();
    let mut random = SmallRng::seed_from_u64(seed);
    let millionths = 700_000;
    let settings = Settings {
        verify: Verify::Jaccard(Threshold::from_millionths(millionths)),
        survivors: Survivors::Witness,
        first_kept: 64,
        memory_bytes: 10_000,
    };
    let mut removals = 0;
    for _ in 0..20 {
        let world = World::random(&mut random);
        let found = world.decided(&Run { settings, ..Run::random(&mut random) }, &mut random);
        for (document, decision) in &found.decisions {
            let crate::Outcome::Removed(removal) = &decision.outcome else { continue };
            let (common, union) = world.counted(*document, removal.witness);
            assert!(common * 1_000_000 >= union * u64::from(millionths), "seed {seed}");
            let share = common * 65_535 / union.max(1);
            let share = if union == 0 { 65_535 } else { share };
            assert_eq!(u64::from(removal.similarity.unwrap().0), share, "seed {seed}");
            removals += 1;
        }
    }
    assert!(removals > 100, "seed {seed}: only {removals} documents are removed");
}

#[test]
fn a_chain_removes_every_second_document_or_all_but_the_first() {
    // Each shares 17 of 20 shingles with the next one, and 14 with the one after that.
    let chain = World::chain(300);
    let verify = Verify::Jaccard(Threshold::from_millionths(700_000));
    let mut random = SmallRng::seed_from_u64(1);
    for memory_bytes in [0, usize::MAX] {
        for (survivors, removed) in [(Survivors::Witness, 150), (Survivors::Components, 299)] {
            let settings = Settings { verify, survivors, first_kept: 64, memory_bytes };
            let run = Run { settings, ..Run::random(&mut random) };
            let tally = chain.decided(&run, &mut random).tally;
            assert_eq!(tally.removed, removed, "{survivors:?}");
            assert_eq!((tally.components, tally.largest_component), (1, 300));
            assert!(tally.comparisons <= 2 * 300, "{}", tally.comparisons);
        }
    }
}

#[test]
fn a_group_of_different_documents_is_compared_with_its_first_members_alone() {
    let group = World::one_group(500);
    let verify = Verify::Jaccard(Threshold::from_millionths(700_000));
    let mut random = SmallRng::seed_from_u64(1);
    for survivors in [Survivors::Witness, Survivors::Components] {
        let settings = Settings { verify, survivors, first_kept: 10, memory_bytes: 0 };
        let run = Run { settings, ..Run::random(&mut random) };
        let tally = group.decided(&run, &mut random).tally;
        assert_eq!((tally.removed, tally.clusters), (0, 0));
        assert_eq!(tally.comparisons, 45 + 490 * 10);
        assert_eq!(tally.dissimilar, tally.comparisons);
        let all_compared = if survivors == Survivors::Witness { 11 } else { 10 };
        assert_eq!(tally.not_compared, 500 - all_compared, "{survivors:?}");
    }
}
