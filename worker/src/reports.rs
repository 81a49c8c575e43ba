//! Makes the reports of a unit that ended, for the coordinator.
//!
//! **Invariant:** every report is far smaller than a message may be, however long an error is and
//! however many units, reasons or counters a unit has. A report that was refused for its size would
//! be sent again until the worker gives up, and then by the next worker.

use prost::Message;
use std::time::{Duration, Instant};

use thresher_proto::pb::{self, PlannedUnit, Report, UnitRef, failed::Class, report::Outcome};
use thresher_storage::clock;

use crate::stages::Finished;

/// Number of planned units in one report.
const PLANNED_PER_REPORT: usize = 8192;
/// Size in bytes of the planned units in one report.
const PLANNED_BYTES: usize = 512 << 10;
/// Length in bytes of the longest error; the middle of a longer one is left out.
const ERROR_BYTES: usize = 8 << 10;
/// Size in bytes of the largest report.
const REPORT_BYTES: usize = 1 << 20;

/// When an attempt started, by the clock and in CPU time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    wall: Instant,
    /// CPU time of the thread that runs the unit.
    thread_cpu: Duration,
    /// CPU time of all threads of the worker.
    process_cpu: Duration,
}

impl Started {
    /// Returns the current time.
    pub(crate) fn now() -> Self {
        let (thread_cpu, process_cpu) = (clock::thread_cpu(), clock::process_cpu());
        Self { wall: clock::now(), thread_cpu, process_cpu }
    }

    /// Returns the CPU time of a unit since then. A gang unit has all threads of the worker, which
    /// runs no other unit beside it.
    fn cpu(self, unit: Option<UnitRef>) -> Duration {
        let stage = unit.and_then(|unit| thresher_domain::Stage::try_from(unit.stage()).ok());
        if stage.is_some_and(thresher_domain::Stage::is_gang) {
            return clock::process_cpu().saturating_sub(self.process_cpu);
        }
        clock::thread_cpu().saturating_sub(self.thread_cpu)
    }
}

/// Returns reports with the planned units of a unit, and then its final report.
pub(crate) fn finished(unit: Option<UnitRef>, finished: Finished, started: Started) -> Vec<Report> {
    let Finished { done, planned, cpu_elsewhere } = finished;
    let mut reports = Vec::new();
    for (piece, units) in (0_u32..).zip(pieces(planned)) {
        let listed = pb::Listed { piece, units };
        reports.push(Report { unit, outcome: Some(Outcome::Listed(listed)), ..Report::default() });
    }
    let mut report = ended(unit, Outcome::Done(done), started);
    report.cpu_millis = report.cpu_millis.saturating_add(millis(cpu_elsewhere));
    reports.push(report);
    reports
}

