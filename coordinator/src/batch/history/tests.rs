//! Tests of what follows from records of allocations.

use super::*;
use std::path::PathBuf;
use thresher_site::SiteProfile;
use thresher_site::batch::{Condition, Ending};

pub(in crate::batch) fn submission(site: &str, allocations: u32) -> Record {
    Record::Requested(Box::new(Submission {
        site: SiteProfile::choose("generic-slurm", site).unwrap(),
        nodes: 4,
        walltime_seconds: 3600,
        allocations,
        job_name: "crawl".to_owned(),
        job: PathBuf::from("/s/job.toml"),
        script: PathBuf::from("/s/script.sh"),
    }))
}

pub(in crate::batch) fn submitted(id: &str) -> Record {
    Record::Submitted { id: id.to_owned() }
}

pub(in crate::batch) fn started(id: &str, units_done: u64) -> Record {
    Record::Started { id: id.to_owned(), nodes: 4, ends_unix_seconds: None, units_done }
}

pub(in crate::batch) fn ended(id: &str, status: i32, units_done: u64) -> Record {
    let (id, asked) = (id.to_owned(), "USR1".to_owned());
    Record::Ended { id, status, asked, units_done, reason: String::new(), refused: false }
}

/// Returns the history of records that are a thousand seconds apart.
pub(in crate::batch) fn history(records: impl IntoIterator<Item = Record>) -> History {
    let stamped: Vec<Stamped> = records
        .into_iter()
        .zip(1..)
        .map(|(record, number)| Stamped { number, at_unix_seconds: number * 1000, record })
        .collect();
    History::of(&stamped)
}

const RUNNING: JobState = JobState::Running;

#[test]
fn an_allocation_that_pbs_requeues_again_and_again_ends_before_it_is_held() {
    let site = SiteProfile::choose("generic-pbs", "").unwrap();
    let records = |times: usize| {
        let Record::Requested(mut request) = submission("", 2) else { unreachable!() };
        request.site = site.clone();
        let first = [Record::Requested(request), submitted("7.s"), submitted("8.s")];
        first.into_iter().chain((0..times).map(|_| started("7.s", 0)))
    };
    // Each start is recorded before the next one; the runs are too short to count as idle.
    let at_start = |times| {
        let stamped: Vec<Stamped> = records(times)
            .zip(1..)
            .map(|(record, number)| Stamped { number, at_unix_seconds: number, record })
            .collect();
        History::of(&stamped).at_start("7.s", RUNNING)
    };
    assert_eq!(at_start(18), StartDecision::Run);
    let decision = at_start(19);
    let StartDecision::Skip(why) = &decision else { panic!("{decision:?}") };
    assert!(why.contains("`thresher resume`"), "{why}");
    assert_eq!(history(records(19)).waiting().len(), 1, "the next one of the chain stays");
}

#[test]
fn a_chain_runs_link_by_link_until_the_job_is_over() {
    let mut records = vec![submission("", 3), submitted("7"), submitted("8"), submitted("9")];
    let fresh = history(records.clone());
    assert_eq!(fresh.at_start("7", JobState::None), StartDecision::Run);
    assert_eq!(fresh.waiting().len(), 3);
    records.extend([started("7", 0), ended("7", 5, 4)]);
    let first = history(records.clone());
    assert_eq!(first.next("7", 5, "USR1", false), Next::Done);
    assert_eq!(first.at_start("8", RUNNING), StartDecision::Run);
    assert_eq!(first.waiting().len(), 2, "8 and 9");
    records.extend([started("8", 4), ended("8", 0, 20)]);
    let over = history(records);
    assert_eq!(over.next("8", 0, "USR1", false), Next::Over);
    assert!(matches!(over.at_start("9", JobState::Complete), StartDecision::Stop(_)));
}

#[test]
fn a_chain_stops_after_allocations_without_progress() {
    let site = "[site]\nidle_allocations = 2";
    let mut records = vec![submission(site, 5)];
    for id in ["1", "2"] {
        records.extend([submitted(id), started(id, 4), ended(id, 1, 4)]);
    }
    records.push(submitted("3"));
    let StartDecision::Stop(why) = history(records.clone()).at_start("3", RUNNING) else {
        panic!("it continued")
    };
    assert!(why.contains("2 allocations in a row"), "{why}");
    // After a new request by hand, it has another chance.
    records.extend([submission(site, 1), submitted("4")]);
    assert_eq!(history(records).at_start("4", RUNNING), StartDecision::Run);
}

