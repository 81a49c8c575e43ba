//! What a person should look at: sources that are mostly quarantined, or of which nothing is
//! published. While the job can still be changed it stops; at its end the output says so.

use thresher_domain::escape;

use crate::plan::{Limits, SourcePlan};
use crate::source_sums::SourceSum;
use crate::units::Units;

/// With fewer records of a source, its quarantined share does not stop the job.
const MIN_RECORDS: u64 = 1000;
/// With fewer records of a source, its quarantined share is not worth a look.
const MIN_RECORDS_TO_LOOK: u64 = 100;

/// Fewer damaged inputs are not worth a look, unless they are half of the source's inputs.
const MIN_DAMAGED_INPUTS: u64 = 3;

/// Returns why the job should stop, if too much of the source was quarantined.
pub(crate) fn too_much_quarantined(
    units: &Units,
    source: usize,
    plans: &[SourcePlan],
    limits: &Limits,
) -> Option<String> {
    let sum = units.sources.of(source).filter(|sum| sum.read >= MIN_RECORDS)?;
    let text = quarantined_text(sum, &plans.get(source)?.name, limits)?;
    Some(format!(
        "{text}\nhint: `thresher status` names the reasons; correct the source or its inputs, or \
         raise `max_quarantined_share` if this is right, then run the same command again"
    ))
}

/// Returns what to look at before the output of a complete job is used.
pub(crate) fn attention(units: &Units, plans: &[SourcePlan], limits: &Limits) -> Vec<String> {
    let found = plans.iter().enumerate().filter_map(|(source, plan)| {
        let none = SourceSum::default();
        let sum = units.sources.of(source).unwrap_or(&none);
        if sum.published == 0 && !plan.is_earlier && !is_explained(sum) {
            return Some(nothing_published(sum, &plan.name));
        }
        if sum.published == 0 {
            return None;
        }
        let looks = sum.read >= MIN_RECORDS_TO_LOOK;
        let quarantined = looks.then(|| quarantined_text(sum, &plan.name, limits)).flatten();
        let damaged = damaged_text(sum, &plan.name, limits);
        let removed = looks.then(|| removed_text(sum, &plan.name, limits)).flatten();
        [quarantined, damaged, removed]
            .into_iter()
            .flatten()
            .reduce(|both, text| format!("{both}\n{text}"))
    });
    found.collect()
}

/// Returns whether a source of which nothing was published was read as a person asked: all records
/// were dropped by rules with names, and they are few, or filters judged the text of most.
fn is_explained(sum: &SourceSum) -> bool {
    let is_few = (1..MIN_RECORDS_TO_LOOK).contains(&sum.read);
    let is_filtered = sum.read > 0 && sum.filtered > sum.read / 2;
    (is_few || is_filtered) && sum.quarantined == 0 && sum.kept == 0
}

fn quarantined_text(sum: &SourceSum, name: &str, limits: &Limits) -> Option<String> {
    let SourceSum { read, quarantined, .. } = *sum;
    let most = u128::from(read) * u128::from(limits.max_quarantined_permille);
    if u128::from(quarantined) * 1000 <= most {
        return None;
    }
    let percent = u128::from(quarantined) * 100 / u128::from(read.max(1));
    Some(format!(
        "source `{name}`: {quarantined} of {read} records ({percent} %) were quarantined, more \
         than `max_quarantined_share` allows ({} %){}",
        f64::from(limits.max_quarantined_permille) / 10.0,
        mostly(sum),
    ))
}

/// Returns the text about a source of which more documents are gone as near-duplicates than the job
/// file expects: it may be boilerplate that makes them alike.
fn removed_text(sum: &SourceSum, name: &str, limits: &Limits) -> Option<String> {
    let removed = sum.near_duplicates;
    let compared = sum.published.saturating_add(removed);
    let most = u128::from(compared) * u128::from(limits.max_removed_permille);
    if u128::from(removed) * 1000 <= most {
        return None;
    }
    let percent = u128::from(removed) * 100 / u128::from(compared.max(1));
    Some(format!(
        "source `{name}`: {removed} of {compared} documents ({percent} %) were dropped as \
         near-duplicates, more than `near.max_removed_share` expects ({} %)\nhint: `REPORT.md` \
         shows the largest clusters; if their documents are not alike, make `[near]` stricter and \
         start over with `--fresh`; if they are, raise `near.max_removed_share`",
        f64::from(limits.max_removed_permille) / 10.0,
    ))
}

/// Returns the text about inputs of which a part cannot be read, if they are many: one record is
/// counted for each of them, however much is gone. Fewer of them are named where records are
/// counted.
fn damaged_text(sum: &SourceSum, name: &str, limits: &Limits) -> Option<String> {
    let (inputs, damaged) = (sum.inputs, sum.damaged_inputs());
    let most = u128::from(inputs) * u128::from(limits.max_quarantined_permille);
    let is_few = damaged < MIN_DAMAGED_INPUTS && damaged.saturating_mul(2) < inputs;
    if is_few || u128::from(damaged) * 1000 <= most {
        return None;
    }
    let main = sum.main_damage().map_or_else(String::new, |(reason, count)| {
        let records = if count == 1 { "record" } else { "records" };
        format!(", {count} {records} as `{reason}`")
    });
    let first = sum
        .first_damaged()
        .map_or_else(String::new, |input| format!("; the first is `{}`", escape::line(input)));
    let verb = if damaged == 1 { "is damaged or ends" } else { "are damaged or end" };
    Some(format!(
        "source `{name}`: {damaged} of {inputs} inputs {verb} early{main}{first}\nhint: a part of \
         them is missing in the output; fetch them again, then start over with `--fresh`"
    ))
}

