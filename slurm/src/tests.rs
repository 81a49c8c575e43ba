//! Tests the adapter through its trait, with captured outputs (`testdata/SOURCE.md`).

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use thresher_site::batch::{Condition, Ending};

use super::*;

const QUEUE: Slurm = Slurm { records: Records::Queue };
const ACCOUNTING: Slurm = Slurm { records: Records::Accounting };

fn id(text: &str) -> AllocationId {
    AllocationId::parse(text).unwrap()
}

fn request() -> AllocationRequest {
    AllocationRequest {
        name: "crawl".to_owned(),
        nodes: NonZeroU32::new(92).unwrap(),
        walltime: Duration::from_secs(6 * 3600),
        queue: None,
        account: None,
        qos: None,
        reservation: None,
        features: Vec::new(),
        warn_before: None,
        output: None,
        errors: None,
        after: None,
        rerun: Rerun::Forbidden,
        extra: Vec::new(),
        script: PathBuf::from("/run/job.sh"),
    }
}

#[test]
fn a_bare_request_names_only_what_must_be_named() {
    assert_eq!(
        QUEUE.directives(&request()).unwrap().to_string(),
        "#SBATCH --job-name=crawl\n#SBATCH --nodes=92\n#SBATCH --time=06:00:00\n\
         #SBATCH --open-mode=append\n#SBATCH --no-requeue\n"
    );
    let command = QUEUE.submit(&request()).unwrap();
    assert_eq!(command.to_string(), "sbatch --parsable /run/job.sh");
}

#[test]
fn a_full_request_names_everything() {
    let full = AllocationRequest {
        queue: Some("batch".to_owned()),
        account: Some("ABC123".to_owned()),
        qos: Some("normal".to_owned()),
        reservation: Some("hackathon".to_owned()),
        features: vec!["nvme".to_owned(), "gpu".to_owned()],
        warn_before: Some(Duration::from_millis(299_500)),
        output: Some("/out/100%/{id}.out".to_owned()),
        errors: Some("/out/{id}.err".to_owned()),
        after: Some(id("4711")),
        rerun: Rerun::Allowed,
        extra: vec!["-S".to_owned(), "0".to_owned()],
        ..request()
    };
    let expected = "--job-name=crawl --nodes=92 --time=06:00:00 --partition=batch \
         --account=ABC123 --qos=normal --reservation=hackathon \"--constraint=nvme&gpu\" \
         --signal=B:USR1@300 --output=/out/100%%/%j.out --error=/out/%j.err --open-mode=append \
         --requeue";
    let mut lines: Vec<String> = expected.split(' ').map(str::to_owned).collect();
    lines.push("-S 0".to_owned());
    let expected: String = lines.iter().map(|line| format!("#SBATCH {line}\n")).collect();
    assert_eq!(QUEUE.directives(&full).unwrap().to_string(), expected);
    assert_eq!(
        QUEUE.submit(&full).unwrap().to_string(),
        "sbatch --parsable --dependency=afterany:4711 /run/job.sh"
    );
}

#[test]
fn the_variables_of_an_outer_allocation_do_not_reach_the_new_one() {
    let command = QUEUE.submit(&request()).unwrap();
    for name in ["SLURM_MEM_PER_CPU", "SLURM_CPU_BIND", "SLURM_TRES_PER_TASK", "SBATCH_TIMELIMIT"] {
        assert!(command.unsets(name), "{name}");
    }
    for name in ["SLURM_CONF", "SBATCH_ACCOUNT", "PATH"] {
        assert!(!command.unsets(name), "{name}");
    }
}

#[test]
fn variables_without_a_value_count_as_not_set() {
    let variable = |name: &str| match name {
        "SLURM_JOB_ID" => Some("7".to_owned()),
        "SLURM_JOB_END_TIME" | "SLURM_RESTART_COUNT" => Some(String::new()),
        _ => None,
    };
    let inside = QUEUE.inside(&variable).unwrap().unwrap();
    assert_eq!((inside.restarts, inside.ends_unix_seconds), (Some(0), None));
}

#[test]
fn what_slurm_cannot_do_is_refused() {
    let walltime = Duration::from_secs(200_000);
    let early = Some(Duration::from_secs(70_000));
    let error = QUEUE.directives(&AllocationRequest { walltime, warn_before: early, ..request() });
    assert!(error.unwrap_err().to_string().contains("`70000s`"));
    assert!(QUEUE.directives(&AllocationRequest { name: "a b".to_owned(), ..request() }).is_err());
}

#[test]
fn the_id_is_found_with_or_without_a_cluster_and_between_notices() {
    let captured = include_str!("../testdata/sbatch-parsable-slurm-22.05.8-debian12.txt");
    assert_eq!(QUEUE.parse_submit(captured), Ok(id("1")));
    assert_eq!(QUEUE.parse_submit("welcome to the site\n4711;frontier\n\n"), Ok(id("4711")));
    for out in [
        "7\nNotice: 3 % of the project's hours are left\n",
        "7;frontier\n\n--- 12 nodes will be used ---\n",
        "Submitted batch job 7\n",
        "Submitted batch job 7 on cluster frontier\n",
    ] {
        assert_eq!(QUEUE.parse_submit(out), Ok(id("7")), "{out:?}");
    }
    for out in ["", "\n", "7x", ";c", "sbatch: error: invalid account", "12 nodes were used"] {
        let error = QUEUE.parse_submit(out);
        assert!(matches!(error, Err(ParseError::NoAllocationId { .. })), "{out:?}");
    }
}

