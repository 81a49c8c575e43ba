//! The user's commands that evaluate a source's documents: each gets the text that the
//! one before returned.
//!
//! **Invariant:** if a command fails, the unit fails: no document is published without its answer.

use std::borrow::Cow;

use thresher_formats::stop::Stop;
use thresher_job::{CommandSpec, JobSpec, SourceSpec};

use super::Verdict;
use thresher_sources::Page;
use thresher_sources::command::{self, CommandError, ExternalFilter, Question, command_line};
use thresher_unit::UnitError;

/// The running commands of one unit.
pub(super) struct Commands {
    filters: Vec<(String, ExternalFilter)>,
}

impl Commands {
    pub(super) fn start(
        job: &JobSpec,
        source: &SourceSpec,
        stop: &Stop,
    ) -> Result<Self, UnitError> {
        let commands = source.commands.iter().filter_map(|name| job.command(name));
        let start = |command: &CommandSpec| {
            let filter = ExternalFilter::start(&command_line(job, command, None, stop))?;
            Ok((command.name.clone(), filter))
        };
        Ok(Self { filters: commands.map(start).collect::<Result<_, CommandError>>()? })
    }

    /// Returns the text, edited or not, if all commands keep the document.
    pub(super) fn evaluate<'t>(
        &mut self,
        page: &Page<'_>,
        language: Option<&str>,
        mut text: Cow<'t, str>,
    ) -> Result<Verdict<Cow<'t, str>>, UnitError> {
        for (name, filter) in &mut self.filters {
            let Page { id, url, title, .. } = *page;
            match filter.evaluate(&Question { id, url, title, language, text: &text })? {
                command::Verdict::Keep => {}
                command::Verdict::Rewritten(edited) if edited.is_empty() => {
                    return Ok(Verdict::Dropped(format!("{name}/no_text_left").into()));
                }
                command::Verdict::Rewritten(edited) => text = Cow::Owned(edited),
                command::Verdict::Dropped(reason) => {
                    return Ok(Verdict::Dropped(format!("{name}/{reason}").into()));
                }
            }
        }
        Ok(Verdict::Kept(text))
    }

    /// Waits until all commands exit.
    pub(super) fn finish(self) -> Result<(), UnitError> {
        self.filters.into_iter().try_for_each(|(_, filter)| Ok(filter.finish()?))
    }
}
