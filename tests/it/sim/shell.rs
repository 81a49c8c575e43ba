//! The coordinator's shell, as small as it can be: handle, journal, and only then act. It dies
//! where chaos says, and comes back by replay.

use thresher_coordinator::event_record::{from_record, into_record};
use thresher_coordinator::journal::{Fault, Journal, JournalError, MemoryFiles};
use thresher_domain::{AllocationEnd, CoordinatorOpened, Timestamp};
use thresher_proto::pb::JournalRecord;
use thresher_scheduler::{Changed, Effect, Event, JobPlan, Scheduler, SyncAnswer, Synced};

use super::chaos::Death;

/// When the allocation ends that a coordinator runs in: never when 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocation {
    pub(crate) ends_millis: u64,
    pub(crate) margin_millis: u32,
}

impl Allocation {
    fn end(self) -> AllocationEnd {
        AllocationEnd {
            allocation: String::new(),
            ends: (self.ends_millis > 0).then_some(Timestamp::from_millis(self.ends_millis)),
            margin_millis: self.margin_millis,
        }
    }
}

/// A running coordinator.
pub(crate) struct Shell {
    pub(crate) scheduler: Scheduler,
    /// Until when the driver would sleep if nothing else happened.
    pub(crate) deadline: Option<Timestamp>,
    journal: Journal,
}

/// What a dead coordinator left behind.
pub(crate) struct Remains {
    /// States that replay may give: whether the last record got through is not always known.
    pub(crate) expected: Vec<Scheduler>,
    /// When the last event was handled, and what followed, in case its record got through.
    pub(crate) last: Option<(Timestamp, Event, Consequence)>,
    journal: Journal,
}

/// What follows from an event: an answer for a call, and effects.
#[derive(Clone, Debug)]
pub(crate) struct Consequence {
    pub(crate) answer: Option<SyncAnswer>,
    pub(crate) effects: Vec<Effect>,
}

/// What came of an event.
pub(crate) enum Handled {
    Lives(Shell, Consequence),
    Died(Box<Remains>),
}

impl Shell {
    /// Takes an epoch and replays; gives the event that must be handled first, too.
    pub(crate) fn open(
        files: &MemoryFiles,
        plan: &JobPlan,
        allocation: Allocation,
    ) -> (Self, Event) {
        let (journal, replay) = Journal::open_in(files.clone()).expect("the journal opens");
        let mut scheduler = Scheduler::new();
        for record in replay {
            let record = record.expect("every record that counts can be read");
            let planned = |_: &str| Ok::<_, std::convert::Infallible>(plan.clone());
            let (now, event) = from_record(record, planned).expect("it holds an event");
            let changed = scheduler.handle(now, &event, &mut Vec::new());
            assert_eq!(changed, Changed::Yes, "only events that change something are journaled");
        }
        let opening = Event::Opened(CoordinatorOpened {
            allocation: allocation.end(),
            ..journal.opening().into()
        });
        (Self { scheduler, deadline: None, journal }, opening)
    }

    pub(crate) fn handle(
        mut self,
        now: u64,
        event: &Event,
        files: &MemoryFiles,
        death: Option<Death>,
    ) -> Handled {
        let now = Timestamp::from_millis(now);
        let before = death.map(|_| self.scheduler.clone());
        let mut effects = Vec::new();
        let (answer, changed) = match event {
            Event::Sync(request) => {
                let Synced { answer, changed } = self.scheduler.sync(now, request, &mut effects);
                (Some(answer), changed)
            }
            event => (None, self.scheduler.handle(now, event, &mut effects)),
        };
        let consequence = Consequence { answer, effects };
        self.deadline = self.scheduler.next_deadline(now);
        if changed == Changed::No {
            if let Some(before) = before {
                assert_eq!(before, self.scheduler, "an event that changed nothing changed nothing");
            }
            return Handled::Lives(self, consequence);
        }
        let record = into_record(event.clone(), now);
        let Some((death, before)) = death.zip(before) else {
            self.write(&record).expect("the file system is healthy");
            return Handled::Lives(self, consequence);
        };
        let last = Some((now, event.clone(), consequence));
        let (expected, last) = match death {
            Death::BeforeAppend => (vec![before], None),
            Death::Torn { bytes, errno } => {
                let next = files.operations();
                files.fail_at(next, Fault::Short(bytes));
                files.fail_at(next + 1, Fault::Fails(errno));
                let failed = self.write(&record).expect_err("the file system fails");
                assert!(failed.to_string().contains("hint: "), "{failed}");
                (vec![before, self.scheduler], last)
            }
            Death::AfterCommit => {
                self.write(&record).expect("the file system is healthy");
                (vec![self.scheduler], last)
            }
        };
        Handled::Died(Box::new(Remains { expected, last, journal: self.journal }))
    }

    fn write(&mut self, record: &JournalRecord) -> Result<(), JournalError> {
        self.journal.append(record)?;
        self.journal.commit()
    }

    /// Stops without an accident.
    pub(crate) fn stop(self) -> Remains {
        Remains { expected: vec![self.scheduler], last: None, journal: self.journal }
    }
}

impl Remains {
    /// The replaced coordinator wakes up and tries to write; it must learn that it was replaced,
    /// and what it wrote must never count. Later replays show that.
    pub(crate) fn rise(mut self, now: u64) {
        let record = into_record(Event::Cancelled, Timestamp::from_millis(now));
        let opening = Event::Opened(self.journal.opening().into());
        let opening = into_record(opening, Timestamp::default());
        let mut write = || {
            // A second opening is of no harm: nothing of this counts.
            self.journal.append(&opening)?;
            self.journal.append(&record)?;
            self.journal.commit()
        };
        match write() {
            Err(JournalError::Fenced { .. } | JournalError::Poisoned { .. }) => {}
            other => panic!("a replaced coordinator could write: {other:?}"),
        }
    }
}
