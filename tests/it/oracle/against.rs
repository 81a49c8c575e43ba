//! The index of an output, and jobs that find near-duplicates of earlier outputs with it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use thresher_tests::process::{Leftovers, output, succeed, thresher};

use super::near::{corpus, job, read, signed, write};
use super::{places, run, verify};

fn manifest(output: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(output.join("manifest.json")).unwrap()).unwrap()
}

/// A complete output with an index, of these texts.
fn indexed(texts: &[String], more: &str) -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("in");
    std::fs::create_dir(&inputs).unwrap();
    write(texts, &inputs);
    let (output, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = job(&inputs, &format!("threshold = 0.75\nindex = true\n{more}"));
    succeed(&mut run(&job.write(folder.path()), &state));
    verify(&output);
    (output, folder)
}

#[test]
fn an_index_has_each_published_document_that_has_shingles_and_verify_reads_it() {
    let texts = corpus();
    let (output_of_job, _folder) = indexed(&texts, "");
    let manifest = manifest(&output_of_job);
    let index = &manifest["near_index"];
    let rule = &index["rule"];
    assert_eq!((&rule["bands"], &rule["shingles"]), (&14.into(), &"5 words".into()));
    let files = index["files"].as_array().unwrap();
    let documents: u64 = files.iter().map(|file| file["documents"].as_u64().unwrap()).sum();
    let found = read(&output_of_job);
    let with_keys = signed(&texts).into_iter().filter(|(_, keys)| !keys.is_empty());
    let expected = with_keys.filter(|(number, _)| found.published.contains_key(number)).count();
    assert_eq!(documents, expected as u64);
    let sources: Vec<&str> = files.iter().map(|file| file["source"].as_str().unwrap()).collect();
    assert!(sources.contains(&"first") && sources.contains(&"second"), "{sources:?}");
    let path = output_of_job.join(files[0]["path"].as_str().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let said = output(thresher().arg("verify").arg(&output_of_job));
    assert_eq!(said.status.code(), Some(6));
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(words.contains("near/first-00000.index"), "{words}");
}
