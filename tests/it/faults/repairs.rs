//! Missing units whose input or program a person repaired: the same command makes them, with the
//! bytes of a job that found the repaired ones when it started.

use std::path::{Path, PathBuf};

use thresher_tests::job::JobText;
use thresher_tests::process::{output, thresher};

use super::{member, page};
use crate::oracle::{published, run, verify};

const REFUSED: i32 = 1;
const MISSING_UNITS: i32 = 3;
const UNFINISHED: i32 = 5;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A folder of inputs, of which a job reads four.
struct Inputs(tempfile::TempDir);

impl Inputs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (number, name) in NAMES.into_iter().enumerate() {
            let path = folder.path().join(format!("{name}.warc.wet.gz"));
            std::fs::write(path, member(&page(number))).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn bytes_of(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(format!("{name}.warc.wet.gz"))).unwrap()
    }

    /// A job whose program of the user's is the script `mine.sh` beside the job file.
    fn job(&self, on_failed_units: &str, target_bytes: &str) -> JobText {
        let units = format!("\"{target_bytes}\"\non_failed_units = \"{on_failed_units}\"");
        JobText::over(self.path(), "*.warc.wet.gz")
            .set("slice", "\"commoncrawl\"\ncommands = [\"mine\"]")
            .set("target_bytes", &format!("{units}\noutage = \"1s\"\nattempts = 1"))
            .append(
                "[steps]\ncommoncrawl = [\"documents\"]\n[[command]]\nname = \"mine\"\n\
                 run = [\"sh\", \"mine.sh\"]",
            )
    }
}

/// Runs a job in the folder and returns its exit status and what it printed.
fn ended(folder: &Path, job: &JobText, arguments: &[&str]) -> (i32, String) {
    let mut run = run(&job.write(folder), &folder.join("state"));
    let ended = output(run.args(["--workers", "1", "--slots", "1"]).args(arguments));
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("mine.sh");
    std::fs::write(&path, text).unwrap();
    path
}

/// Checks that the folder's job has published the bytes of a job that runs now undisturbed.
fn expect_undisturbed(folder: &Path, job: &JobText) {
    let corpus = folder.join("corpus");
    verify(&corpus);
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join("mine.sh"), other.path().join("mine.sh")).unwrap();
    let (code, said) = ended(other.path(), job, &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(published(&corpus), published(&other.path().join("corpus")));
}

/// A script that keeps every page, and first replaces the input `b` once.
fn replacing(inputs: &Inputs, b: &[u8]) -> String {
    let place = inputs.path().display();
    std::fs::write(inputs.path().join("new"), b).unwrap();
    format!(
        "[ -e {place}/new ] && mv {place}/new {place}/b.warc.wet.gz\n\
         while read -r line; do echo '{{\"keep\": true}}'; done\n"
    )
}

/// A case of an input that changes after it was listed.
struct Change {
    what: &'static str,
    lines: bool,
    target: fn(&Inputs) -> usize,
    new: fn(&Inputs) -> Vec<u8>,
    note: &'static str,
}

const CHANGES: [Change; 5] = [
    Change {
        what: "it grew",
        lines: false,
        target: |_| 1,
        new: |inputs| [inputs.bytes_of("b"), member(&page(9))].concat(),
        note: " bytes); stage prepare runs for ",
    },
    Change {
        what: "it grew within a unit of several",
        lines: false,
        target: |inputs| inputs.bytes_of("a").len() + 10,
        new: |inputs| [inputs.bytes_of("b"), member(&page(9))].concat(),
        note: " bytes); stage prepare runs for ",
    },
    Change {
        what: "it shrank, and other units read other inputs",
        lines: false,
        target: |inputs| inputs.bytes_of("a").len() + inputs.bytes_of("b").len(),
        new: |_| member(b""),
        note: "units that are done would read other inputs, so stage list and every later one",
    },
    Change {
        what: "it grew, and its lines were compared",
        lines: true,
        target: |_| 1,
        new: |inputs| [inputs.bytes_of("b"), member(&page(9))].concat(),
        note: "units that are done depend on it, so stage lines and every later one run again",
    },
    Change {
        what: "it has the same size, and its lines were compared",
        lines: true,
        target: |_| 1,
        new: |inputs| {
            let (plain, old) = (String::from_utf8(page(1)).unwrap(), inputs.bytes_of("b"));
            let titled = |letter: char| plain.replace("Title 1", &format!("Title {letter}"));
            let mut others = ('A'..='z').map(|letter| member(titled(letter).as_bytes()));
            others.find(|other| other.len() == old.len()).unwrap()
        },
        note: "`b.warc.wet.gz` (other content)",
    },
];

