//! Adds up for how long the coordinator has not answered.
//!
//! It reads no clock: the agent adds the time of each failed call, which is limited. So the time in
//! which this process was suspended by a batch system or a person, and could hear nobody, is no
//! silence of the coordinator.

use std::time::Duration;

/// For how long the coordinator has not answered.
#[derive(Debug, Default)]
pub(super) struct Silence(Duration);

impl Silence {
    /// Adds the time of a call that was not answered.
    pub(super) fn add(&mut self, call: Duration) {
        self.0 = self.0.saturating_add(call);
    }

    /// Starts again, because the coordinator answered.
    pub(super) fn end(&mut self) {
        self.0 = Duration::ZERO;
    }

    pub(super) fn lasts(&self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unanswered_calls_add_up_until_one_is_answered() {
        let mut silence = Silence::default();
        silence.add(Duration::from_secs(2));
        silence.add(Duration::from_secs(3));
        assert_eq!(silence.lasts(), Duration::from_secs(5));
        silence.end();
        assert_eq!(silence.lasts(), Duration::ZERO);
    }
}
