//! Keeps track of the handshakes in progress, and decides which one makes room if there are too
//! many.
//!
//! This is pure bookkeeping: it reads no clock and owns no socket.
//!
//! With a plain limit, a few hundred silent connections could keep all others out for a whole
//! time-out. So when all places are taken, the next peer displaces one that has had its grace
//! period: first of the address that holds the most places, so that a flood from one node harms
//! that node. Within the grace period nobody is displaced: ten thousand workers that start at once
//! wait in the kernel's queue instead of displacing each other for ever.
//!
//! **Invariant:** there are never more than `limit` entries.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

pub(super) struct HalfOpen<T> {
    limit: usize,
    grace: Duration,
    /// The handshakes in order of arrival.
    entries: VecDeque<Entry<T>>,
}

struct Entry<T> {
    from: IpAddr,
    since: Instant,
    handshake: T,
}

impl<T> HalfOpen<T> {
    pub(super) fn new(limit: usize, grace: Duration) -> Self {
        assert!(limit > 0, "with a limit of 0 no peer could ever connect");
        Self { limit, grace, entries: VecDeque::new() }
    }

    /// Returns when the next peer may be admitted, unless a handshake ends before; `None` means at
    /// once.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        if self.entries.len() < self.limit {
            return None;
        }
        let due = self.entries.front().map(|oldest| oldest.since + self.grace)?;
        (due > now).then_some(due)
    }

    /// Adds a handshake and returns the one that it displaced. Call it only if `closed_until` is
    /// `None`.
    pub(super) fn admit(&mut self, from: IpAddr, now: Instant, handshake: T) -> Option<T> {
        let pushed_out = if self.entries.len() < self.limit { None } else { self.push_out(now) };
        self.entries.push_back(Entry { from, since: now, handshake });
        assert!(self.entries.len() <= self.limit, "admitted a peer while all places were taken");
        pushed_out
    }

    /// Removes a handshake that has ended.
    pub(super) fn remove(&mut self, is_it: impl Fn(&T) -> bool) {
        if let Some(index) = self.entries.iter().position(|entry| is_it(&entry.handshake)) {
            self.entries.remove(index);
        }
    }

    fn push_out(&mut self, now: Instant) -> Option<T> {
        let mut places: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for entry in &self.entries {
            *places.entry(entry.from).or_default() += 1;
        }
        let had_fair_time = self.entries.iter().take_while(|entry| entry.since + self.grace <= now);
        // `max_by_key` returns the last of equal ones: reversed, that is the one that came first.
        let (index, _) = had_fair_time
            .enumerate()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .max_by_key(|(_, entry)| places[&entry.from])?;
        self.entries.remove(index).map(|entry| entry.handshake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(250);

    fn node(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn no_handshake_is_displaced_within_the_grace_period() {
        let start = Instant::now();
        let mut half_open = HalfOpen::new(3, GRACE);
        for handshake in 0..3 {
            assert_eq!(half_open.closed_until(start), None);
            assert_eq!(half_open.admit(node(1), start, handshake), None);
        }
        assert_eq!(half_open.closed_until(start), Some(start + GRACE));
        assert_eq!(half_open.closed_until(start + GRACE), None);
        half_open.remove(|handshake| *handshake == 1);
        assert_eq!(half_open.closed_until(start), None, "an ended one makes room at once");
    }

    #[test]
    fn the_oldest_of_the_address_that_holds_most_makes_room() {
        let start = Instant::now();
        let mut half_open = HalfOpen::new(4, GRACE);
        half_open.admit(node(1), start, "early worker");
        half_open.admit(node(2), start, "flood 1");
        half_open.admit(node(2), start, "flood 2");
        half_open.admit(node(2), start + GRACE, "flood 3");
        let later = start + GRACE;
        assert_eq!(half_open.admit(node(2), later, "flood 4"), Some("flood 1"));
        assert_eq!(half_open.admit(node(3), later, "late worker"), Some("flood 2"));
        assert_eq!(
            half_open.admit(node(2), later, "flood 5"),
            Some("early worker"),
            "the rest of the flood is still within its grace period"
        );
    }

    #[test]
    fn a_flood_from_another_node_never_displaces_a_worker_with_a_slow_link() {
        let start = Instant::now();
        let mut half_open = HalfOpen::new(8, GRACE);
        half_open.admit(node(1), start, 0);
        let mut now = start;
        for flood in 1..1000 {
            now = half_open.closed_until(now).unwrap_or(now);
            // At most half of the flood is within its grace period, so there is always an old
            // handshake of it.
            now += GRACE / 4;
            assert_ne!(half_open.admit(node(2), now, flood), Some(0));
        }
    }
}
