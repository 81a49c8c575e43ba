//! Near the end of an allocation no unit starts, and the coordinator is gone before it ends.

use thresher_domain::CoordinatorOpened;
use thresher_scheduler::Event;

use super::Seen;

/// Something happens in a room at least so often, and time is looked at then.
const LOOK_MILLIS: u64 = 300;

#[derive(Default)]
pub(crate) struct EndsInTime {
    opened: CoordinatorOpened,
    opened_at: u64,
}

impl EndsInTime {
    pub(crate) fn look(&mut self, seen: &Seen<'_>) {
        if let Event::Opened(opened) = seen.event {
            self.opened = opened.clone();
            self.opened_at = seen.now.millis();
        }
        let allocation = &self.opened.allocation;
        let Some(ends) = allocation.ends else { return };
        let (ends, margin) = (ends.millis(), u64::from(allocation.margin_millis));
        let now = seen.now.millis();
        for (worker_id, unit) in seen.leases() {
            assert!(
                now + margin < ends,
                "`{unit}` was leased to worker {worker_id} {} ms before the end, {margin} is the \
                 margin",
                ends.saturating_sub(now),
            );
        }
        // An allocation may begin with less than its margin left.
        let began = seen.scheduler.epoch() == self.opened.epoch && now + margin / 2 > ends;
        let limits = seen.truth.limits;
        let latest = ends - margin / 2 + 2 * u64::from(limits.heartbeat_millis);
        let latest = latest.max(self.opened_at) + LOOK_MILLIS;
        assert!(
            !began || now <= latest,
            "the coordinator still works {} ms too late",
            now - latest
        );
    }
}
