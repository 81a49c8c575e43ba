//! Runs the batch script that the guide shows for batch systems without an adapter, as it is on the
//! page, with a launcher that starts two workers here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use thresher_tests::job::{JobText, root};
use thresher_tests::process::{output, thresher};

/// Returns the script of the page, for a folder of this machine.
fn script(folder: &Path) -> String {
    let page = fs::read_to_string(root().join("deploy/guide/any-batch-system.md")).unwrap();
    let script = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let script = script.expect("the page has a script");
    let changes =
        [("/proj/corpus", folder.to_str().unwrap()), ("--interface auto", "--interface lo")];
    changes.into_iter().fold(script.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{text}");
        text.replace(from, to)
    })
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_script_for_any_batch_system_runs_a_job_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let job = JobText::sample_times(2, folder.path()).write(folder.path());
    fs::rename(job, folder.path().join("job.toml")).unwrap();
    program(&folder.path().join("script.sh"), &script(folder.path()));
    let launcher = "#!/bin/bash\n\
        [ \"$1 $2 $3 $4\" = '--map-by ppr:1:node --bind-to none' ] || exit 2\n\
        shift 4\n\"$@\" --slots 1 & \"$@\" --slots 1 & wait\n";
    program(&folder.path().join("mpirun"), launcher);
    let programs = Path::new(thresher().get_program()).parent().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", folder.path().display(), programs.display());
    let run = || output(Command::new(folder.path().join("script.sh")).env("PATH", &path));
    let done = run();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let manifest = folder.path().join("corpus/manifest.json");
    assert!(manifest.try_exists().unwrap(), "{said}");
    // One that starts after the job is complete ends at once.
    let done = run();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}
