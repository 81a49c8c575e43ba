//! Tests the adapter through its trait, with texts of the documented form (`testdata/SOURCE.md`).

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use thresher_site::batch::Rerun;

use super::*;

fn id(text: &str) -> AllocationId {
    AllocationId::parse(text).unwrap()
}

fn request() -> AllocationRequest {
    AllocationRequest {
        name: "crawl".to_owned(),
        nodes: NonZeroU32::new(92).unwrap(),
        walltime: Duration::from_millis(7_199_500),
        queue: None,
        account: None,
        qos: None,
        reservation: None,
        features: Vec::new(),
        warn_before: None,
        output: None,
        errors: None,
        after: None,
        rerun: Rerun::Allowed,
        extra: Vec::new(),
        script: PathBuf::from("/run/job.sh"),
    }
}

/// Returns options between blanks as directives.
fn directives(options: &str) -> String {
    options.split(' ').map(|line| format!("# flux: {line}\n")).collect()
}

#[test]
fn a_request_is_stated_in_directives_and_only_the_dependency_on_the_command_line() {
    let bare = "--job-name=crawl --nodes=92 --exclusive --time-limit=7200s";
    assert_eq!(Flux.directives(&request()).unwrap().to_string(), directives(bare));
    assert_eq!(Flux.submit(&request()).unwrap().to_string(), "flux batch /run/job.sh");
    let full = AllocationRequest {
        queue: Some("pbatch".to_owned()),
        account: Some("guests".to_owned()),
        features: vec!["ssd".to_owned(), "mi300a".to_owned()],
        warn_before: Some(Duration::from_secs(300)),
        output: Some("/out/allocation-{id}.flux.log".to_owned()),
        after: Some(id("fM7Zq9AKHno")),
        extra: vec!["--setattr=gpumode=SPX".to_owned()],
        ..request()
    };
    let lines = format!(
        "{bare} --queue=pbatch --bank=guests --requires=ssd,mi300a --signal=SIGUSR1@300s \
         --output=/out/allocation-{{{{id}}}}.flux.log --setattr=gpumode=SPX"
    );
    assert_eq!(Flux.directives(&full).unwrap().to_string(), directives(&lines));
    let command = Flux.submit(&full).unwrap();
    assert_eq!(command.to_string(), "flux batch --dependency=afterany:fM7Zq9AKHno /run/job.sh");
    assert!(command.unsets("FLUX_JOB_ID") && !command.unsets("FLUX_URI"));
}

#[test]
fn what_flux_cannot_do_is_refused() {
    let qos = AllocationRequest { qos: Some("debug".to_owned()), ..request() };
    let error = Flux.directives(&qos).unwrap_err().to_string();
    assert!(error.contains("`flux` has no quality of service"), "{error}");
    let reserved = AllocationRequest { reservation: Some("r".to_owned()), ..request() };
    assert!(Flux.directives(&reserved).is_err());
}

#[test]
fn the_id_is_found_between_notices_and_has_an_ascii_letter() {
    let out = include_str!("../testdata/batch-notices.txt");
    assert_eq!(Flux.parse_submit(out), Ok(id("fM7Zq9AKHno")));
    assert_eq!(Flux.parse_submit("fA1\n"), Ok(id("fA1")));
    for out in ["", "ƒ", "finished", "ƒ0", "flux-batch: ERROR: no such queue"] {
        let error = Flux.parse_submit(out);
        assert!(matches!(error, Err(ParseError::NoAllocationId { .. })), "{out:?}");
    }
}

#[test]
fn one_call_covers_all_ids() {
    let ids = [id("fA1"), id("fA2")];
    let asked = Flux.status(&ids).unwrap();
    assert_eq!(asked.arguments[..4], ["jobs", "-n", "--color=never", "-o"]);
    assert_eq!(asked.arguments[5..], ["fA1", "fA2"]);
    assert_eq!(Flux.cancel(&ids).unwrap().to_string(), "flux cancel fA1 fA2");
    assert_eq!((Flux.status(&[]), Flux.cancel(&[])), (None, None));
}

#[test]
fn jobs_are_found_by_name_with_their_specification() {
    let found = Flux.parse_find("ƒA1|{\"output\": \"/s/logs/allocation-{{id}}.flux.log\"}\n");
    let found = found.unwrap();
    assert_eq!(found[0].id, id("fA1"));
    assert!(found[0].path.contains("/s/logs/"));
    assert!(Flux.parse_find("ƒA1").is_err());
}

#[test]
fn a_process_finds_its_allocation() {
    let inside = |text: &str| {
        let text = text.to_owned();
        Flux.inside(&move |name| (name == "FLUX_ENCLOSING_ID").then(|| text.clone()))
    };
    for text in ["ƒA1", "fA1"] {
        assert_eq!(inside(text).unwrap().unwrap().allocation, id("fA1"));
    }
    assert_eq!(inside(""), Ok(None));
    assert!(inside("7").is_err());
}

/// Reads every text with one character changed, and every prefix of it.
#[test]
fn no_damaged_text_makes_a_reader_panic() {
    let read = |text: &str| {
        let _ = (Flux.parse_status(text), Flux.parse_submit(text), Flux.parse_find(text));
    };
    let row = "ƒA1|INACTIVE|FAILED|16|2|0.0|9.9|137|exec|[]|lost";
    for whole in [include_str!("../testdata/batch-notices.txt"), row] {
        for (at, old) in whole.char_indices() {
            read(&whole[..at]);
            for new in ["", "|", "-", "9", "999999999999999999999", "\n", "é"] {
                read(&format!("{}{new}{}", &whole[..at], &whole[at + old.len_utf8()..]));
            }
        }
    }
}
