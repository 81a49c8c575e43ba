//! One machine room: virtual time, machines, a coordinator that may be down, and the properties
//! that look on.

use std::collections::BTreeMap;

use rand::RngExt as _;
use thresher_coordinator::journal::MemoryFiles;
use thresher_domain::{JobState, Status, SyncRequest, Timestamp};
use thresher_scheduler::{Effect, Event, JobPlan, Scheduler, SyncAnswer};

use super::chaos::{Call, Chaos, Mishap};
use super::files::Files;
use super::machine::{Machine, Run};
use super::properties::outcome::Outcome;
use super::properties::{self, Properties, Seen};
use super::shell::{Consequence, Handled, Remains, Shell};
use super::truth::{Fate, Truth};
use super::work::{self, End};

/// The virtual time at which every world starts.
const BEGIN_MILLIS: u64 = 1_000_000;
/// A job that has not ended by then never will.
const MAX_MILLIS: u64 = 60 * 60 * 1000;

/// How often the things happened that a simulation is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    restarts: u64,
    records_that_got_through: u64,
    workers_lost: u64,
    answers_lost: u64,
    delayed: u64,
    damaged: u64,
    drained: u64,
    blocked: u64,
    faults: u64,
    frozen: u64,
    excluded: u64,
    left: u64,
    given_up: u64,
    allocations_ended: u64,
    speculative: u64,
    failed_units: u64,
    steps: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.restarts += other.restarts;
        self.records_that_got_through += other.records_that_got_through;
        self.workers_lost += other.workers_lost;
        self.answers_lost += other.answers_lost;
        self.delayed += other.delayed;
        self.damaged += other.damaged;
        self.drained += other.drained;
        self.blocked += other.blocked;
        self.faults += other.faults;
        self.frozen += other.frozen;
        self.excluded += other.excluded;
        self.left += other.left;
        self.given_up += other.given_up;
        self.allocations_ended += other.allocations_ended;
        self.speculative += other.speculative;
        self.failed_units += other.failed_units;
        self.steps += other.steps;
    }

    /// A simulation in which nothing goes wrong would pass too.
    pub(crate) fn assert_everything_happened(&self, seeds: u64) {
        let rare = [
            self.restarts,
            self.records_that_got_through,
            self.workers_lost,
            self.answers_lost,
            self.delayed,
            self.damaged,
            self.drained,
            self.blocked,
            self.faults,
            self.frozen,
            self.excluded,
            self.left,
            self.given_up,
            self.allocations_ended,
            self.speculative,
            self.failed_units,
        ];
        assert!(seeds < 100 || rare.iter().all(|n| *n >= seeds / 100), "too calm: {self:?}");
    }
}

enum Action {
    Machine(usize),
    /// A call that its caller has given up.
    Late(Box<SyncRequest>),
    CoordinatorUp,
    /// Everything that runs in the allocation of this epoch is killed.
    AllocationEnds(u64),
}

pub(crate) struct World<'a> {
    truth: &'a Truth,
    plan: JobPlan,
    chaos: Chaos,
    now: u64,
    agenda: BTreeMap<(u64, u64), Action>,
    planned: u64,
    machines: Vec<Machine>,
    files: Files,
    journal_files: MemoryFiles,
    shell: Option<Shell>,
    remains: Option<Box<Remains>>,
    /// When the coordinator was suspended, and when it continues.
    frozen: Option<(u64, u64)>,
    properties: Properties,
    ended: Option<JobState>,
    tally: Tally,
}

impl<'a> World<'a> {
    pub(crate) fn new(truth: &'a Truth, seed: u64) -> Self {
        let mut chaos = Chaos::of_seed(seed);
        let plan = truth.plan(chaos.order());
        let count = chaos.dice.random_range(1..6);
        let machines =
            (0..count).map(|number| Machine::new(number, chaos.dice.random_range(1..6))).collect();
        Self {
            truth,
            plan,
            chaos,
            now: BEGIN_MILLIS,
            agenda: BTreeMap::new(),
            planned: 0,
            machines,
            files: Files::default(),
            journal_files: MemoryFiles::new(),
            shell: None,
            remains: None,
            frozen: None,
            properties: Properties::default(),
            ended: None,
            tally: Tally::default(),
        }
    }

