//! Tests the adapter through its trait, with texts of the documented form (`testdata/SOURCE.md`).

use std::path::PathBuf;

use thresher_site::batch::{Condition, Ending};

use super::*;

const SUMMIT: Lsf = Lsf { layout: Layout::WholeNodes };

fn generic(per_node: u32) -> Lsf {
    Lsf { layout: Layout::Slots { per_node: NonZeroU32::new(per_node).unwrap() } }
}

fn id(text: &str) -> AllocationId {
    AllocationId::parse(text).unwrap()
}

fn request() -> AllocationRequest {
    AllocationRequest {
        name: "crawl".to_owned(),
        nodes: NonZeroU32::new(92).unwrap(),
        walltime: Duration::from_secs(12 * 3600),
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

/// Returns options between `|` as directives.
fn directives(options: &str) -> String {
    options.split('|').map(|line| format!("#BSUB {line}\n")).collect()
}

#[test]
fn whole_nodes_are_requested_with_the_script_as_an_argument() {
    let full = AllocationRequest {
        queue: Some("killable".to_owned()),
        account: Some("ABC123".to_owned()),
        reservation: Some("hackathon".to_owned()),
        features: vec!["NVME".to_owned(), "smt1".to_owned()],
        warn_before: Some(Duration::from_secs(241)),
        output: Some("/out/{id}.out".to_owned()),
        errors: Some("/out/{id}.err".to_owned()),
        after: Some(id("4711")),
        rerun: Rerun::Allowed,
        extra: vec!["-core_isolation".to_owned(), "2".to_owned()],
        ..request()
    };
    let lines = "-J crawl|-W 12:00|-P ABC123|-q killable|-U hackathon|-o /out/%J.out|\
                 -e /out/%J.err|-wt 5|-wa URG|-nnodes 92|-alloc_flags \"NVME smt1\"|-r|-Q 99|\
                 -core_isolation 2";
    assert_eq!(SUMMIT.directives(&full).unwrap().to_string(), directives(lines));
    assert_eq!(SUMMIT.submit(&full).unwrap().to_string(), "bsub -w 'ended(4711)' /run/job.sh");
}

#[test]
fn slots_are_requested_with_the_script_as_input() {
    let lines = "-J crawl|-W 12:00|-n 3864|-R \"span[ptile=42]\"|-rn";
    assert_eq!(generic(42).directives(&request()).unwrap().to_string(), directives(lines));
    assert_eq!(generic(42).submit(&request()).unwrap().to_string(), "bsub < /run/job.sh");
}

#[test]
fn walltime_is_whole_minutes_rounded_up() {
    for (millis, minutes) in [
        (1, "0:01"),
        (60_000, "0:01"),
        (60_001, "0:02"),
        (7_200_000, "2:00"),
        (129_600_000, "36:00"),
    ] {
        let walltime = Duration::from_millis(millis);
        let lines = SUMMIT.directives(&AllocationRequest { walltime, ..request() }).unwrap();
        assert!(lines.to_string().contains(&format!("#BSUB -W {minutes}\n")), "{lines}");
    }
}

#[test]
fn an_allocation_of_a_minute_is_submitted_without_a_warning() {
    for (walltime, lead, warned) in [(60, 20, false), (45, 15, false), (120, 40, true)] {
        let request = AllocationRequest {
            walltime: Duration::from_secs(walltime),
            warn_before: Some(Duration::from_secs(lead)),
            ..request()
        };
        let lines = SUMMIT.directives(&request).unwrap().to_string();
        assert_eq!(lines.contains("#BSUB -wt 1\n#BSUB -wa URG\n"), warned, "{lines}");
        assert_eq!(lines.contains(" -wt "), warned, "{lines}");
    }
}

#[test]
fn a_variable_of_the_user_cannot_hide_the_id() {
    let command = SUMMIT.submit(&request()).unwrap();
    for name in ["BSUB_QUIET", "BSUB_QUIET2", "LSB_JOBID", "LSB_DJOB_HOSTFILE"] {
        assert!(command.unsets(name), "{name}");
    }
    assert!(!command.unsets("LSF_ENVDIR"));
    assert_eq!(SUMMIT.script().requeue, format!("exit {REQUEUE_EXIT_CODE}"));
}

#[test]
fn what_lsf_cannot_do_is_refused() {
    let qos = AllocationRequest { qos: Some("debug".to_owned()), ..request() };
    let error = SUMMIT.directives(&qos).unwrap_err().to_string();
    assert!(error.contains("`lsf` has no quality of service"), "{error}");
    let late = AllocationRequest {
        walltime: Duration::from_secs(120),
        warn_before: Some(Duration::from_secs(61)),
        ..request()
    };
    assert!(SUMMIT.directives(&late).unwrap_err().to_string().contains("`61s`"));
    let nodes = NonZeroU32::MAX;
    assert!(generic(2).directives(&AllocationRequest { nodes, ..request() }).is_err());
}

#[test]
fn the_id_is_that_of_the_last_job_submitted() {
    let out = include_str!("../testdata/bsub-lsf-10.1-documented.txt");
    assert_eq!(SUMMIT.parse_submit(out), Ok(id("806290")));
    let default = "Job <12> is submitted to default queue <normal>.\n";
    assert_eq!(SUMMIT.parse_submit(default), Ok(id("12")));
    for out in ["", "Job not submitted.", "Job <x> is submitted to queue <q>.", "Job <1> is done"] {
        let error = SUMMIT.parse_submit(out);
        assert!(matches!(error, Err(ParseError::NoAllocationId { .. })), "{out:?}");
    }
}

#[test]
fn a_list_of_jobs_is_read_line_by_line() {
    let out = include_str!("../testdata/bjobs-lsf-10.1-documented.txt");
    let ended = |ending, reason: &str, seconds| AllocationState::Ended {
        ending,
        reason: reason.to_owned(),
        ran: Some(Duration::from_secs(seconds)),
    };
    let running = |condition, seconds| AllocationState::Running {
        condition,
        nodes: None,
        time_left: Some(Duration::from_secs(seconds)),
    };
    let over = "TERM_RUNLIMIT: job killed after reaching LSF run time limit";
    let expected = vec![
        (id("806290"), running(Condition::Working, 1440 * 60 - 16_038)),
        (
            id("806291"),
            AllocationState::Pending {
                reason: "Job dependency condition not satisfied;".to_owned(),
            },
        ),
        (
            id("806292"),
            AllocationState::Held {
                reason: "The job was suspended by the user while pending;".to_owned(),
            },
        ),
        (id("806293"), running(Condition::Suspended, 7200 - 100)),
        (id("806294"), running(Condition::Unreachable, 0)),
        (id("806295"), ended(Ending::Completed, "", 7000)),
        (id("806296"), ended(Ending::Walltime, over, 7201)),
        (id("806297"), ended(Ending::Failed { code: Some(1), signal: None }, "", 5)),
        (id("806298"), ended(Ending::Lost, "", 500)),
    ];
    assert_eq!(SUMMIT.parse_status(out), Ok(expected));
}

#[test]
fn a_process_finds_its_allocation_without_the_launch_node() {
    let variable = |name: &str| match name {
        "LSB_JOBID" => Some("806290".to_owned()),
        "LSB_MCPU_HOSTS" => Some("batch5 1 d05n08 42 d05n09 42 ".to_owned()),
        _ => None,
    };
    let inside = SUMMIT.inside(&variable).unwrap().unwrap();
    assert_eq!(inside.allocation, id("806290"));
    assert_eq!(inside.nodes, ["d05n08", "d05n09"]);
    assert_eq!((inside.restarts, inside.ends_unix_seconds), (None, None));
    assert_eq!(SUMMIT.inside(&|_| None), Ok(None));
}

#[test]
fn cancel_names_all_allocations_and_never_all_jobs() {
    assert_eq!(SUMMIT.cancel(&[id("7"), id("8")]).unwrap().to_string(), "bkill 7 8");
    assert_eq!(SUMMIT.cancel(&[]), None);
}

/// Reads every text with one character changed, and every prefix of it.
#[test]
fn no_damaged_text_makes_a_reader_panic() {
    let texts = [
        include_str!("../testdata/bjobs-lsf-10.1-documented.txt"),
        include_str!("../testdata/bsub-lsf-10.1-documented.txt"),
        "batch2 1 a01n01 42 a01n02 42",
    ];
    for whole in texts {
        let read = |text: &str| {
            let _ = (SUMMIT.parse_status(text), SUMMIT.parse_submit(text));
            let _ = (parse_mcpu_hosts(text), parse_hostfile(text));
        };
        for (at, old) in whole.char_indices() {
            read(&whole[..at]);
            for new in ["", "|", "-", "[", "9", "999999999999", ":", "\n", "é"] {
                read(&format!("{}{new}{}", &whole[..at], &whole[at + old.len_utf8()..]));
            }
        }
    }
}
