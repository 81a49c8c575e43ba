//! The user's commands that judge a source's documents: each asked in turn about what the one
//! before left.
//!
//! **Invariant:** a command that fails, fails the unit: no document is published without its
//! answer.

use thresher_job::{CommandSpec, JobSpec, SourceSpec};

use thresher_sources::Page;
use thresher_sources::command::{CommandError, ExternalFilter, Question, Verdict, command_line};
use thresher_unit::UnitError;

/// The commands of one unit, running.
pub(super) struct Externals {
    filters: Vec<(String, ExternalFilter)>,
}

impl Externals {
    pub(super) fn start(job: &JobSpec, source: &SourceSpec) -> Result<Self, UnitError> {
        let commands = source.commands.iter().filter_map(|name| job.command(name));
        let start = |command: &CommandSpec| {
            let filter = ExternalFilter::start(&command_line(job, command, None))?;
            Ok((command.name.clone(), filter))
        };
        Ok(Self { filters: commands.map(start).collect::<Result<_, CommandError>>()? })
    }

    /// The text if it was edited, or why the document is dropped.
    pub(super) fn judge(
        &mut self,
        page: &Page<'_>,
        language: Option<&str>,
        text: &str,
    ) -> Result<Result<Option<String>, String>, UnitError> {
        let mut edited: Option<String> = None;
        for (name, filter) in &mut self.filters {
            let text = edited.as_deref().unwrap_or(text);
            let Page { id, url, title, .. } = *page;
            match filter.judge(&Question { id, url, title, language, text })? {
                Verdict::Keep => {}
                Verdict::Rewritten(text) if text.is_empty() => {
                    return Ok(Err(format!("{name}/no_text_left")));
                }
                Verdict::Rewritten(text) => edited = Some(text),
                Verdict::Dropped(reason) => return Ok(Err(format!("{name}/{reason}"))),
            }
        }
        Ok(Ok(edited))
    }

    /// Waits for the ends of all commands.
    pub(super) fn finish(self) -> Result<(), UnitError> {
        self.filters.into_iter().try_for_each(|(_, filter)| Ok(filter.finish()?))
    }
}