    /// Runs the job to its end.
    pub(crate) fn run(mut self) -> Outcome {
        for machine in 0..self.machines.len() {
            self.later(0, Action::Machine(machine));
        }
        self.bring_up();
        // A coordinator that made the end durable and died comes up again to report it.
        while self.ended.is_none() || self.shell.is_none() {
            let (at, action) = self.agenda.pop_first().expect("machines never stop asking");
            self.now = at.0;
            assert!(
                self.now < BEGIN_MILLIS + MAX_MILLIS,
                "the job never ends: {:#?}",
                self.status()
            );
            self.tally.steps += 1;
            self.thaw();
            self.declare_lost();
            match action {
                Action::Machine(machine) => self.turn(machine),
                Action::Late(request) => {
                    if self.chaos.lets_arrive_late() {
                        self.coordinator(&Event::Sync(*request));
                    }
                }
                Action::CoordinatorUp => self.bring_up(),
                Action::AllocationEnds(epoch) => self.end_allocation(epoch),
            }
        }
        let shell = self.shell.take().expect("the coordinator that ended the job is up");
        self.properties.at_end(&shell.scheduler, self.truth, Timestamp::from_millis(self.now));
        let tally = Tally {
            failed_units: self.properties.failed_units_count(),
            speculative: self.properties.speculative_count(),
            ..self.tally
        };
        Outcome::of(&shell.scheduler, &self.files, tally)
    }

    fn later(&mut self, millis: u64, action: Action) {
        self.planned += 1;
        self.agenda.insert((self.now + millis, self.planned), action);
    }

    fn chaos_time(&self) -> u64 {
        self.now - BEGIN_MILLIS
    }

    fn status(&self) -> Option<Status> {
        let shell = self.shell.as_ref()?;
        Some(shell.scheduler.status(Timestamp::from_millis(self.now)))
    }

    /// Gives the coordinator an event; what it does, if it is up and stays up.
    fn coordinator(&mut self, event: &Event) -> Option<Consequence> {
        if self.frozen.is_some() {
            return None;
        }
        let shell = self.shell.take()?;
        let death = self.chaos.death(self.chaos_time());
        match shell.handle(self.now, event, &self.journal_files, death) {
            Handled::Lives(shell, consequence) => {
                let now = Timestamp::from_millis(self.now);
                self.look(now, event, &consequence, &shell);
                self.shell = Some(shell);
                self.act(&consequence.effects);
                Some(consequence)
            }
            Handled::Died(remains) => {
                self.remains = Some(remains);
                let down = self.chaos.dice.random_range(1..5000);
                self.later(down, Action::CoordinatorUp);
                None
            }
        }
    }

    fn look(&mut self, now: Timestamp, event: &Event, consequence: &Consequence, shell: &Shell) {
        let seen = Seen {
            now,
            event,
            effects: &consequence.effects,
            answer: consequence.answer.as_ref(),
            scheduler: &shell.scheduler,
            truth: self.truth,
        };
        for unit in self.properties.look(&seen) {
            *self.chaos.losses.entry(unit).or_default() += 1;
        }
    }

    fn act(&mut self, effects: &[Effect]) {
        for effect in effects {
            self.tally.excluded += u64::from(matches!(effect, Effect::WorkerExcluded { .. }));
            let Effect::JobEnded { state, .. } = effect else { continue };
            if *state == JobState::Drained {
                self.tally.drained += 1;
                let shell = self.shell.take().expect("it just answered");
                self.remains = Some(Box::new(shell.stop()));
                self.later(3000, Action::CoordinatorUp);
                return;
            }
            self.ended = Some(*state);
        }
    }

