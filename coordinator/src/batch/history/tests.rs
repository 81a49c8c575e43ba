//! Tests of what follows from records of allocations.

use super::*;
use std::path::PathBuf;
use thresher_site::SiteProfile;

fn submission(site: &str, allocations: u32) -> Record {
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

fn submitted(id: &str) -> Record {
    Record::Submitted { id: id.to_owned() }
}

fn started(id: &str, units_done: u64) -> Record {
    Record::Started { id: id.to_owned(), nodes: 4, ends_unix_seconds: None, units_done }
}

fn ended(id: &str, status: i32, units_done: u64) -> Record {
    let (id, asked) = (id.to_owned(), "USR1".to_owned());
    Record::Ended { id, status, asked, units_done, reason: String::new(), refused: false }
}

/// Returns the history of records that are a thousand seconds apart.
fn history(records: impl IntoIterator<Item = Record>) -> History {
    let stamped: Vec<Stamped> = records
        .into_iter()
        .zip(1..)
        .map(|(record, number)| Stamped { number, at_unix_seconds: number * 1000, record })
        .collect();
    History::of(&stamped)
}

const RUNNING: JobState = JobState::Running;

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
        let (word, why) = ended.allocation("1").unwrap().describe(None);
        let expected = "stopped: worker 1 on `n1`: the store refuses the keys; 0 units done";
        assert_eq!((word, why.as_str()), ("ended", expected));
    }
    let resumed = [stopped(true), submission("", 1), submitted("3")];
    let resumed = history(records.into_iter().chain(resumed));
    assert_eq!(resumed.at_start("3", JobState::Drained), StartDecision::Run);
}

#[test]
fn only_an_allocation_that_failed_without_a_reason_lacks_a_cause() {
    let lacks = |records: Vec<Record>, state: Option<&AllocationState>| {
        let first = [submission("", 1), submitted("1")];
        history(first.into_iter().chain(records)).allocation("1").unwrap().lacks_cause(state)
    };
    let state = |ending| AllocationState::Ended { ending, reason: String::new() };
    let failed = state(Ending::Failed { code: Some(1), signal: None });
    assert!(lacks(vec![], Some(&failed)), "its script never recorded its start");
    assert!(lacks(vec![started("1", 4)], Some(&failed)));
    assert!(!lacks(vec![started("1", 4)], Some(&state(Ending::Walltime))));
    assert!(!lacks(vec![started("1", 4)], None));
    for (status, units_done, expected) in
        [(0, 4, false), (4, 4, false), (5, 4, true), (5, 5, false), (1, 4, true), (1, 9, true)]
    {
        let run = vec![started("1", 4), ended("1", status, units_done)];
        assert_eq!(lacks(run, None), expected, "{status}, {units_done} units done");
    }
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

#[test]
fn node_hours_count_every_run() {
    let records = [submission("", 1), submitted("1"), started("1", 0), started("1", 0)];
    let allocation = history(records).allocation("1").unwrap().clone();
    // It ran 1000 s until it was started again, then to the end of its hour.
    assert_eq!(allocation.node_seconds(None, 1_000_000), (1000 + 3600) * 4);
    assert_eq!(allocation.node_seconds(None, 4500), (1000 + 500) * 4);
    assert_eq!(allocation.describe(None).0, "unknown");
    let pending = AllocationState::Pending { reason: "BeginTime".to_owned() };
    assert_eq!(allocation.describe(Some(&pending)), ("queued", "BeginTime".to_owned()));
}

#[test]
fn an_end_is_described_by_the_batch_system_and_by_our_record() {
    let records = [submission("", 1), submitted("1"), started("1", 0), ended("1", 5, 3)];
    let allocation = history(records).allocation("1").unwrap().clone();
    let ending = Ending::Completed;
    let state = AllocationState::Ended { ending, reason: String::new() };
    let (word, why) = allocation.describe(Some(&state));
    assert_eq!(word, "ended");
    assert_eq!(why, "completed; drained, requested by USR1; 3 units done");
}