#[test]
fn an_input_of_a_missing_unit_that_has_changed_is_listed_again() {
    for on_failed_units in ["continue", "stop"] {
        for Change { what, lines, target, new, note } in CHANGES {
            let inputs = Inputs::new();
            let job = inputs.job(on_failed_units, &format!("{}B", target(&inputs)));
            let job = match lines {
                true => job.set("commoncrawl", "[\"lines\", \"documents\"]"),
                false => job,
            };
            let folder = tempfile::tempdir().unwrap();
            script(folder.path(), &replacing(&inputs, &new(&inputs)));
            let stopped = if on_failed_units == "stop" { UNFINISHED } else { MISSING_UNITS };
            let (code, said) = ended(folder.path(), &job, &[]);
            assert_eq!(code, stopped, "{what}: {said}");
            let (code, said) = ended(folder.path(), &job, &[]);
            assert_eq!(code, 0, "{what}: {said}");
            assert!(said.contains(note) && said.contains("`b.warc.wet.gz` ("), "{what}: {said}");
            expect_undisturbed(folder.path(), &job);
        }
    }
}

#[test]
fn a_job_whose_lists_of_inputs_are_gone_lists_repaired_inputs_like_a_new_job() {
    for on_failed_units in ["continue", "stop"] {
        for gone in ["work/list", "work"] {
            let inputs = Inputs::new();
            let job =
                inputs.job(on_failed_units, "1B").set("commoncrawl", "[\"lines\", \"documents\"]");
            let folder = tempfile::tempdir().unwrap();
            let larger = [inputs.bytes_of("b"), member(&page(9))].concat();
            script(folder.path(), &replacing(&inputs, &larger));
            let (code, said) = ended(folder.path(), &job, &[]);
            assert!([MISSING_UNITS, UNFINISHED].contains(&code), "{said}");
            std::fs::remove_dir_all(folder.path().join("state").join(gone)).unwrap();
            let (code, said) = ended(folder.path(), &job, &[]);
            assert_eq!(code, 0, "{on_failed_units} without {gone}: {said}");
            assert!(said.contains("the lists of inputs in the work directory are gone"), "{said}");
            assert!(!said.contains("determinism"), "{said}");
            expect_undisturbed(folder.path(), &job);
        }
    }
}

const KEEP_ALL: &str = "while read -r line; do echo '{\"keep\": true}'; done";
const FAILS_AT_ONE: &str = "while read -r line; do case \"$line\" in *'Title 2'*) exit 7 ;; esac; \
    echo '{\"keep\": true}'; done";
const SLOW_AT_ONE: &str = "while read -r line; do case \"$line\" in *'Title 2'*) sleep 2 ;; esac; \
    echo '{\"keep\": true}'; done";

#[test]
fn a_program_that_failed_in_missing_units_may_be_edited() {
    for (on_failed_units, stopped) in [("continue", MISSING_UNITS), ("stop", UNFINISHED)] {
        let inputs = Inputs::new();
        let job = inputs.job(on_failed_units, "1B");
        let folder = tempfile::tempdir().unwrap();
        script(folder.path(), FAILS_AT_ONE);
        let (code, said) = ended(folder.path(), &job, &[]);
        assert_eq!(code, stopped, "{said}");
        script(folder.path(), KEEP_ALL);
        let other_key = inputs.job(on_failed_units, "1B").set("min_stop_words", "1");
        let (code, said) = ended(folder.path(), &other_key, &[]);
        assert_eq!(code, REFUSED, "units that are done depend on another key: {said}");
        let (code, said) = ended(folder.path(), &job, &[]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("1 unit of stage prepare is missing; the job file has"), "{said}");
        assert!(said.contains("so stage prepare and every later one run again for all"), "{said}");
        expect_undisturbed(folder.path(), &job);
    }
}

