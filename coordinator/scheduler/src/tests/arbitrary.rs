//! Clients that say anything at all: whatever calls come, in whatever order, a replay of the
//! journaled ones gives the state of the coordinator that answered them.

use thresher_domain::{Accounting, Count, SplitMix64};

use super::*;

/// Number of calls in one history.
const CALLS: u64 = 400;

/// Draws events that no well-behaved client would send.
struct Dice(SplitMix64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    fn unit(&mut self) -> AttemptRef {
        let stage = Stage::ALL[self.below(Stage::ALL.len() as u64) as usize];
        UnitKey::new(stage, self.below(4) as u32).attempt(self.below(4) as u32)
    }

    fn units(&mut self) -> Vec<AttemptRef> {
        (0..self.below(3)).map(|_| self.unit()).collect()
    }

    fn outcome(&mut self) -> Outcome {
        let producer = self.unit().key;
        let classes = [
            FailureClass::Node,
            FailureClass::Service,
            FailureClass::Program,
            FailureClass::Defect,
            FailureClass::Damaged { producer },
            FailureClass::Storage,
            FailureClass::Data,
        ];
        match self.below(12) {
            0 => Outcome::Returned,
            1 => listed(self.below(3) as u32, self.below(3) as u32),
            2 | 3 => failed(classes[self.below(classes.len() as u64) as usize]),
            4 => {
                let garbage = Count { name: "garbage".to_owned(), value: self.below(3) };
                let accounting = Accounting {
                    records_in: self.below(3),
                    kept: self.below(3),
                    quarantined: vec![garbage],
                    ..Accounting::default()
                };
                Outcome::Done(Done { accounting: Some(accounting), ..Done::default() })
            }
            _ => done_with_keys(self.below(3)),
        }
    }

    /// Reports of what a worker holds, most of the time, and of anything else.
    fn reports(&mut self, held: &[AttemptRef]) -> Vec<Report> {
        let count = self.below(3);
        let report = |_| {
            let unit = match held.len() as u64 {
                0 => self.unit(),
                _ if self.below(5) == 0 => self.unit(),
                held_units => held[self.below(held_units) as usize],
            };
            Report { unit, outcome: self.outcome(), cpu_millis: 1, wall_millis: self.below(100) }
        };
        (0..count).map(report).collect()
    }

    fn event(&mut self, scheduler: &Scheduler, held: &[AttemptRef]) -> Event {
        let worker_id = self.below(6) as u32;
        match self.below(40) {
            0 => Event::Drained { until: None },
            1 => {
                let epoch = scheduler.epoch() + 1;
                Event::Opened(CoordinatorOpened { epoch, ..CoordinatorOpened::default() })
            }
            2 => Event::Lost { worker_id, reason: "it is gone".to_owned() },
            3 if self.below(4) == 0 => Event::RunRefused,
            3 => Event::FailedUnitsAccepted,
            4 | 5 => {
                let request = RegisterRequest {
                    host: ["a", "b", "c"][self.below(3) as usize].to_owned(),
                    pid: self.below(3) as u32,
                    slots: self.below(5) as u32,
                    held: self.units(),
                    gang_ranks: self.below(2) as u32,
                    ..RegisterRequest::default()
                };
                Event::Registered { worker_id: scheduler.next_worker_id(), request }
            }
            6 if self.below(4) == 0 => {
                let plan = scheduler.plan().expect("a job was submitted").clone();
                let from = Some(Stage::ALL[self.below(Stage::ALL.len() as u64) as usize]);
                let keep_done = self.below(2) == 0;
                Event::JobChanged { plan, job_toml: "job".to_owned(), from, keep_done }
            }
            _ => Event::Sync(SyncRequest {
                worker_id,
                want: self.below(4) as u32,
                idle: self.below(2) == 0,
                reports: self.reports(held),
                resync: self.below(6) == 0,
                held: self.units(),
                wait_millis: 0,
                sequence: self.below(12),
                leaves_within_millis: if self.below(30) == 0 { 50 } else { 0 },
            }),
        }
    }
}

/// Runs one history. Returns how many units were done in it.
fn run(seed: u64) -> u32 {
    let mut dice = Dice(SplitMix64::new(seed));
    let mut room = Room::with(seed.is_multiple_of(2), |limits| limits.outage_millis = 5000);
    let mut journal = Vec::new();
    let mut replayed = Room::with(seed.is_multiple_of(2), |limits| limits.outage_millis = 5000);
    let mut held: Vec<AttemptRef> = Vec::new();
    for _ in 0..CALLS {
        room.now += dice.below(300);
        let event = dice.event(&room.scheduler, &held);
        let now = Timestamp::from_millis(room.now);
        let before = room.scheduler.clone();
        let changed = match &event {
            Event::Sync(request) => {
                let synced = room.scheduler.sync(now, request, &mut Vec::new());
                if let SyncAnswer::Answer { leases, .. } = &synced.answer {
                    held.extend(leases.iter().map(|lease| lease.unit));
                }
                synced.changed
            }
            event => room.scheduler.handle(now, event, &mut Vec::new()),
        };
        match changed {
            Changed::Yes => journal.push((now, event)),
            Changed::No => {
                assert_eq!(room.scheduler, before, "seed {seed}: {event:?} changed something")
            }
        }
        held.drain(..held.len().saturating_sub(8));
    }
    for (now, event) in &journal {
        let _ = replayed.scheduler.handle(*now, event, &mut Vec::new());
    }
    assert_eq!(replayed.scheduler, room.scheduler, "seed {seed}: replay gave another state");
    let status = room.scheduler.status(Timestamp::from_millis(room.now));
    status.stages.iter().map(|stage| stage.done).sum()
}

#[test]
fn a_replay_gives_the_live_state_whatever_clients_send() {
    let done: u32 = (0..300).map(run).sum();
    assert!(done > 300, "histories in which something is done: {done} units");
}
