//! Published files that are lost or altered before the job ends are published again.

use std::fs;
use std::path::{Path, PathBuf};

use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed};

use crate::oracle::{places, published, run, verify};

fn sample(inputs: &Path) -> JobText {
    JobText::sample_times(1, inputs).set("target_bytes", "\"256KiB\"\noutage = \"1s\"")
}

/// Returns the first file below a folder of the output.
fn first_in(corpus: &Path, folder: &str) -> PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

/// Alters a file in place.
type Alter = fn(&Path);

#[test]
fn a_file_that_was_lost_or_altered_before_the_end_is_published_again() {
    let inputs = tempfile::tempdir().unwrap();
    let whole = tempfile::tempdir().unwrap();
    let (undisturbed, state) = places(whole.path());
    succeed(&mut run(&sample(inputs.path()).write(whole.path()), &state));
    let cases: [(&str, Alter); 5] = [
        ("documents", |path| fs::remove_file(path).unwrap()),
        ("documents", |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            fs::write(path, bytes).unwrap();
        }),
        ("documents", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("documents", |path| {
            let bytes = [fs::read(path).unwrap(), b"more".to_vec()].concat();
            fs::write(path, bytes).unwrap();
        }),
        ("dropped", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[9] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (number, (folder, alter)) in cases.into_iter().enumerate() {
        let place = tempfile::tempdir().unwrap();
        let (corpus, state) = places(place.path());
        let job = sample(inputs.path()).write(place.path());
        // SEAL cannot replace a folder by its report, so the job stops after PUBLISH.
        let obstacle = corpus.join("report.json/full");
        fs::create_dir_all(&obstacle).unwrap();
        let stopped = output(&mut run(&job, &state));
        assert!(!stopped.status.success(), "case {number}");
        assert!(!corpus.join("manifest.json").try_exists().unwrap(), "case {number}");
        alter(&first_in(&corpus, folder));
        fs::remove_dir_all(corpus.join("report.json")).unwrap();
        succeed(&mut run(&job, &state));
        verify(&corpus);
        assert_eq!(published(&corpus), published(&undisturbed), "case {number}");
    }
}