    /// A coordinator comes up, and its state is what the one before had made durable.
    fn bring_up(&mut self) {
        let allocation = self.chaos.allocation(self.chaos_time(), self.now);
        let (shell, opening) = Shell::open(&self.journal_files, &self.plan, allocation);
        if let Event::Opened(opened) = &opening
            && let Some(ends) = opened.allocation.ends
        {
            let epoch = opened.epoch;
            self.later(ends.millis() - self.now, Action::AllocationEnds(epoch));
        }
        let mut replaced = None;
        if let Some(mut remains) = self.remains.take() {
            self.tally.restarts += 1;
            let found = remains.expected.iter().position(|state| *state == shell.scheduler);
            let found = found.unwrap_or_else(|| {
                let expected = remains.expected.last().expect("some state is expected");
                panic!("replay gave another state:\n{}", difference(&shell.scheduler, expected))
            });
            if let Some((at, event, consequence)) = remains.last.take()
                && found + 1 == remains.expected.len()
            {
                self.tally.records_that_got_through += 1;
                self.look(at, &event, &consequence, &shell);
                let ended = consequence.effects.iter().find_map(|effect| match effect {
                    Effect::JobEnded { state, .. } if *state != JobState::Drained => Some(*state),
                    _ => None,
                });
                self.ended = self.ended.or(ended);
            }
            replaced = Some(remains);
        }
        self.shell = Some(shell);
        self.coordinator(&opening);
        // Until the opening is durable, what the replaced one writes may count: nobody acted yet.
        if self.shell.is_some()
            && let Some(replaced) = replaced
            && self.chaos.dice.random_bool(0.3)
        {
            replaced.rise(self.now);
        }
        if self.shell.as_ref().is_some_and(|shell| shell.scheduler.job_toml().is_none()) {
            let plan = self.plan.clone();
            self.coordinator(&Event::Submitted { plan, job_toml: "job".to_owned() });
        }
    }

    /// Kills what still runs in an allocation whose time is over.
    fn end_allocation(&mut self, epoch: u64) {
        if self.shell.as_ref().is_none_or(|shell| shell.scheduler.epoch() != epoch) {
            return;
        }
        self.tally.allocations_ended += 1;
        self.frozen = None;
        let shell = self.shell.take().expect("it was just looked at");
        self.remains = Some(Box::new(shell.stop()));
        let wakes_at = self.now + 1000;
        self.machines.iter_mut().for_each(|machine| machine.restart(wakes_at));
        self.later(3000, Action::CoordinatorUp);
    }

    /// A coordinator that was suspended notices it before anything else.
    fn thaw(&mut self) {
        let Some((from, until)) = self.frozen.filter(|(_, until)| *until <= self.now) else {
            return;
        };
        self.frozen = None;
        self.tally.frozen += 1;
        self.coordinator(&Event::Frozen { millis: until - from });
    }

    fn declare_lost(&mut self) {
        if self.frozen.is_some() {
            return;
        }
        let Some(shell) = &self.shell else { return };
        let now = Timestamp::from_millis(self.now);
        let overdue = shell.scheduler.overdue(now);
        properties::deadlines::look(now, shell.deadline, &overdue);
        for event in overdue {
            let is_loss = matches!(event, Event::Lost { .. });
            if self.coordinator(&event).is_some() && is_loss {
                self.tally.workers_lost += 1;
            }
        }
    }

    /// A machine's turn: mishaps, ended units, one call.
    fn turn(&mut self, number: usize) {
        let pause = self.chaos.dice.random_range(20..250);
        self.later(pause, Action::Machine(number));
        if self.machines[number].wakes_at > self.now {
            return;
        }
        let machine = &self.machines[number];
        let exposed = machine.worker_id().into_iter().flat_map(|id| self.properties.exposed_to(id));
        let held = machine.held_keys().chain(exposed);
        let mishap = self.chaos.mishap(self.now - BEGIN_MILLIS, held);
        let machine = &mut self.machines[number];
        match mishap {
            Mishap::None => {}
            Mishap::Crash => return machine.restart(self.now + 1000),
            Mishap::Hang { millis } => {
                machine.wakes_at = self.now + millis;
                return;
            }
            Mishap::Preempted => machine.give_back(),
            Mishap::Leaves { millis } => {
                machine.leaves_at.get_or_insert(self.now + millis);
            }
            Mishap::Damage(choice) => {
                self.files.damage(choice);
                self.tally.damaged += 1;
            }
            Mishap::Freeze { millis } => {
                // One that is suspended at the end of its allocation cannot stop in time.
                let ends = self.status().map(|status| status.allocation.is_some());
                if ends == Some(false) {
                    self.frozen.get_or_insert((self.now, self.now + millis));
                }
            }
            Mishap::Drain => {
                self.coordinator(&Event::Drained { until: None });
            }
        }
        if self.machines[number].leaves_at.is_some_and(|at| at <= self.now) {
            self.tally.left += 1;
            self.machines[number].give_back();
            self.call(number);
            return self.machines[number].restart(self.now + 500);
        }
        while let Some(run) = self.machines[number].next_ended(self.now) {
            if !self.end(number, run) {
                return self.machines[number].restart(self.now + 500);
            }
        }
        self.call(number);
    }

