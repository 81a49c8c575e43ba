//! Shows progress on stderr: bars on a terminal, otherwise a line with the time every few seconds.
//!
//! It reads no clock, because each status has its time.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use thresher_proto::pb::{StageStatus, StatusResponse};
use thresher_proto::stage_name;

use super::print;
use super::terminal::Terminal;
use thresher_coordinator::amounts::{bytes, count, rate, span, utc};
use thresher_coordinator::figures::{Pace, ended_units};

/// Shortest time between two lines about the same stage.
const LINE_MILLIS: u64 = 5_000;
/// How often bars are drawn in a second, at most.
const REDRAWS: u8 = 10;
/// Columns of a terminal below which there is no room for the bars themselves.
const WIDTH_OF_BARS: u16 = 80;
/// What is shown of a stage. A line that is too long would be continued on the next row, and the
/// rows above it could not be cleared.
const WIDE: &str = "{prefix:17} {bar:28} {wide_msg}";
const NARROW: &str = "{prefix:17} {wide_msg}";

/// Shows the progress of a job.
pub(super) enum Progress {
    /// Progress bars, for a terminal.
    Bars(Bars),
    /// Lines of text, for a file or a pipe.
    Lines(Lines),
}

impl Progress {
    pub(super) fn on_stderr() -> Self {
        if let Some(terminal) = Terminal::on_stderr() {
            let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal), REDRAWS);
            let all = MultiProgress::with_draw_target(target);
            print::set_bars(Some(all.clone()));
            Self::Bars(Bars { all, stages: BTreeMap::new(), template: "" })
        } else {
            Self::Lines(Lines::default())
        }
    }

    pub(super) fn show(&mut self, status: &StatusResponse) {
        match self {
            Self::Bars(bars) => bars.show(status),
            Self::Lines(lines) => lines.of(status).iter().for_each(|line| print::note(line)),
        }
    }
}

/// One bar for each stage.
pub(super) struct Bars {
    all: MultiProgress,
    stages: BTreeMap<i32, ProgressBar>,
    /// The template of all bars.
    template: &'static str,
}

impl Bars {
    fn show(&mut self, status: &StatusResponse) {
        self.fit(print::columns_of_stderr());
        for stage in &status.stages {
            let bar = self.stages.entry(stage.stage).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new(0).with_style(style(self.template)));
                bar.set_prefix(stage_name(stage.stage()));
                bar
            });
            bar.set_length(stage.units.max(1).into());
            bar.set_position(ended_units(stage).into());
            bar.set_message(message(stage, status.now_millis));
        }
    }
}

impl Bars {
    /// Chooses what fits into this number of columns.
    fn fit(&mut self, columns: Option<u16>) {
        let is_narrow = columns.is_some_and(|columns| columns < WIDTH_OF_BARS);
        let template = if is_narrow { NARROW } else { WIDE };
        if self.template != template {
            self.template = template;
            self.stages.values().for_each(|bar| bar.set_style(style(template)));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constant, and tests read them")
}

impl Drop for Bars {
    fn drop(&mut self) {
        print::set_bars(None);
        for bar in self.stages.values() {
            bar.abandon();
        }
    }
}

/// The last line that was printed for each stage.
#[derive(Debug, Default)]
pub(super) struct Lines {
    printed: BTreeMap<i32, Printed>,
}

#[derive(Debug, Clone, Copy)]
struct Printed {
    at_millis: u64,
    figures: (u32, u32, u32, u32),
}

impl Lines {
    /// Returns the lines to print: for each stage that started or ended, and every few seconds for
    /// each stage whose figures changed.
    fn of(&mut self, status: &StatusResponse) -> Vec<String> {
        let mut lines = Vec::new();
        for stage in status.stages.iter().filter(|stage| stage.started_millis > 0) {
            let figures = (stage.units, ended_units(stage), stage.set_aside, stage.retries);
            let due = match self.printed.get(&stage.stage) {
                None => true,
                Some(last) if last.figures == figures => false,
                Some(last) => {
                    stage.ended_millis > 0
                        || status.now_millis.saturating_sub(last.at_millis) >= LINE_MILLIS
                }
            };
            if due {
                self.printed.insert(stage.stage, Printed { at_millis: status.now_millis, figures });
                let message = message(stage, status.now_millis);
                let now = utc(status.now_millis);
                lines.push(format!("{now}  {:17} {message}", stage_name(stage.stage())));
            }
        }
        lines
    }
}

fn message(stage: &StageStatus, now_millis: u64) -> String {
    if !stage.planned {
        return "not planned yet".to_owned();
    }
    let pace = Pace::of(stage, now_millis);
    let (ended, units) = (ended_units(stage), stage.units);
    let mut text = format!("{}/{} units", count(ended.into()), count(units.into()));
    if stage.bytes_done > 0 {
        text += &format!(
            "  {}  {}",
            bytes(stage.bytes_done),
            rate(stage.bytes_done, pace.elapsed_millis)
        );
    }
    if let Some(left) = pace.left_millis {
        text += &format!("  {} left", span(left));
    } else if stage.ended_millis > 0 {
        text += &format!("  in {}", span(pace.elapsed_millis));
    }
    if stage.retries > 0 {
        text += &format!("  {} retried", count(stage.retries.into()));
    }
    if stage.set_aside > 0 {
        text += &format!("  {} failed", count(stage.set_aside.into()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_coordinator::figures::example;

    #[test]
    fn a_stage_gets_a_line_at_its_start_at_its_end_and_every_few_seconds() {
        let mut status = example();
        status.stages.truncate(2);
        status.stages.remove(0);
        let ended = status.stages[0].ended_millis;
        let stage = &mut status.stages[0];
        (stage.done, stage.bytes_done, stage.ended_millis) = (1, 3_000_000, 0);
        status.now_millis = stage.started_millis + 1000;
        let mut lines = Lines::default();
        let expected = "2026-03-01 12:00:01 UTC  lines             1/3 units  3.00 MB  3.00 MB/s  \
                        2.3 s left";
        assert_eq!(lines.of(&status), [expected]);
        status.now_millis += LINE_MILLIS;
        assert!(lines.of(&status).is_empty(), "nothing changed");
        status.stages[0].done = 2;
        assert_eq!(lines.of(&status).len(), 1);
        status.now_millis += 1;
        (status.stages[0].done, status.stages[0].bytes_done) = (3, 10_000_000);
        assert!(lines.of(&status).is_empty(), "too soon");
        status.stages[0].ended_millis = ended;
        let expected = "2026-03-01 12:00:06 UTC  lines             3/3 units  10.0 MB  5.00 MB/s  \
                        in 2.0 s";
        assert_eq!(lines.of(&status), [expected]);
        assert!(lines.of(&status).is_empty(), "printed once");
    }

    #[test]
    fn bars_can_be_drawn() {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let mut bars = Bars { all, stages: BTreeMap::new(), template: "" };
        bars.show(&example());
        assert_eq!(bars.stages.len(), example().stages.len());
        for (columns, template) in [(None, WIDE), (Some(40), NARROW), (Some(80), WIDE)] {
            bars.fit(columns);
            assert_eq!(bars.template, template, "{columns:?}");
        }
    }
}
