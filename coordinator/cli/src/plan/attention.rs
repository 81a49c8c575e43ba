//! What the sample of a plan shows that a person should look at before the job runs: sources that
//! are mostly quarantined, or of which nothing would be published.

use thresher_coordinator::amounts::{count, share};
use thresher_job::JobSpec;
use thresher_worker::inspect::{SourceSurvey, Survey};

/// With fewer sampled records, only a source whose every record is quarantined is worth a look: a
/// sample ends in the middle of an input, which can damage its last record.
const LEAST_RECORDS: u64 = 100;

/// Returns one sentence for each source that needs a look.
pub(super) fn attention(job: &JobSpec, survey: &Survey) -> Vec<String> {
    survey.sources.iter().filter_map(|source| of_source(job, source)).collect()
}

fn of_source(job: &JobSpec, source: &SourceSurvey) -> Option<String> {
    let SourceSurvey { name, sample, quarantined_as, .. } = source;
    let (records, quarantined) = (sample.records, sample.quarantined);
    if records == 0 {
        return None;
    }
    let all = count(records);
    if quarantined == records {
        return Some(format!(
            "all {all} sampled records of `{name}` were quarantined: {quarantined_as}"
        ));
    }
    if sample.documents == 0 {
        return Some(format!(
            "none of the {all} sampled records of `{name}` would be published: {} were \
             quarantined, {} have a text, and the recipe drops them all",
            count(quarantined),
            count(sample.pages)
        ));
    }
    let most = job.units.max_quarantined_share;
    let is_much = quarantined as f64 > records as f64 * most && records >= LEAST_RECORDS;
    is_much.then(|| {
        format!(
            "{} of {all} sampled records of `{name}` ({}) were quarantined, mostly \
             {quarantined_as}; with more than {:.1} % the job stops (`units.max_quarantined_share`)",
            count(quarantined),
            share(quarantined, records),
            most * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::estimate::tests::{job, survey};
    use super::*;

    fn seen(records: u64, quarantined: u64, documents: u64) -> Vec<String> {
        let mut survey = survey();
        let source = &mut survey.sources[0];
        source.quarantined_as = "c4/not_json".to_owned();
        (source.sample.records, source.sample.quarantined) = (records, quarantined);
        source.sample.documents = documents;
        attention(&job(), &survey)
    }

    #[test]
    fn a_source_that_gives_nothing_or_is_mostly_damaged_is_named_with_the_reason() {
        for (found, words) in [
            (seen(20, 20, 0), "all 20 sampled records of `commoncrawl` were quarantined: c4/not_"),
            (seen(20, 3, 0), "none of the 20 sampled records of `commoncrawl` would be published"),
            (seen(1000, 200, 500), "200 of 1,000 sampled records of `commoncrawl` (20.0 %)"),
        ] {
            assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_sound_sample_and_one_with_a_damaged_end_need_no_look() {
        assert_eq!(seen(1000, 100, 500), Vec::<String>::new());
        assert_eq!(seen(20, 5, 15), Vec::<String>::new());
        assert_eq!(seen(0, 0, 0), Vec::<String>::new());
    }
}
