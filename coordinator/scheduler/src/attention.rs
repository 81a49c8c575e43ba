//! What a person should look at: sources that are mostly quarantined, or of which nothing is
//! published. While the job can still be changed it stops; at its end the output says so.

use crate::plan::{Limits, SourcePlan};
use crate::source_sums::SourceSum;
use crate::units::Units;

/// With fewer records of a source, its quarantined share does not stop the job.
const MIN_RECORDS: u64 = 1000;
/// With fewer records of a source, its quarantined share is not worth a look.
const MIN_RECORDS_TO_LOOK: u64 = 100;

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
        if sum.published == 0 && !is_explained(sum) {
            return Some(nothing_published(sum, &plan.name));
        }
        if sum.published == 0 || sum.read < MIN_RECORDS_TO_LOOK {
            return None;
        }
        quarantined_text(sum, &plan.name, limits)
    });
    found.collect()
}

/// Returns whether a source of which nothing was published has so few records, all of them dropped
/// by a rule with a name, that they show no mistake.
fn is_explained(sum: &SourceSum) -> bool {
    (1..MIN_RECORDS_TO_LOOK).contains(&sum.read) && sum.quarantined == 0 && sum.kept == 0
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