fn nothing_published(sum: &SourceSum, name: &str) -> String {
    let SourceSum { read, kept, quarantined, .. } = *sum;
    if read == 0 {
        return format!("nothing of source `{name}` was published: it has no records");
    }
    let dropped = read.saturating_sub(kept).saturating_sub(quarantined);
    format!(
        "nothing of source `{name}` was published: of {read} records {quarantined} were \
         quarantined{}, {dropped} dropped by rules of the recipe, {kept} dropped as duplicates",
        mostly(sum),
    )
}

fn mostly(sum: &SourceSum) -> String {
    let main = sum.main_reason().filter(|(_, count)| *count > 0);
    main.map_or_else(String::new, |(reason, count)| format!(", {count} of them as `{reason}`"))
}

#[cfg(test)]
mod tests {
    use thresher_domain::{Accounting, Count, Counter, Done, Stage, UnitKey};

    use super::*;
    use crate::source_sums::SourceSums;

    fn prepare(ordinal: u32) -> UnitKey {
        UnitKey { stage: Stage::Prepare, ordinal }
    }

    #[test]
    fn a_source_of_which_filters_left_nothing_was_read_as_asked() {
        for (reason, explained) in [
            ("gopher_quality/too_few_stop_words", true),
            ("language/not_kept", false),
            ("dedup/no_line_left", false),
            ("mine/unwanted", false),
        ] {
            let mut sums = SourceSums::default();
            let dropped = vec![Count { name: reason.to_owned(), value: 1000 }];
            let read = Accounting { records_in: 1000, dropped, ..Default::default() };
            sums.add(prepare(0), 0, &Done { accounting: Some(read), ..Done::default() });
            assert_eq!(is_explained(sums.of(0).unwrap()), explained, "{reason}");
        }
    }

    /// Returns sums of a source of which these records were quarantined, by reason, in this
    /// number of damaged inputs.
    fn damaged(inputs: u64, damaged: u64, quarantined: &[(&str, u64)]) -> SourceSums {
        let mut sums = SourceSums::default();
        sums.list(0, inputs);
        let count = |(name, value): &(&str, u64)| Count { name: (*name).to_owned(), value: *value };
        let quarantined = quarantined.iter().map(count).collect();
        let read = Accounting { records_in: 1000, kept: 990, quarantined, ..Default::default() };
        let counters = match damaged {
            0 => Vec::new(),
            some => vec![
                Counter::DamagedInputs.with(some),
                Counter::DamagedInput { input: "b.gz".to_owned() }.with(1),
            ],
        };
        sums.add(prepare(7), 0, &Done { accounting: Some(read), counters, ..Done::default() });
        sums
    }

    #[test]
    fn inputs_that_are_damaged_ask_for_attention_however_few_records_they_are() {
        let limits = Limits { max_quarantined_permille: 100, ..Limits::default() };
        for (inputs, count, reason, asks) in [
            (1, 1, "gzip_damaged", true),
            (2, 1, "gzip_truncated", true),
            (3, 1, "gzip_garbage", false),
            (8, 2, "gzip_truncated", false),
            (8, 3, "gzip_truncated", true),
            (8, 8, "empty_input", true),
            (30, 3, "zstd_truncated", false),
            (30, 4, "gzip_garbage", true),
            (8, 0, "invalid_utf8", false),
        ] {
            let sums = damaged(inputs, count, &[(reason, count)]);
            let text = damaged_text(sums.of(0).unwrap(), "crawl", &limits);
            assert_eq!(text.is_some(), asks, "{count} of {inputs}: {text:?}");
            let start = format!("source `crawl`: {count} of {inputs} inputs ");
            assert!(text.is_none_or(|text| text.starts_with(&start)));
        }
    }

    #[test]
    fn a_source_that_loses_more_near_duplicates_than_expected_asks_for_attention() {
        let limits = Limits { max_removed_permille: 500, ..Limits::default() };
        for (kept, near, asks) in [(500, 500, false), (499, 501, true), (1000, 0, false)] {
            let mut sums = SourceSums::default();
            let dropped = vec![
                Count { name: "dedup/near_duplicate".to_owned(), value: near },
                Count { name: "dedup/duplicate_document".to_owned(), value: 5000 },
            ];
            let published = Accounting { kept, dropped, ..Default::default() };
            let unit = UnitKey { stage: Stage::Publish, ordinal: 0 };
            sums.add(unit, 0, &Done { accounting: Some(published), ..Done::default() });
            let text = removed_text(sums.of(0).unwrap(), "crawl", &limits);
            assert_eq!(text.is_some(), asks, "{kept} {near}");
            assert!(text.is_none_or(|text| text.contains("`crawl`: 501 of 1000 documents (50 %)")));
        }
    }

    #[test]
    fn the_reason_that_is_named_is_that_of_the_damage_and_the_input_is_the_first() {
        let mut sums = damaged(2, 1, &[("invalid_json", 90), ("gzip_truncated", 1)]);
        let first = Counter::DamagedInput { input: "a\u{1b}.gz".to_owned() }.with(1);
        let done = Done {
            accounting: Some(Accounting::default()),
            counters: vec![Counter::DamagedInputs.with(5), first],
            ..Done::default()
        };
        sums.add(prepare(3), 0, &done);
        let text = damaged_text(sums.of(0).unwrap(), "crawl", &Limits::default()).unwrap();
        let (first, hint) = text.split_once('\n').unwrap();
        assert_eq!(
            first,
            "source `crawl`: 2 of 2 inputs are damaged or end early, 1 record as `gzip_truncated`; \
             the first is `a\\u{1b}.gz`"
        );
        assert!(hint.starts_with("hint: a part of them is missing"), "{hint}");
    }
}