/// Returns the final report of a unit.
pub(crate) fn ended(unit: Option<UnitRef>, outcome: Outcome, started: Started) -> Report {
    let mut outcome = outcome;
    if let Outcome::Failed(failed) = &mut outcome {
        failed.error = bounded(std::mem::take(&mut failed.error));
    }
    let mut report = Report {
        unit,
        outcome: Some(outcome),
        cpu_millis: millis(started.cpu(unit)),
        wall_millis: millis(clock::now().duration_since(started.wall)),
    };
    let bytes = report.encoded_len();
    if bytes > REPORT_BYTES {
        report.outcome = Some(Outcome::Failed(pb::Failed {
            class: Class::Defect.into(),
            error: format!(
                "the report of the unit has {bytes} bytes, and {REPORT_BYTES} are allowed\nhint: \
                 its records have too many different reasons or languages; lower \
                 `units.target_bytes`"
            ),
            producer: None,
        }));
    }
    report
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Divides planned units into pieces of bounded number and size.
fn pieces(planned: Vec<PlannedUnit>) -> Vec<Vec<PlannedUnit>> {
    let mut pieces: Vec<Vec<PlannedUnit>> = Vec::new();
    let mut bytes = 0;
    for unit in planned {
        let length = unit.encoded_len();
        match pieces.last_mut() {
            Some(piece) if piece.len() < PLANNED_PER_REPORT && bytes + length <= PLANNED_BYTES => {
                bytes += length;
                piece.push(unit);
            }
            Some(_) | None => {
                bytes = length;
                pieces.push(vec![unit]);
            }
        }
    }
    pieces
}

/// Returns an error without its middle if it is too long: it names the cause at its start, and has
/// its hint at its end.
pub(crate) fn bounded(error: String) -> String {
    if error.len() <= ERROR_BYTES {
        return error;
    }
    let start = &error[..error.floor_char_boundary(ERROR_BYTES * 3 / 4)];
    let end = &error[error.ceil_char_boundary(error.len() - ERROR_BYTES / 8)..];
    let left_out = error.len() - start.len() - end.len();
    format!("{start}\n[{left_out} bytes are left out]\n{end}")
}

#[cfg(test)]
mod tests {
    use thresher_proto::pb::Stage;

    use super::*;

    #[test]
    fn a_long_error_keeps_its_start_and_its_hint() {
        let long = format!("it failed: {}\nhint: look at it", "é".repeat(100_000));
        let failed = pb::Failed { error: long, ..pb::Failed::default() };
        let report = ended(None, Outcome::Failed(failed), Started::now());
        assert!(report.encoded_len() < 10_000);
        let Some(Outcome::Failed(failed)) = report.outcome else { panic!("another outcome") };
        assert!(failed.error.starts_with("it failed: é"), "{}", failed.error);
        assert!(failed.error.ends_with("\nhint: look at it"), "{}", failed.error);
        assert_eq!(bounded("short".to_owned()), "short");
    }

    #[test]
    fn the_cpu_time_of_a_gang_unit_is_that_of_all_its_threads() {
        let unit = |stage: Stage| Some(UnitRef { stage: stage.into(), ordinal: 0, attempt: 1 });
        let started = Started::now();
        let works = || {
            let began = clock::thread_cpu();
            while clock::thread_cpu() - began < Duration::from_millis(60) {}
        };
        std::thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(works)));
        });
        let cpu =
            |stage| ended(unit(stage), Outcome::Done(pb::Done::default()), started).cpu_millis;
        assert!(cpu(Stage::ResolveLines) >= 120, "{}", cpu(Stage::ResolveLines));
        assert!(cpu(Stage::Prepare) < 60, "the threads of other slots are not counted");
    }

    #[test]
    fn the_cpu_time_of_ranks_on_other_nodes_is_added() {
        let cpu_elsewhere = Duration::from_secs(3600);
        let gang = Finished { cpu_elsewhere, ..Finished::default() };
        let reports = finished(None, gang, Started::now());
        assert!(reports[0].cpu_millis >= 3_600_000, "{:?}", reports[0]);
    }

    #[test]
    fn a_report_that_is_too_large_becomes_a_failure_with_its_size() {
        let count = |n: usize| pb::Count { name: format!("{n:0100}"), value: 1 };
        let accounting =
            pb::Accounting { dropped: (0..20_000).map(count).collect(), ..Default::default() };
        let done = pb::Done { accounting: Some(accounting), ..pb::Done::default() };
        let report = ended(None, Outcome::Done(done), Started::now());
        let Some(Outcome::Failed(failed)) = report.outcome else { panic!("it was sent") };
        assert_eq!(failed.class(), Class::Defect);
        assert!(failed.error.contains("are allowed\nhint:"), "{}", failed.error);
    }

    #[test]
    fn planned_units_are_divided_by_their_size_and_keep_their_order() {
        let unit = |n: u64| PlannedUnit { payload: vec![0; 300_000], cost_bytes: n };
        let planned: Vec<_> = (0..5).map(unit).collect();
        let parts = pieces(planned.clone());
        assert!(parts.iter().all(|piece| piece.len() == 1));
        assert_eq!(parts.concat(), planned);
        let small: Vec<_> =
            (0..20_000).map(|n| PlannedUnit { payload: vec![1; 3], cost_bytes: n }).collect();
        let parts = pieces(small.clone());
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [8192, 8192, 3616]);
        assert_eq!(parts.concat(), small);
        assert!(pieces(Vec::new()).is_empty());
    }
}