#[test]
fn a_chain_ends_at_once_if_the_next_allocation_would_be_refused_too() {
    let stopped = |refused| Record::Ended {
        id: "1".to_owned(),
        status: 5,
        asked: String::new(),
        units_done: 0,
        reason: "worker 1 on `n1`: the store refuses the keys\nhint: renew them".to_owned(),
        refused,
    };
    let records = [submission("", 3), submitted("1"), submitted("2"), started("1", 0)];
    let running = history(records.clone());
    assert_eq!(running.next("1", 5, "", true), Next::Refused);
    assert_eq!(running.next("1", 5, "", false), Next::Done, "a server that was away");
    let stop = StartDecision::Stop(REFUSED.to_owned());
    for (refused, next) in [(true, stop), (false, StartDecision::Run)] {
        let ended = history(records.iter().cloned().chain([stopped(refused)]));
        assert_eq!(ended.at_start("2", JobState::Drained), next);
        let (phase, why) = ended.allocation("1").unwrap().describe(None);
        let expected = "stopped: worker 1 on `n1`: the store refuses the keys; 0 units done";
        assert_eq!((phase.name(), why.as_str()), ("ended", expected));
    }
    let resumed = [stopped(true), submission("", 1), submitted("3")];
    let resumed = history(records.into_iter().chain(resumed));
    assert_eq!(resumed.at_start("3", JobState::Drained), StartDecision::Run);
}

#[test]
fn an_early_preemption_does_not_count_as_idle_and_a_unit_clears_the_count() {
    let site = "[site]\nidle_allocations = 1";
    let records = [submission(site, 1), submitted("1"), started("1", 4), started("1", 4)];
    // Records are a thousand seconds apart here, so the first run had enough time.
    assert!(matches!(history(records.clone()).at_start("1", RUNNING), StartDecision::Stop(_)));
    let quick: Vec<Stamped> = records
        .into_iter()
        .zip(1..)
        .map(|(record, number)| Stamped { number, at_unix_seconds: number * 10, record })
        .collect();
    assert_eq!(History::of(&quick).at_start("1", RUNNING), StartDecision::Run);
    let progress = [submission(site, 1), submitted("1"), started("1", 4), started("1", 5)];
    assert_eq!(history(progress).at_start("1", RUNNING), StartDecision::Run);
}

#[test]
fn a_requeueing_site_runs_one_allocation_as_often_as_requested() {
    let site = "[site]\nchain = \"requeue\"";
    let mut records = vec![submission(site, 2), submitted("1"), started("1", 0)];
    assert_eq!(history(records.clone()).next("1", 5, "USR1", false), Next::Requeue);
    assert_eq!(history(records.clone()).next("1", 1, "USR1", false), Next::Failed);
    assert_eq!(history(records.clone()).next("1", 5, LAUNCHER, false), Next::Failed);
    records.extend([ended("1", 5, 3), started("1", 3)]);
    assert_eq!(history(records).next("1", 5, "USR1", false), Next::Done);
}

#[test]
fn a_job_drained_by_hand_stays_so_until_somebody_resumes_it() {
    let mut records = vec![submission("", 2), submitted("1"), submitted("2"), started("1", 0)];
    records.extend([Record::HeldByHand]);
    let held = history(records.clone());
    assert_eq!(held.next("1", 5, "USR1", false), Next::Over);
    assert!(matches!(held.at_start("2", JobState::Drained), StartDecision::Stop(_)));
    records.extend([submission("", 1), submitted("3")]);
    assert_eq!(history(records).at_start("3", JobState::Drained), StartDecision::Run);
}

/// Returns the states of allocations.
pub(in crate::batch) fn states<const N: usize>(known: [(&str, AllocationState); N]) -> States {
    known.into_iter().map(|(id, state)| (id.to_owned(), state)).collect()
}

pub(in crate::batch) fn pending() -> AllocationState {
    AllocationState::Pending { reason: "BeginTime".to_owned() }
}

pub(in crate::batch) fn running(condition: Condition) -> AllocationState {
    AllocationState::Running { condition, nodes: None, time_left: None }
}

