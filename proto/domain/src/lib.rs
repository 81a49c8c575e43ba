//! The types that every part of a job agrees on, as plain Rust values: stages, units and their
//! attempts, leases, reports, and the state of a job.
//!
//! Messages on the wire and in the journal are converted to these types at the edge
//! (`thresher-proto`, `convert`), which refuses what is malformed. So code behind the edge never
//! meets a stage that is unspecified, a report without a unit or a number in place of a name.
//!
//! **Invariant:** nothing here knows how a value is encoded, and this crate depends on no runtime,
//! no transport and no other crate of the project.

mod coordination;
mod counter;
mod damage;
pub mod escape;
mod job_state;
mod key_budget;
mod key_groups;
mod member_groups;
mod random;
mod stage;
mod status;
mod timestamp;
mod unit;
mod work;

pub use coordination::{CoordinatorOpened, Directive, PreviousEpoch, RegisterRequest, SyncRequest};
pub use counter::{Bucket, Counter, CounterValue, Measure};
pub use damage::is_of_input;
pub use job_state::JobState;
pub use key_budget::{BAND_KEY, DOCUMENT_KEY, KeySize, LINE_KEY, key_ranges};
pub use key_groups::{KeyGroups, MAX_GROUP_UNITS};
pub use member_groups::MemberGroups;
pub use random::SplitMix64;
pub use stage::Stage;
pub use status::{
    AllocationEnd, Explanation, FailedUnit, StageStatus, Status, UnitCondition, WorkerStatus,
};
pub use timestamp::Timestamp;
pub use unit::{AttemptRef, UnitKey, UnitNameError};
pub use work::{
    Accounting, Count, Done, Failure, FailureClass, GroupPayload, LayoutPayload, Lease, Listed,
    MembersPayload, Outcome, Payload, PlannedUnit, RangePayload, Report,
};
