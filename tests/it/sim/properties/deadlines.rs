//! Nothing is overdue before the deadline until which the driver sleeps.

use thresher_domain::Timestamp;
use thresher_scheduler::Event;

/// Looks at what is overdue, and at the deadline that was known after the last event.
pub(crate) fn look(now: Timestamp, deadline: Option<Timestamp>, overdue: &[Event]) {
    if deadline.is_some_and(|deadline| deadline <= now) {
        return;
    }
    // What idle nodes cost changes all the time, and is compared once a second.
    let cutoff = Event::Drained { until: Some(now.plus_millis(1)) };
    let early = overdue.iter().find(|event| **event != cutoff);
    assert_eq!(early, None, "overdue at {now}, but the driver sleeps until {deadline:?}");
}
