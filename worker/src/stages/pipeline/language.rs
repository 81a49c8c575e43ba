//! The language step: identifies the language of a text, and drops what the job does not keep.

use std::borrow::Cow;

use thresher_job::{JobSpec, LatexRules, Slice, SourceSpec, Step};
use thresher_text::language::{Language, LanguageScratch, View};

use super::Verdict;
use crate::stages::Scorers;

/// Returns the language of `text` if the source has a step that identifies one.
pub(super) fn identify<'m>(
    job: &JobSpec,
    source: &SourceSpec,
    scorers: &'m Scorers,
    scratch: &mut LanguageScratch,
    text: &str,
) -> Verdict<Option<Language<'m>>> {
    let Some(identifier) = &scorers.language else { return Verdict::Kept(None) };
    if job.has_step(source, Step::Language) {
        return check(job, identifier.identify(scratch, text));
    }
    if job.has_step(source, Step::Told) {
        let text = text_to_identify(job, source.slice, text);
        return Verdict::Kept(identifier.identify_as(View::Thresher, scratch, &text));
    }
    Verdict::Kept(None)
}

/// Drops a document whose language is not clear, or is not one of those that the job keeps.
fn check<'m>(job: &JobSpec, found: Option<Language<'m>>) -> Verdict<Option<Language<'m>>> {
    let Some(found) = found else { return Verdict::Dropped("language/unknown".into()) };
    if found.score < job.language.min_score {
        return Verdict::Dropped("language/low_score".into());
    }
    let keep = &job.language.keep;
    if !keep.is_empty() && !keep.iter().any(|label| label == found.label) {
        return Verdict::Dropped("language/not_kept".into());
    }
    Verdict::Kept(Some(found))
}

/// Returns the text whose language is identified without dropping any document. RedPajama
/// identified the language of papers in lower case.
fn text_to_identify<'t>(job: &JobSpec, slice: Slice, text: &'t str) -> Cow<'t, str> {
    match (slice, job.arxiv.latex) {
        (Slice::Arxiv, LatexRules::RedpajamaV1) => Cow::Owned(text.to_lowercase()),
        _ => Cow::Borrowed(text),
    }
}
