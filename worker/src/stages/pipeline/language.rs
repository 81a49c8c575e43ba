//! The language step: identifies the language of a text, and drops what the job does not keep.

use thresher_job::JobSpec;
use thresher_text::language::{Language, LanguageScratch, View};

use super::Verdict;
use crate::stages::Scorers;
use crate::stages::recipe::{LanguageStep, SourceRecipe};

/// Returns the language of `text` if the source has a step that identifies one.
pub(super) fn identify<'m>(
    job: &JobSpec,
    recipe: &SourceRecipe,
    scorers: &'m Scorers,
    scratch: &mut LanguageScratch,
    text: &str,
) -> Verdict<Option<Language<'m>>> {
    let Some(identifier) = &scorers.language else { return Verdict::Kept(None) };
    match recipe.language {
        LanguageStep::Filter => check(job, identifier.identify(scratch, text)),
        LanguageStep::Label => {
            let text = recipe.slice.text_for_language(job, text);
            Verdict::Kept(identifier.identify_as(View::Thresher, scratch, &text))
        }
        LanguageStep::Off => Verdict::Kept(None),
    }
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
