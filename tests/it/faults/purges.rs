//! A job that was left for a day while something removed a part of its work, output, inputs or
//! state: the same command ends with the undisturbed bytes, or says what is gone and continues when
//! that is back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use thresher_tests::job::{JobText, sample};
use thresher_tests::process::output;

use super::{member, page};
use crate::oracle::{published, run, verify};

/// The folders of the stages in the work directory.
const STAGES: [&str; 6] =
    ["list", "lines", "resolve-lines", "prepare", "resolve-documents", "publish"];
/// What a job needs and cannot make again.
const NEEDED: [&str; 4] = ["in", "in/b.warc.wet.gz", "model.ftz", "mine.sh"];

/// A job that stopped before its last stage, and a copy of its whole folder.
struct Stopped {
    folder: tempfile::TempDir,
    copy: tempfile::TempDir,
}

impl Stopped {
    fn new() -> Self {
        let place =
            Self { folder: tempfile::tempdir().unwrap(), copy: tempfile::tempdir().unwrap() };
        place.prepare();
        // SEAL cannot replace a folder by its report.
        fs::create_dir_all(place.path().join("corpus/report.json/full")).unwrap();
        let (code, said) = place.run();
        assert_eq!(code, 5, "{said}");
        fs::remove_dir_all(place.path().join("corpus/report.json")).unwrap();
        copy(place.path(), place.copy.path());
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn prepare(&self) {
        fs::create_dir(self.path().join("in")).unwrap();
        for (number, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let path = self.path().join(format!("in/{name}.warc.wet.gz"));
            fs::write(path, member(&page(number))).unwrap();
        }
        fs::copy(sample().join("models/lid.176.ftz"), self.path().join("model.ftz")).unwrap();
        let script = "while read -r line; do echo '{\"keep\": true}'; done\n";
        fs::write(self.path().join("mine.sh"), script).unwrap();
    }

    fn run(&self) -> (i32, String) {
        let job = JobText::over(Path::new("in"), "*.warc.wet.gz")
            .set("slice", "\"commoncrawl\"\ncommands = [\"mine\"]")
            .set("model", "\"model.ftz\"")
            .set("target_bytes", "\"1B\"\noutage = \"1s\"")
            .append(
                "[steps]\ncommoncrawl = [\"lines\", \"documents\"]\n[[command]]\n\
                 name = \"mine\"\nrun = [\"sh\", \"mine.sh\"]",
            );
        let mut run = run(&job.write(self.path()), &self.path().join("state"));
        let ended = output(run.args(["--workers", "1", "--slots", "2"]));
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// Brings back everything as it was when the job stopped.
    fn restore(&self) {
        for entry in fs::read_dir(self.path()).unwrap() {
            remove(&entry.unwrap().path());
        }
        copy(self.copy.path(), self.path());
    }

    /// Brings back what the job needs, and nothing that it makes.
    fn restore_needed(&self) {
        for name in ["in", "model.ftz", "mine.sh"] {
            remove(&self.path().join(name));
            copy_any(&self.copy.path().join(name), &self.path().join(name));
        }
    }

    /// Returns the paths of all files and folders that match.
    fn found(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.copy.path().join(&folder)).unwrap() {
                let path = folder.join(entry.unwrap().file_name());
                if self.copy.path().join(&path).is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path.to_string_lossy().into_owned());
            }
        }
        found.into_iter().filter(|path| is_wanted(path)).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy_any(&entry.path(), &to.join(entry.file_name()));
    }
}

fn copy_any(from: &Path, to: &Path) {
    let kind = fs::symlink_metadata(from).unwrap();
    if kind.is_dir() {
        fs::create_dir(to).unwrap();
        copy(from, to);
        fs::set_permissions(to, kind.permissions()).unwrap();
    } else if kind.is_file() {
        fs::copy(from, to).unwrap();
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.try_exists().unwrap() {
        fs::remove_file(path).unwrap();
    }
}

/// Returns what is removed in each case.
fn cases(stopped: &Stopped) -> Vec<Vec<String>> {
    let mut cases: Vec<Vec<String>> = Vec::new();
    let work = |stage: &str| ["state", "work", stage].join("/");
    for stage in STAGES {
        cases.push(vec![work(stage)]);
        for other in NEEDED.into_iter().chain(["corpus"]) {
            cases.push(vec![work(stage), other.to_owned()]);
        }
        // Every second file, as a purge by age leaves them.
        let files = stopped.found(|path| {
            path.starts_with(&work(stage)) && stopped.copy.path().join(path).is_file()
        });
        cases.push(files.into_iter().step_by(2).collect());
    }
    for whole in ["state", "state/work", "state/journal", "state/identity.json", "state/keys"] {
        cases.push(vec![whole.to_owned()]);
        for other in NEEDED.into_iter().chain(["corpus"]) {
            cases.push(vec![whole.to_owned(), other.to_owned()]);
        }
    }
    for made in ["corpus", "corpus/documents", "corpus/dropped"] {
        cases.push(vec![made.to_owned()]);
    }
    let shards = stopped.found(|path| path.starts_with("corpus/documents/"));
    cases.extend(shards.into_iter().map(|path| vec![path]));
    cases.extend(NEEDED.map(|needed| vec![needed.to_owned()]));
    // Without its journal the job is a new one, and nothing knows what there was before.
    cases.retain(|removed| {
        let is = |path: &str| removed.iter().any(|one| one == path);
        let is_new = is("state") || is("state/journal");
        !(is_new && (is("in/b.warc.wet.gz") || is("mine.sh")))
    });
    cases
}

#[test]
fn a_job_of_which_a_part_was_purged_ends_whole_or_says_what_is_gone() {
    let stopped = Stopped::new();
    let (code, said) = stopped.run();
    assert_eq!(code, 0, "{said}");
    let corpus = stopped.path().join("corpus");
    let whole = published(&corpus);
    let all = cases(&stopped);
    assert!(all.len() > 70, "{}", all.len());
    let mut refused = 0;
    for removed in all {
        stopped.restore();
        removed.iter().for_each(|path| remove(&stopped.path().join(path)));
        let (code, said) = stopped.run();
        if code != 0 {
            refused += 1;
            assert!(said.contains("error: ") && said.contains("hint: "), "{removed:?}: {said}");
            assert!(!corpus.join("manifest.json").try_exists().unwrap(), "{removed:?}: {said}");
            // The list of inputs names its source, because nothing knows the input any more.
            let lost = removed.iter().filter(|path| NEEDED.contains(&path.as_str()));
            let inputs = stopped.path().join("in").to_string_lossy().into_owned();
            let names = lost.map(|path| match path.as_str() {
                "in" => inputs.clone(),
                path => path.rsplit('/').next().unwrap_or(path).to_owned(),
            });
            let names = names.into_iter().any(|name| said.contains(&name));
            let lists = said.contains("the list of inputs of source `commoncrawl` was lost");
            assert!(names || lists, "{removed:?}: {said}");
            stopped.restore_needed();
            let (code, said) = stopped.run();
            assert_eq!(code, 0, "{removed:?}: {said}");
        }
        verify(&corpus);
        assert_eq!(published(&corpus), whole, "{removed:?}");
    }
    assert!(refused > 10, "{refused}");
}
