//! The scheduler: a pure state machine that decides which worker runs which unit.
//!
//! ```text
//!   workers ── Register, Sync ──┐                            ┌── SyncAnswer ───────▶ workers
//!   people ─── submit, drain, ──┤                            ├── WorkAvailable ────▶ parked calls
//!              cancel           ├─▶ handle(now, event) ─▶ effects
//!   the clock ─ overdue ────────┤        │                   ├── StageStarted, … ──▶ log, progress
//!   the journal ─ replay ───────┘        ▼                   └── JobEnded ─────────▶ the driver
//!                               job: 12 stages of units; workers and what they hold
//! ```
//!
//! The shell gives it every event in one order, writes those that changed something to the journal,
//! and then performs the effects. The same code runs in replay after a crash and in the simulation
//! of a whole machine room.
//!
//! State and handlers are apart: a handler is a struct that borrows exactly the state it uses, so
//! its fields say what it can change. Those that only read (`Forecast`, `Speculation`, `IdleNodes`,
//! `Deadlines`, `Returning`) have no `&mut`.
//!
//! **Invariant:** nothing here reads a clock, a file, a socket or a random number, or iterates over
//! anything in an order that is not the same in every run. The same events give the same state.
//! This crate depends on `thresher-domain` alone, and its files import each other without a cycle.
//!
//! | file | what |
//! |---|---|
//! | `event.rs`, `effect.rs` | the whole vocabulary, in and out |
//! | `plan.rs` | a job in plain numbers |
//! | `scheduler.rs` | the state of a coordinator, and the event that each handler serves |
//! | `job.rs`, `lifecycle.rs`, `units.rs`, `workers.rs` | the state of the job, in parts |
//! | `unit.rs`, `stage_table.rs`, `payloads.rs`, `listings.rs` | what `units.rs` is made of |
//! | `running.rs`, `failure_history.rs`, `totals.rs` | the same |
//! | `walltime.rs`, `duration_estimator.rs`, `forecast.rs` | the allocation's end, and what fits |
//! | `attempts.rs` | starts and ends of attempts |
//! | `leasing.rs`, `speculation.rs`, `reattaching.rs` | which worker gets and keeps which unit |
//! | `reporting.rs`, `losing.rs`, `failed_units.rs` | how attempts end |
//! | `blaming.rs`, `trouble.rs`, `outage.rs`, `backoff.rs` | who is to blame, and what waits |
//! | `advancing.rs`, `restarting.rs` | how stages start and end, and start again |
//! | `source_sums.rs`, `attention.rs` | what a person should look at |
//! | `draining.rs`, `deadlines.rs` | how a job stops before its end, and when |
//! | `idle_nodes.rs`, `returning.rs` | what that costs, and what is returned |
//! | `status.rs`, `explain.rs` | what people get to see |

mod advancing;
mod attempts;
mod attention;
mod backoff;
mod blaming;
mod deadlines;
mod draining;
mod duration_estimator;
mod effect;
mod event;
mod explain;
mod failed_units;
mod failure_history;
mod forecast;
mod idle_nodes;
mod job;
mod key_world;
mod leasing;
mod lifecycle;
mod listings;
mod losing;
mod outage;
mod payloads;
mod plan;
mod reattaching;
mod reporting;
mod restarting;
mod returning;
mod running;
mod scheduler;
mod source_sums;
mod speculation;
mod stage_table;
mod status;
#[cfg(test)]
mod tests;
mod totals;
mod trouble;
mod unit;
mod units;
mod walltime;
mod workers;

pub use effect::{Changed, Effect, SyncAnswer, Synced};
pub use event::Event;
pub use failed_units::MissingUnit;
pub use plan::{JobPlan, LeaseOrder, Limits, SourcePlan};
pub use scheduler::Scheduler;
pub use thresher_domain::Timestamp;