#[test]
fn a_captured_queue_is_read_line_by_line() {
    let out = include_str!("../testdata/squeue-before-timeout-slurm-22.05.8-debian12.txt");
    let ended = |ending, reason: &str, seconds| AllocationState::Ended {
        ending,
        reason: reason.to_owned(),
        ran: Some(Duration::from_secs(seconds)),
    };
    let pending = |reason: &str| AllocationState::Pending { reason: reason.to_owned() };
    let running = |seconds| AllocationState::Running {
        condition: Condition::Working,
        nodes: Some(1),
        time_left: Some(Duration::from_secs(seconds)),
    };
    let failed = Ending::Failed { code: None, signal: None };
    let expected = vec![
        (id("5"), ended(Ending::Cancelled, "", 2)),
        (id("1"), ended(Ending::Completed, "", 1)),
        (id("2"), ended(Ending::Completed, "", 0)),
        (id("3"), ended(failed, "NonZeroExitCode", 0)),
        (id("8"), pending("PartitionNodeLimit")),
        (id("9"), pending("Dependency")),
        (id("10"), AllocationState::Held { reason: "JobHeldUser".to_owned() }),
        (id("4"), running(56)),
        (id("6"), running(86_400 + 7196)),
        (id("7"), running(3596)),
    ];
    assert_eq!(QUEUE.parse_status(out), Ok(expected));
}

#[test]
fn a_requeued_allocation_is_held_and_a_late_one_timed_out() {
    let out = include_str!("../testdata/squeue-after-requeuehold-slurm-22.05.8-debian12.txt");
    let states = QUEUE.parse_status(out).unwrap();
    let state = |wanted: &str| &states.iter().find(|(found, _)| *found == id(wanted)).unwrap().1;
    let reason = "job requeued in held state".to_owned();
    assert_eq!(*state("6"), AllocationState::Held { reason });
    let reason = "TimeLimit".to_owned();
    let ran = Some(Duration::from_secs(84));
    assert_eq!(*state("4"), AllocationState::Ended { ending: Ending::Walltime, reason, ran });
}

#[test]
fn accounting_reports_codes_signals_and_the_cancelling_user() {
    let out = include_str!("../testdata/sacct-slurm-documented.txt");
    let ended = |ending, reason: &str, seconds| AllocationState::Ended {
        ending,
        reason: reason.to_owned(),
        ran: Some(Duration::from_secs(seconds)),
    };
    let working = AllocationState::Running {
        condition: Condition::Working,
        nodes: Some(92),
        time_left: Some(Duration::from_secs(16_200)),
    };
    let expected = [
        working,
        AllocationState::Pending { reason: "Dependency".to_owned() },
        ended(Ending::Cancelled, "by user 1234", 600),
        ended(Ending::Failed { code: Some(3), signal: None }, "", 600),
        ended(Ending::Failed { code: None, signal: Some(9) }, "", 600),
        ended(Ending::Walltime, "", 21_621),
        ended(Ending::Preempted, "", 7205),
        ended(Ending::NodeFailed, "", 2400),
        ended(Ending::OutOfMemory, "", 9),
        ended(Ending::Completed, "", 18_600),
    ];
    let states = ACCOUNTING.parse_status(out).unwrap();
    let ids: Vec<String> = states.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(ids, (4711..=4720).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(states.into_iter().map(|(_, state)| state).collect::<Vec<_>>(), expected);
}

#[test]
fn a_process_finds_its_allocation_in_a_captured_environment() {
    let text = include_str!("../testdata/environment-slurm-22.05.8-debian12.txt");
    let captured = |name: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let nodes = ["n1", "n2", "n3"].map(str::to_owned).to_vec();
    let first = Inside { allocation: id("1"), nodes, restarts: Some(0), ends_unix_seconds: None };
    assert_eq!(QUEUE.inside(&captured), Ok(Some(first)));

    let later = |name: &str| match name {
        "SLURM_RESTART_COUNT" => Some("2".to_owned()),
        "SLURM_JOB_END_TIME" => Some("1750000000".to_owned()),
        other => captured(other),
    };
    let inside = QUEUE.inside(&later).unwrap().unwrap();
    assert_eq!(inside.restarts, Some(2));
    assert_eq!(inside.time_left(1_749_999_000), Some(Duration::from_secs(1000)));
    assert_eq!(QUEUE.inside(&|_| None), Ok(None));
}

#[test]
fn a_site_without_a_database_is_pointed_to_the_key() {
    let failure = "`sacct …` ended with exit status: 1: Slurm accounting storage is disabled";
    assert!(ACCOUNTING.advice(failure).is_some_and(|advice| advice.contains("`records`")));
    assert_eq!(ACCOUNTING.advice("sacct: error: invalid user"), None);
    assert_eq!(QUEUE.advice(failure), None);
}

#[test]
fn cancel_names_all_allocations() {
    let command = QUEUE.cancel(&[id("7"), id("8")]).unwrap();
    assert_eq!(command.to_string(), "scancel 7 8");
    assert_eq!(QUEUE.cancel(&[]), None);
}

/// Reads every text with one character changed, and every prefix of it.
#[test]
fn no_damaged_text_makes_a_reader_panic() {
    let texts = [
        include_str!("../testdata/squeue-before-timeout-slurm-22.05.8-debian12.txt"),
        include_str!("../testdata/sacct-slurm-documented.txt"),
        "r[1-2]n[01-02]-hsn0,x",
        "1-01:59:56",
    ];
    for whole in texts {
        let read = |text: &str| {
            let _ = (QUEUE.parse_status(text), ACCOUNTING.parse_status(text));
            let _ = (QUEUE.parse_submit(text), expand_hostlist(text), parse_walltime(text));
        };
        for (at, old) in whole.char_indices() {
            read(&whole[..at]);
            for new in ["", "|", "-", "[", "9", "999999999999", ":", "\n", "é"] {
                read(&format!("{}{new}{}", &whole[..at], &whole[at + old.len_utf8()..]));
            }
        }
    }
}
