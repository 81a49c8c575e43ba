//! The old program's name still works, for one release, and leads to the new one.

use std::process::Command;

use thresher_tests::process::{alias, output, thresher};

/// What a command prints, and how it ends.
fn answer(command: &mut Command) -> (String, String, Option<i32>) {
    let output = output(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn the_old_worker_program_warns_and_does_what_thresher_does() {
    for (old, new) in [
        (vec!["connect", "--help"], vec!["worker", "connect", "--help"]),
        (vec!["verify", "/nowhere"], vec!["verify", "/nowhere"]),
        (vec!["train"], vec!["train"]),
    ] {
        let (out, errors, status) = answer(alias().args(&old));
        let expected = answer(thresher().args(&new));
        let (warning, errors) = errors.split_once('\n').unwrap_or_default();
        assert!(warning.starts_with("warning: `thresher-worker` is now `thresher"), "{warning}");
        assert_eq!((out, errors.to_owned(), status), expected, "{old:?}");
    }
}

#[test]
fn the_old_worker_program_alone_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("thresher-worker");
    std::fs::copy(alias().get_program(), &copy).unwrap();
    let (_, errors, status) = answer(Command::new(&copy).arg("connect"));
    assert_eq!(status, Some(1));
    let missing = format!("error: failed to run `{}`", folder.path().join("thresher").display());
    assert!(errors.contains(&missing) && errors.contains("\nhint: install `thresher`"), "{errors}");
}
