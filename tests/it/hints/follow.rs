//! Brings about the states that show hints with commands, and runs these commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use thresher_tests::job::JobText;
use thresher_tests::process::{Leftovers, eventually, output, thresher};

use crate::faults::{job_over, member, page};
use crate::oracle::{published, verify};

/// A folder with a small job.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write(&place.job());
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn job(&self) -> JobText {
        job_over(self.path(), "a.warc.wet.gz", &[member(&page(1)), member(&page(2))].concat())
    }

    fn write(&self, job: &JobText) {
        job.write(self.path());
    }

    fn corpus(&self) -> PathBuf {
        self.path().join("corpus")
    }

    fn state(&self) -> PathBuf {
        self.path().join("corpus.state")
    }

    /// Runs a command line in the folder, and returns its exit status and what it printed.
    fn follow(&self, line: &str) -> (i32, String) {
        let words = line.strip_prefix("thresher ").unwrap().split_whitespace();
        let ended = output(thresher().args(words).current_dir(self.path()));
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs a command line that must end with this status, and returns what it printed.
    fn expect(&self, line: &str, status: i32) -> String {
        let (code, said) = self.follow(line);
        assert_eq!(code, status, "{line}: {said}");
        said
    }

    /// Starts a coordinator without workers.
    fn serve(&self) -> Serving {
        let child = thresher()
            .args(["serve", "job.toml"])
            .current_dir(self.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let serving = Serving { child, _leftovers: Leftovers(self.state()) };
        eventually("a running job", || {
            self.follow("thresher status job.toml").1.contains("is running")
        });
        serving
    }
}

/// A coordinator, which is killed at the end of a test.
struct Serving {
    child: Child,
    _leftovers: Leftovers,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the commands in backticks that the hints of a message name.
fn commands(said: &str) -> Vec<String> {
    let hints = said.lines().filter_map(|line| line.split_once("hint: "));
    let quoted = hints.flat_map(|(_, hint)| hint.split('`').skip(1).step_by(2));
    quoted.filter(|text| text.starts_with("thresher ")).map(str::to_owned).collect()
}

const RUN: &str = "thresher run job.toml";

#[test]
fn a_changed_job_file_is_undone_or_starts_over() {
    let place = Place::new();
    place.expect(RUN, 0);
    let before = published(&place.corpus());
    place.write(&place.job().set("shard_bytes", "\"300kB\""));
    let said = place.expect(RUN, 1);
    assert!(said.contains("undo the changes") && said.contains("`--fresh`"), "{said}");
    place.write(&place.job());
    place.expect(RUN, 0);
    assert_eq!(published(&place.corpus()), before);
    place.write(&place.job().set("shard_bytes", "\"300kB\""));
    place.expect(&format!("{RUN} --output other --state other.state"), 0);
    assert_eq!(published(&place.corpus()), before);
    place.expect(&format!("{RUN} --fresh"), 0);
    verify(&place.corpus());
}

#[test]
fn another_jobs_corpus_is_left_alone_by_a_job_of_another_name() {
    let place = Place::new();
    place.expect(RUN, 0);
    let before = published(&place.corpus());
    place.write(&place.job().set("name", "\"other\"").set("shard_bytes", "\"300kB\""));
    for line in [RUN.to_owned(), format!("{RUN} --fresh")] {
        let said = place.expect(&line, 1);
        assert!(said.contains("hint: choose another `output.path`"), "{said}");
        assert!(!said.contains("start over"), "{said}");
    }
    place.expect(&format!("{RUN} --output elsewhere --state other.state"), 0);
    assert_eq!(published(&place.corpus()), before);
    verify(&place.corpus());
}

#[test]
fn inputs_that_end_early_are_fetched_again_and_the_job_starts_over() {
    let place = Place::new();
    let inputs = place.path().join("in");
    fs::create_dir(&inputs).unwrap();
    let put = |bytes: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        for number in 0..4 {
            let whole = [member(&page(number)), member(&page(number + 10))].concat();
            fs::write(inputs.join(format!("{number}.warc.wet.gz")), bytes(whole)).unwrap();
        }
    };
    put(&|whole| whole[..whole.len() - 20].to_vec());
    let job = JobText::over(&inputs, "*.warc.wet.gz");
    place.write(&job.append("[steps]\ncommoncrawl = [\"documents\"]"));
    let said = place.expect(RUN, 7);
    let named = "4 of 4 inputs are damaged or end early, 4 records as `gzip_truncated`; the first \
                 is `0.warc.wet.gz`\n";
    assert!(said.contains(named), "{said}");
    put(&|whole| whole);
    place.expect(&format!("{RUN} --fresh"), 0);
    verify(&place.corpus());
}

#[test]
fn a_running_coordinator_is_shown_and_drained() {
    let place = Place::new();
    let mut serving = place.serve();
    let said = place.expect(RUN, 1);
    let named = commands(&said);
    let [status, drain] = named.as_slice() else { panic!("{said}") };
    place.expect(status, 5);
    let said = place.expect("thresher clean job.toml", 1);
    assert_eq!(commands(&said).as_slice(), std::slice::from_ref(drain), "{said}");
    place.expect("thresher clean job.toml --dry-run", 0);
    let said = place.expect(drain, 0);
    assert!(said.contains("`thresher status`"), "{said}");
    assert_eq!(serving.child.wait().unwrap().code(), Some(5));
    let said = place.expect(status, 5);
    assert!(said.contains("`thresher run`"), "{said}");
    place.expect("thresher clean job.toml", 0);
    place.expect(RUN, 0);
    verify(&place.corpus());
}

#[test]
fn a_copy_of_a_state_directory_names_the_original() {
    let place = Place::new();
    place.expect(RUN, 0);
    let copied = std::process::Command::new("cp")
        .args(["-a", "corpus.state", "copy"])
        .current_dir(place.path())
        .status();
    assert!(copied.unwrap().success());
    fs::remove_dir_all(place.corpus()).unwrap();
    let said = place.expect(&format!("{RUN} --state copy"), 1);
    let original = said.split("hint: use `").nth(1).and_then(|rest| rest.split('`').next());
    place.expect(&format!("{RUN} {}", original.unwrap_or_else(|| panic!("{said}"))), 0);
    verify(&place.corpus());
}

#[test]
fn a_source_that_is_mostly_quarantined_is_accepted() {
    let place = Place::new();
    let rows: Vec<u8> = (0..1100).flat_map(|n| format!("not JSON {n}\n").into_bytes()).collect();
    let good = "{\"text\": \"A page that is read, with enough words to be kept.\", \
                \"url\": \"https://page.example/\", \"timestamp\": \"2020-01-01T00:00:00Z\"}\n";
    let rows = [rows, good.as_bytes().to_vec()].concat();
    let name = "c4-train.00000.json.gz";
    let job = || job_over(place.path(), name, &member(&rows)).set("slice", "\"c4\"");
    place.write(&job());
    let said = place.expect(RUN, 5);
    assert!(said.contains("raise `max_quarantined_share`"), "{said}");
    let shown = place.expect("thresher status job.toml", 5);
    assert!(shown.contains("quarantined"), "{shown}");
    place.write(&job().set("lease", "\"3s\"\nmax_quarantined_share = 1.0"));
    let (code, said) = place.follow(RUN);
    assert!(
        [0, 7].contains(&code) && place.corpus().join("manifest.json").try_exists().unwrap(),
        "{said}"
    );
}

#[test]
fn a_job_that_was_never_submitted_is_run_here() {
    let place = Place::new();
    place.expect(RUN, 0);
    let said = place.expect("thresher resume --state corpus.state", 1);
    assert_eq!(commands(&said), ["thresher submit", "thresher run"], "{said}");
    place.expect(RUN, 0);
}

#[test]
fn a_wrong_state_directory_is_corrected() {
    let place = Place::new();
    place.expect(RUN, 0);
    let said = place.expect("thresher status --state nowhere", 1);
    assert!(said.contains("`<output>.state`"), "{said}");
    place.expect("thresher status --state corpus.state", 0);
}

#[test]
fn draining_a_complete_job_shows_where_to_look() {
    let place = Place::new();
    place.expect(RUN, 0);
    for verb in ["drain", "cancel"] {
        let said = place.expect(&format!("thresher {verb} job.toml"), 1);
        for command in commands(&said) {
            place.expect(&command, 0);
        }
    }
    verify(&place.corpus());
}

#[test]
fn draining_a_dead_coordinator_names_what_starts_it() {
    let place = Place::new();
    drop(place.serve());
    let (code, said) = place.follow("thresher drain job.toml");
    assert_eq!(code, 1, "{said}");
    for command in commands(&said).iter().filter(|command| command.starts_with("thresher status")) {
        place.expect(command, 5);
    }
    place.expect(RUN, 0);
    verify(&place.corpus());
}

#[test]
fn an_output_without_manifest_is_cleaned_if_abandoned() {
    let place = Place::new();
    place.expect(RUN, 0);
    fs::remove_file(place.corpus().join("manifest.json")).unwrap();
    place.expect("thresher clean job.toml", 0);
    fs::rename(place.state(), place.path().join("elsewhere")).unwrap();
    let said = place.expect("thresher clean corpus", 1);
    assert!(said.contains("`--abandoned`") && said.contains("`--state DIR`"), "{said}");
    place.expect("thresher clean corpus --state elsewhere", 0);
    place.expect("thresher clean corpus --abandoned", 0);
}

#[test]
fn a_script_that_edits_itself_stops_the_job() {
    let place = Place::new();
    fs::write(place.path().join("b.warc.wet.gz"), member(&page(3))).unwrap();
    fs::write(place.path().join("inputs.txt"), "a.warc.wet.gz\nb.warc.wet.gz\n").unwrap();
    let script = "[ -e edited ] || { touch edited; echo '# edited' >> mine.sh; }\n\
                  while read -r line; do echo '{\"keep\": true}'; done\n";
    fs::write(place.path().join("mine.sh"), script).unwrap();
    let job = place
        .job()
        .set("listing", "\"inputs.txt\"")
        .set("slice", "\"commoncrawl\"\ncommands = [\"mine\"]")
        .set("target_bytes", "\"1B\"\noutage = \"1s\"")
        .append("[[command]]\nname = \"mine\"\nrun = [\"sh\", \"mine.sh\"]");
    place.write(&job);
    let run = format!("{RUN} --workers 1 --slots 1");
    let said = place.expect(&run, 5);
    assert!(said.contains("run the same command again, which starts with the edited"), "{said}");
    let (code, said) = place.follow(&run);
    assert!(code == 0 || said.contains("1 unit is done") && said.contains("`--fresh`"), "{said}");
    place.expect(&format!("{run} --fresh"), 0);
    verify(&place.corpus());
}

#[test]
fn a_corpus_of_another_job_is_moved_away() {
    let place = Place::new();
    place.expect(RUN, 0);
    fs::remove_dir_all(place.state()).unwrap();
    place.write(&place.job().set("name", "\"other\""));
    let said = place.expect(RUN, 1);
    assert!(said.contains("belongs to") && said.contains("run the same command again"), "{said}");
    fs::rename(place.corpus(), place.path().join("moved")).unwrap();
    place.expect(RUN, 0);
    verify(&place.corpus());
    verify(&place.path().join("moved"));
}

#[test]
fn a_shard_that_is_in_the_way_is_moved_away() {
    let place = Place::new();
    let shard = place.corpus().join("documents/commoncrawl-00000.jsonl.zst");
    fs::create_dir_all(shard.parent().unwrap()).unwrap();
    fs::write(&shard, "of somebody else").unwrap();
    place.write(&place.job().set("lease", "\"3s\"\noutage = \"1s\""));
    let said = place.expect(RUN, 5);
    assert!(said.contains("already exists with different content"), "{said}");
    fs::rename(&shard, place.path().join("moved")).unwrap();
    place.expect(RUN, 0);
    verify(&place.corpus());
}

#[test]
fn an_output_that_is_gone_is_found() {
    let place = Place::new();
    place.expect(RUN, 0);
    let whole = published(&place.corpus());
    fs::remove_dir_all(place.corpus()).unwrap();
    for verb in ["verify", "report"] {
        let said = place.expect(&format!("thresher {verb} corpus"), 1);
        let named = commands(&said);
        assert_eq!(named.len(), 2, "{said}");
        let shown = place.expect(&named[0], 7);
        assert!(shown.contains("run the same command again to rebuild it"), "{shown}");
    }
    place.expect(RUN, 0);
    assert_eq!(published(&place.corpus()), whole);
}

#[test]
fn a_complete_job_names_what_reads_its_files() {
    let place = Place::new();
    place.expect(RUN, 0);
    let shard = place.corpus().join("documents/commoncrawl-00000.jsonl.zst");
    for status in [0, 6] {
        let said = place.expect(RUN, 0);
        let named = said.split('`').find(|text| text.starts_with("thresher verify "));
        place.expect(named.unwrap_or_else(|| panic!("{said}")), status);
        let mut bytes = fs::read(&shard).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&shard, bytes).unwrap();
    }
}

