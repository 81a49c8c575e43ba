//! Tests the adapter through its trait, with texts of the documented form (`testdata/SOURCE.md`).

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use thresher_site::batch::{Condition, Ending};

use super::*;

fn id(text: &str) -> AllocationId {
    AllocationId::parse(text).unwrap()
}

fn request() -> AllocationRequest {
    AllocationRequest {
        name: "crawl".to_owned(),
        nodes: NonZeroU32::new(256).unwrap(),
        walltime: Duration::from_millis(21_599_500),
        queue: None,
        account: None,
        qos: None,
        reservation: None,
        features: Vec::new(),
        warn_before: Some(Duration::from_secs(300)),
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
    options.split('|').map(|line| format!("#PBS {line}\n")).collect()
}

#[test]
fn a_request_is_stated_in_directives_and_only_the_dependency_on_the_command_line() {
    let bare = "-N crawl|-l select=256|-l place=scatter|-l walltime=06:00:00|-j oe|-r n";
    assert_eq!(Pbs.directives(&request()).unwrap().to_string(), directives(bare));
    assert_eq!(Pbs.submit(&request()).unwrap().to_string(), "qsub /run/job.sh");
    let full = AllocationRequest {
        queue: Some("prod".to_owned()),
        account: Some("ABC123".to_owned()),
        features: vec!["system=aurora".to_owned(), "ncpus=208".to_owned()],
        output: Some("/out/logs/".to_owned()),
        after: Some(id("4711.pbs1")),
        rerun: Rerun::Allowed,
        walltime: Duration::from_secs(168 * 3600),
        extra: ["-k", "doe", "-l", "filesystems=home:flare", "-l", "place=scatter:excl"]
            .map(str::to_owned)
            .to_vec(),
        ..request()
    };
    let lines = "-N crawl|-A ABC123|-q prod|-l select=256:system=aurora:ncpus=208|\
                 -l walltime=168:00:00|-o /out/logs/|-j oe|-r y|\
                 -k doe -l filesystems=home:flare -l place=scatter:excl";
    assert_eq!(Pbs.directives(&full).unwrap().to_string(), directives(lines));
    let command = Pbs.submit(&full).unwrap();
    assert_eq!(command.to_string(), "qsub -W depend=afterany:4711.pbs1 /run/job.sh");
    assert!(command.unsets("PBS_DPREFIX") && command.unsets("PBS_JOBID"));
    assert!(!command.unsets("PBS_DEFAULT") && !command.unsets("PBS_CONF_FILE"));
}

#[test]
fn what_pbs_cannot_do_is_refused() {
    let qos = AllocationRequest { qos: Some("debug".to_owned()), ..request() };
    let error = Pbs.directives(&qos).unwrap_err().to_string();
    assert!(error.contains("`pbs` has no quality of service"), "{error}");
    let reserved = AllocationRequest { reservation: Some("R7".to_owned()), ..request() };
    assert!(Pbs.directives(&reserved).unwrap_err().to_string().contains("`R7`"));
}

#[test]
fn the_id_is_found_between_notices() {
    let out = include_str!("../testdata/qsub-notices.txt");
    let expected = id("806290.aurora-pbs-0001.hostmgmt.cm.aurora.alcf.anl.gov");
    assert_eq!(Pbs.parse_submit(out), Ok(expected));
    assert_eq!(Pbs.parse_submit("7.pbs1\n"), Ok(id("7.pbs1")));
    for out in ["", "12.5 node-hours", "7", "7.", ".pbs1", "qsub: Account_Name is required."] {
        let error = Pbs.parse_submit(out);
        assert!(matches!(error, Err(ParseError::NoAllocationId { .. })), "{out:?}");
    }
}

#[test]
fn the_answer_of_qstat_is_read_job_by_job() {
    let states = Pbs.parse_status(include_str!("../testdata/qstat.json")).unwrap();
    let ended = |ending, reason: &str, ran: Option<u64>| AllocationState::Ended {
        ending,
        reason: reason.to_owned(),
        ran: ran.map(Duration::from_secs),
    };
    let running = |condition, seconds| AllocationState::Running {
        condition,
        nodes: Some(2),
        time_left: Some(Duration::from_secs(seconds)),
    };
    let failed = |code, signal| Ending::Failed { code, signal };
    let lacking = "Not Running: Insufficient amount of resource: ncpus".to_owned();
    let held = "Job held by u on Mon Nov 30".to_owned();
    let over = "Job run at Mon Nov 30 and exceeded resource walltime";
    let expected = [
        ("1.pbs1", running(Condition::Working, 5 * 3600 + 1800)),
        ("2.pbs1", running(Condition::Starting, 6 * 3600)),
        ("3.pbs1", AllocationState::Pending { reason: lacking }),
        ("4.pbs1", AllocationState::Pending { reason: String::new() }),
        ("5.pbs1", AllocationState::Held { reason: held }),
        ("6.pbs1", running(Condition::Suspended, 167 * 3600)),
        ("7.pbs1", ended(Ending::Completed, "", Some(601))),
        ("8.pbs1", ended(Ending::Walltime, over, Some(21_612))),
        ("9.pbs1", ended(Ending::Cancelled, "Job run at Mon Nov 30 and failed", Some(9))),
        ("10.pbs1", ended(failed(None, Some(9)), "", Some(9))),
        ("11.pbs1", ended(failed(Some(1), None), "", Some(9))),
        ("12.pbs1", ended(Ending::Cancelled, "Job deleted before it ran", None)),
    ];
    assert_eq!(states, expected.map(|(name, state)| (id(name), state)));
}

#[test]
fn every_status_of_pbs_has_a_meaning() {
    let end = |fields: &str| {
        let row = format!("{{\"id\":\"7.s\",\"job_state\":\"F\",{fields}}}");
        let state = status::parse_job(&row).unwrap().1;
        let AllocationState::Ended { ending, reason, .. } = state else { panic!("{state:?}") };
        (ending, reason)
    };
    let failed = |code, signal| Ending::Failed { code, signal };
    for (fields, expected) in [
        ("\"Exit_status\":271", failed(None, Some(15))),
        ("\"Exit_status\":143", failed(None, Some(15))),
        ("\"Exit_status\":128", failed(Some(128), None)),
        ("\"Exit_status\":\"5\"", failed(Some(5), None)),
        ("\"Exit_status\":-29,\"substate\":91", Ending::Walltime),
        (
            "\"Exit_status\":271,\"comment\":\"Job was preempted\",\"substate\":91",
            Ending::Preempted,
        ),
        ("\"Exit_status\":-11", Ending::Preempted),
        ("\"Exit_status\":-14", Ending::NodeFailed),
        ("\"Exit_status\":-27", Ending::OutOfMemory),
        ("\"Exit_status\":-99", failed(None, None)),
        ("\"substate\":92", Ending::Lost),
    ] {
        assert_eq!(end(fields).0, expected, "{fields}");
    }
    assert_eq!(end("\"Exit_status\":-28").1, "the job used more CPU time than requested");
}

#[test]
fn a_job_that_cannot_be_read_hides_no_other() {
    let out = "{\"Jobs\":{\"1.s\":{\"job_state\":\"P\"},\"2.s\":{\"job_state\":\"Q\"},\"3.s\":7}}";
    let rows: Vec<_> = Pbs.rows(out).iter().map(|row| Pbs.parse_status(row)).collect();
    assert_eq!(rows.len(), 3);
    let unknown = Pbs.parse_status(&Pbs.rows(out)[0]);
    // A row is read by itself.
    assert!(matches!(&rows[1], Ok(states) if states[0].0 == id("2.s")), "{rows:?}");
    assert_eq!(unknown, Err(ParseError::unknown_state("qstat", "P")));
    assert!(Pbs.parse_status("the server is down\n").is_err());
    assert!(Pbs.forgets("qstat: Unknown Job Id 9.pbs1"));
    assert!(!Pbs.forgets("qstat: cannot connect to server pbs1 (errno=15010)"));
}

#[test]
fn jobs_are_found_by_name_with_the_path_of_their_output() {
    assert!(Pbs.find("crawl").to_string().ends_with("sh crawl"), "{}", Pbs.find("crawl"));
    let listed = Pbs.parse_find(include_str!("../testdata/qstat.json")).unwrap();
    assert_eq!((listed[0].id.as_str(), listed[0].path.as_str()), ("1.pbs1", "login1:/s/logs/"));
    assert_eq!(Pbs.parse_find(""), Ok(vec![]));
}

#[test]
fn one_call_covers_all_ids() {
    let ids = [id("7.s"), id("8.s")];
    assert_eq!(Pbs.status(&ids).unwrap().to_string(), "qstat -x -f -F json 7.s 8.s");
    assert_eq!(Pbs.cancel(&ids).unwrap().to_string(), "qdel 7.s 8.s");
    assert_eq!((Pbs.status(&[]), Pbs.cancel(&[])), (None, None));
}

#[test]
fn a_process_finds_its_allocation_and_hosts() {
    let variable = |name: &str| match name {
        "PBS_JOBID" => Some("7.pbs1".to_owned()),
        "THRESHER_HOSTS" => Some("n1.a n2 n1.a ".to_owned()),
        _ => None,
    };
    let inside = Pbs.inside(&variable).unwrap().unwrap();
    assert_eq!(inside.allocation, id("7.pbs1"));
    assert_eq!(inside.nodes, ["n1.a", "n2"]);
    assert_eq!((inside.restarts, inside.ends_unix_seconds), (None, None));
    assert_eq!(Pbs.inside(&|_| None), Ok(None));
    let bad = |name: &str| Some(if name == "PBS_JOBID" { "7.s" } else { "$(id)" }.to_owned());
    assert!(Pbs.inside(&bad).is_err());
}

/// Reads every text with one character changed, and every prefix of it.
#[test]
fn no_damaged_text_makes_a_reader_panic() {
    let status: String = include_str!("../testdata/qstat.json").chars().take(900).collect();
    let read = |text: &str| {
        let _ = (Pbs.parse_status(text), Pbs.parse_submit(text), Pbs.parse_find(text));
        let _ = parse_hosts(text);
    };
    for whole in [status.as_str(), include_str!("../testdata/qsub-notices.txt"), "n1 n2"] {
        for (at, old) in whole.char_indices() {
            read(&whole[..at]);
            for new in ["", "{", "\"", "-", "999999999999", ":", "\n", "é"] {
                read(&format!("{}{new}{}", &whole[..at], &whole[at + old.len_utf8()..]));
            }
        }
    }
}
