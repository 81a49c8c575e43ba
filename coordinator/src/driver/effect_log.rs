//! Log lines of what the scheduler decided.

use thresher_scheduler::Effect;

/// Logs one effect.
pub(super) fn log(effect: &Effect) {
    match effect {
        Effect::StageStarted { stage, units } => {
            tracing::info!(stage = stage.name(), units, "stage started");
        }
        Effect::StageEnded { stage } => {
            tracing::info!(stage = stage.name(), "stage ended");
        }
        Effect::UnitFailed { unit, error } => {
            tracing::warn!(%unit, error, "unit failed permanently")
        }
        Effect::AttemptFailed { unit, error } => tracing::warn!(%unit, error, "attempt failed"),
        Effect::WorkerExcluded { worker, reason } => {
            tracing::warn!("{worker} gets no more units for now: {reason}");
        }
        Effect::Alarm { unit, text } => tracing::error!(%unit, text, "determinism violation"),
        Effect::ReportRefused { worker_id, unit, reason } => {
            tracing::warn!(worker_id, %unit, reason, "report refused");
        }
        Effect::JobEnded { state, reason } => {
            tracing::info!(state = state.name(), reason, "job ended");
        }
        Effect::WorkAvailable => {}
    }
}