#[test]
fn what_keeps_two_corpora_from_being_compared_is_shown() {
    let place = Place::new();
    place.expect(RUN, 0);
    let said = place.expect("thresher diff corpus corpus --scratch nowhere", 1);
    assert!(said.contains("hint: choose another directory with `--scratch`"), "{said}");
    place.expect("thresher diff corpus corpus --scratch .", 0);
    let shard = place.corpus().join("documents/commoncrawl-00000.jsonl.zst");
    let mut bytes = fs::read(&shard).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&shard, bytes).unwrap();
    let said = place.expect("thresher diff corpus corpus", 1);
    assert!(said.contains("hint: `thresher verify` shows what is damaged"), "{said}");
    let shown = place.expect("thresher verify corpus", 6);
    assert!(shown.contains("commoncrawl-00000.jsonl.zst"), "{shown}");
}

#[test]
fn a_wrong_key_is_found_in_the_default_job() {
    let place = Place::new();
    let cases = [
        (place.job().set("lease", "\"3s\"\nno_such = 1"), "target_bytes"),
        (place.job().append("[nothing]\nkey = 1"), "[units]"),
    ];
    for (job, key) in cases {
        place.write(&job);
        let said = place.expect(RUN, 1);
        let named = commands(&said);
        assert!(named.iter().all(|command| command == "thresher default-job"), "{said}");
        assert!(place.expect("thresher default-job", 0).contains(key), "{said}");
    }
}
