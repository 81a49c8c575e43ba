//! Which handshakes are under way, and which makes room when they are too many.
//!
//! Pure bookkeeping: it reads no clock and owns no socket.
//!
//! A plain limit would let a few hundred silent connections shut everyone out for a whole time-out.
//! So when all places are taken, the next peer takes that of one who has had a fair time: first of
//! the address that holds the most places, so that a flood from one node costs that node. Within
//! the fair time nobody is pushed out: ten thousand workers that start at once wait in the
//! kernel's queue instead of pushing each other out for ever.
//!
//! **Invariant:** there are never more than `limit` entries.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

pub(super) struct HalfOpen<T> {
    limit: usize,
    grace: Duration,
    /// In order of arrival.
    entries: VecDeque<Entry<T>>,
}

struct Entry<T> {
    from: IpAddr,
    since: Instant,
    handshake: T,
}

impl<T> HalfOpen<T> {
    pub(super) fn new(limit: usize, grace: Duration) -> Self {
        assert!(limit > 0, "with no handshake under way nobody could ever come in");
        Self { limit, grace, entries: VecDeque::new() }
    }

    /// When the next peer may come in, unless a handshake ends before; `None` is at once.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        if self.entries.len() < self.limit {
            return None;
        }
        let due = self.entries.front().map(|oldest| oldest.since + self.grace)?;
        (due > now).then_some(due)
    }

    /// Notes a handshake; returns the one that it pushed out. Only when `closed_until` is `None`.
    pub(super) fn admit(&mut self, from: IpAddr, now: Instant, handshake: T) -> Option<T> {
        let pushed_out = if self.entries.len() < self.limit { None } else { self.push_out(now) };
        self.entries.push_back(Entry { from, since: now, handshake });
        assert!(self.entries.len() <= self.limit, "admitted a peer while all places were taken");
        pushed_out
    }

    /// Forgets a handshake that has ended.
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
        // `max_by_key` takes the last of equals: reversed, that is the one who came first.
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
    fn nobody_is_pushed_out_within_the_fair_time() {
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
            "those of the flood that are left have not had their fair time"
        );
    }

    #[test]
    fn a_flood_from_another_node_never_pushes_out_a_worker_with_a_slow_link() {
        let start = Instant::now();
        let mut half_open = HalfOpen::new(8, GRACE);
        half_open.admit(node(1), start, 0);
        let mut now = start;
        for flood in 1..1000 {
            now = half_open.closed_until(now).unwrap_or(now);
            // At most half the flood is ever young, so an old one of it is always at hand.
            now += GRACE / 4;
            assert_ne!(half_open.admit(node(2), now, flood), Some(0));
        }
    }
}