/// Fails in the last unit, after which nothing succeeds, so that the job stops as blocked.
const FAILS_AT_LAST: &str = "while read -r line; do case \"$line\" in *'Title 3'*) exit 7 ;; esac; \
    echo '{\"keep\": true}'; done";

/// A job that stopped as blocked, with its inputs and its folder.
fn blocked() -> (Inputs, JobText, tempfile::TempDir) {
    let inputs = Inputs::new();
    let job = inputs.job("stop", "1B").set("attempts", "9");
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), FAILS_AT_LAST);
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, UNFINISHED, "{said}");
    assert!(said.contains("nothing succeeded for"), "{said}");
    (inputs, job, folder)
}

#[test]
fn a_program_of_a_blocked_job_may_be_edited() {
    let (_inputs, job, folder) = blocked();
    script(folder.path(), KEEP_ALL);
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, 0, "{said}");
    expect_undisturbed(folder.path(), &job);
}

#[test]
fn a_run_that_is_refused_leaves_the_job_blocked_for_the_same_reason() {
    let (inputs, _, folder) = blocked();
    let status = || {
        let mut status = thresher();
        status.args(["status", "--json", "--state"]).arg(folder.path().join("state"));
        let printed: serde_json::Value =
            serde_json::from_slice(&output(&mut status).stdout).unwrap();
        (printed["state"].clone(), printed["reason"].clone())
    };
    let blocked = status();
    assert_eq!(blocked.0, "blocked");
    let other = inputs.job("stop", "1B").set("attempts", "9").set("min_stop_words", "1");
    let (code, said) = ended(folder.path(), &other, &[]);
    assert_eq!(code, REFUSED, "{said}");
    assert_eq!(status(), blocked);
}

#[test]
fn a_longer_timeout_of_a_program_runs_only_the_missing_units() {
    let inputs = Inputs::new();
    let job = |timeout| {
        let job = inputs.job("continue", "1B");
        job.append(&format!("timeout = \"{timeout}\""))
    };
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), SLOW_AT_ONE);
    let (code, said) = ended(folder.path(), &job("500ms"), &[]);
    assert_eq!(code, MISSING_UNITS, "{said}");
    let (code, said) = ended(folder.path(), &job("30s"), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("command[0].timeout") && said.contains("stage prepare runs for"),
        "{said}"
    );
    expect_undisturbed(folder.path(), &job("30s"));
}

#[test]
fn a_program_that_missing_units_do_not_use_stays_as_it_was() {
    let inputs = Inputs::new();
    let more = tempfile::tempdir().unwrap();
    std::fs::copy(inputs.path().join("a.warc.wet.gz"), more.path().join("a.warc.wet.gz")).unwrap();
    let source = format!(
        "[[source]]\nname = \"other\"\nslice = \"commoncrawl\"\nbase = \"{}\"\n\
         listing = \"a.warc.wet.gz\"\ncommands = [\"fixed\"]\n[[command]]\nname = \"fixed\"\n\
         run = [\"sh\", \"fixed.sh\"]",
        more.path().display()
    );
    let job = inputs.job("continue", "1B").append(&source);
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), FAILS_AT_ONE);
    std::fs::write(folder.path().join("fixed.sh"), KEEP_ALL).unwrap();
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, MISSING_UNITS, "{said}");
    let before = published(&folder.path().join("corpus"));
    std::fs::write(folder.path().join("fixed.sh"), format!("{KEEP_ALL} # edited")).unwrap();
    let (code, said) = ended(folder.path(), &job, &[]);
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("command[1].files.fixed.sh") && said.contains("`--fresh`"), "{said}");
    assert_eq!(published(&folder.path().join("corpus")), before);
}