    /// Ends a run; says whether the machine survived it.
    fn end(&mut self, number: usize, run: Run) -> bool {
        let unit = run.unit;
        let most = self.truth.limits.retries - 1;
        let pieces = self.chaos.dice.random_range(1..6);
        let time = self.chaos_time();
        let machine = &mut self.machines[number];
        match &run.end {
            End::Kills => return false,
            End::Fails(_) => machine.report(&run, run.end.outcomes(pieces)),
            End::Result { done, .. } => {
                if let Some(class) = self.chaos.fault(time, number) {
                    self.tally.faults += 1;
                    machine.report_fault(&run, class);
                    return true;
                }
                if self.chaos.blocks(time) {
                    self.tally.blocked += 1;
                    machine.report_blocked(&run);
                    return true;
                }
                if !done.digest.is_empty() && self.chaos.fails(time, unit.key, most) {
                    machine.report_bad_luck(&run);
                    return true;
                }
                if let Ok(digest) = done.digest.as_slice().try_into() {
                    self.files.write(unit.key, digest, unit);
                }
                machine.report(&run, run.end.outcomes(pieces));
            }
        }
        true
    }

    fn call(&mut self, number: usize) {
        let next_id = self.shell.as_ref().map_or(0, |shell| shell.scheduler.next_worker_id());
        let most = self.chaos.dice.random_range(1..8);
        let (event, sent) = self.machines[number].request(self.now, next_id, most);
        let new_id = match &event {
            Event::Registered { worker_id, .. } => Some(*worker_id),
            _ => None,
        };
        let consequence = match self.chaos.call(self.chaos_time()) {
            Call::RequestLost => None,
            Call::Answered => self.coordinator(&event),
            Call::AnswerLost => {
                self.tally.answers_lost += 1;
                self.coordinator(&event);
                None
            }
            Call::Delayed { millis } => {
                if let Event::Sync(request) = event {
                    self.tally.delayed += 1;
                    self.later(millis, Action::Late(Box::new(request)));
                }
                None
            }
        };
        let machine = &mut self.machines[number];
        let Some(Consequence { answer, .. }) = consequence else { return machine.unanswered() };
        if let Some(worker_id) = new_id {
            return machine.registered(worker_id);
        }
        match answer.expect("a call that was handled has an answer") {
            SyncAnswer::UnknownWorker => machine.unknown(),
            SyncAnswer::Answer { leases, directive, give_up } => {
                self.tally.given_up += give_up.len() as u64;
                machine.answered(sent, &leases, directive, &give_up);
                for lease in leases {
                    let unit = lease.unit;
                    let end = work::run(self.truth, &self.files, &lease);
                    let slow = if self.chaos.dice.random_bool(0.05) { 10 } else { 1 };
                    let ends_at = self.now + slow * self.chaos.dice.random_range(1..600);
                    let (began_at, given_up) = (self.now, false);
                    machine.running.push(Run { unit, ends_at, end, began_at, given_up });
                }
            }
        }
    }
}

/// The lines that differ, each with its place.
fn difference(found: &Scheduler, expected: &Scheduler) -> String {
    let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
    let pairs = found.lines().zip(expected.lines()).zip(1..);
    let differing = pairs.filter(|((found, expected), _)| found != expected);
    let shown = differing.map(|((found, expected), line)| {
        format!("{line}: {} not {}", found.trim(), expected.trim())
    });
    shown.take(20).collect::<Vec<_>>().join("\n")
}

/// Whether a unit can end well.
pub(crate) fn is_healthy(fate: Fate) -> bool {
    fate == Fate::Succeeds
}