fn ids(list: Vec<AllocationId>) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn an_allocation_that_is_back_in_the_queue_after_its_end_is_seen_and_removed() {
    let records = [submission("", 2), submitted("1"), submitted("2"), started("1", 0)];
    let records = records.into_iter().chain([ended("1", 5, 3), started("2", 3), ended("2", 5, 6)]);
    let history = history(records);
    assert_eq!(history.unsettled().count(), 0);
    assert_eq!(ids(history.to_ask(8000)), ["1", "2"], "they ended lately");
    assert_eq!(ids(history.to_ask(8000 + ASKED_SECONDS)), [""; 0], "ids are reused");
    assert_eq!(ids(history.queued(&States::new())), [""; 0]);
    let again = states([("1", pending()), ("2", running(Condition::Working))]);
    assert_eq!(ids(history.queued(&again)), ["1"]);
    assert_eq!(ids(history.alive(&again)), ["1", "2"]);
    let held = AllocationState::Held { reason: String::new() };
    assert_eq!(ids(history.queued(&states([("2", held)]))), ["2"]);
}

#[test]
fn an_allocation_whose_end_is_not_recorded_is_asked_about_for_ever() {
    let history = history([submission("", 2), submitted("1"), submitted("2"), started("1", 0)]);
    assert_eq!(ids(history.to_ask(u64::MAX)), ["1", "2"]);
    assert_eq!(ids(history.queued(&States::new())), ["2"]);
    assert_eq!(ids(history.alive(&States::new())), ["1", "2"]);
    let over =
        AllocationState::Ended { ending: Ending::Cancelled, reason: String::new(), ran: None };
    assert_eq!(ids(history.alive(&states([("1", over.clone()), ("2", over)]))), [""; 0]);
}

#[test]
fn an_allocation_that_comes_back_after_the_job_was_submitted_again_does_nothing() {
    let first = [submission("", 1), submitted("1"), started("1", 0)];
    let again = [submission("", 1), submitted("2")];
    let history = history(first.into_iter().chain(again));
    assert!(matches!(history.at_start("1", RUNNING), StartDecision::Skip(_)));
    assert_eq!(history.at_start("2", RUNNING), StartDecision::Run);
    assert_eq!(ids(history.waiting()), ["2"], "it is not withdrawn");
}

#[test]
fn units_of_the_next_run_are_not_counted_twice() {
    // The first coordinator hung: its script recorded the end after the second had started.
    let records = [submission("", 2), submitted("1"), submitted("2"), started("1", 10)];
    let records = records.into_iter().chain([started("2", 14), ended("1", 137, 30)]);
    let history = history(records.chain([ended("2", 5, 40)]));
    let done = |id: &str| history.allocation(id).unwrap().units_done();
    assert_eq!((done("1"), done("2")), (4, 26));
}

#[test]
fn a_requeued_allocation_has_the_units_of_all_of_its_runs() {
    let records = [submission("", 1), submitted("1"), started("1", 0), started("1", 3)];
    let history = history(records.into_iter().chain([ended("1", 5, 7)]));
    let allocation = history.allocation("1").unwrap();
    assert_eq!(allocation.units_done(), 7);
    assert!(allocation.describe(None).1.ends_with("; 7 units done"));
}

#[test]
fn a_coordinator_that_hung_continues_a_requeueing_chain() {
    let records = [submission("[site]\nchain = \"requeue\"", 2), submitted("1"), started("1", 0)];
    let requeue = history(records);
    assert_eq!(requeue.next("1", 137, "USR1", false), Next::Requeue);
    assert_eq!(requeue.next("1", 137, "", false), Next::Failed, "killed by somebody else");
    let chain = history([submission("", 2), submitted("1"), submitted("2"), started("1", 0)]);
    assert_eq!(chain.next("1", 137, "USR1", false), Next::Failed, "the next one starts anyway");
}

#[test]
fn an_allocation_that_lost_a_host_is_requeued_unless_another_waits() {
    let alone = [submission("", 1), submitted("1"), started("1", 0)];
    assert_eq!(history(alone).next("1", 5, LOST_HOST, false), Next::Requeue);
    let chain = [submission("", 2), submitted("1"), submitted("2"), started("1", 0)];
    assert_eq!(history(chain).next("1", 5, LOST_HOST, false), Next::Done);
}
