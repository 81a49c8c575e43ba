//! What people see on a terminal: messages above the bars at any width, nothing that inputs wrote
//! as commands, and no harm when the terminal is closed.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use thresher_tests::process::{Leftovers, eventually, kill, output, succeed, thresher};

use super::of_stage;
use super::signals::{PACE, paced};
use super::{job_over, member, record};
use crate::oracle::{places, published, run, verify};

/// Runs the job on a terminal of its own.
fn on_terminal(job: &Path, state: &Path, columns: usize, pace: &str) -> Child {
    let program = thresher().get_program().to_owned();
    let line = format!(
        "stty cols {columns} rows 24; exec '{}' run '{}' --state '{}' --slots 1",
        program.display(),
        job.display(),
        state.display()
    );
    Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env(PACE, pace)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The rows that a terminal shows at the end: enough of one for what progress bars write.
fn screen(text: &str, columns: usize) -> Vec<String> {
    let mut rows: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                assert_eq!(chars.next(), Some('['), "only these sequences are written");
                let code: String = chars.by_ref().take_while_inclusive();
                let (number, end) = code.split_at(code.len() - 1);
                let number: usize = number.parse().unwrap_or(1);
                match end {
                    "A" => row = row.saturating_sub(number),
                    "B" => row += number,
                    "K" => rows[row].clear(),
                    other => panic!("unexpected sequence `{other}`"),
                }
            }
            c => {
                if column == columns {
                    (row, column) = (row + 1, 0);
                }
                while rows.len() <= row {
                    rows.push(Vec::new());
                }
                rows[row].resize(columns, ' ');
                rows[row][column] = c;
                column += 1;
            }
        }
        while rows.len() <= row {
            rows.push(Vec::new());
        }
    }
    rows.into_iter().map(|row| String::from_iter(row).trim_end().to_owned()).collect()
}

/// Takes characters up to the letter that ends a sequence.
trait Sequence: Iterator<Item = char> {
    fn take_while_inclusive(self) -> String
    where
        Self: Sized,
    {
        let mut taken = String::new();
        for c in self {
            taken.push(c);
            if c.is_ascii_alphabetic() {
                break;
            }
        }
        taken
    }
}
impl<I: Iterator<Item = char>> Sequence for I {}

fn has_prepared(state: &Path) -> bool {
    let shown = output(thresher().args(["status", "--json", "--state"]).arg(state));
    let status: Option<serde_json::Value> = serde_json::from_slice(&shown.stdout).ok();
    status.is_some_and(|status| of_stage(&status, "prepare", "leased") > 0)
}

#[test]
fn the_message_after_an_interrupt_stays_above_the_bars_at_any_width() {
    for columns in [40, 80] {
        let inputs = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (_, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        let job = paced(1, inputs.path()).write(folder.path());
        let mut child = on_terminal(&job, &state, columns, "1");
        eventually("a running unit", || has_prepared(&state));
        child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
        let mut shown = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut shown).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5));
        let shown = String::from_utf8(shown).unwrap();
        let rows = screen(&shown.replace("^C", ""), columns);
        let all = rows.join("\n");
        let place = |word: &str| rows.iter().position(|row| row.contains(word));
        let message = all.replace('\n', "").contains("draining: running units get 30 s to finish");
        assert!(message, "{columns} columns:\n{all}");
        let (warned, first, last) = (place("WARN"), place("list "), place("seal "));
        assert!(warned.is_some() && warned < first && first < last, "{columns} columns:\n{all}");
        let bars = rows.iter().filter(|row| row.starts_with("prepare ")).count();
        assert_eq!(bars, 1, "{columns} columns: no bar is left over\n{all}");
        assert!(place("is drained") > last, "{all}");
    }
}

#[test]
fn a_terminal_that_is_closed_drains_the_job() {
    let inputs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (output_folder, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    let job = paced(1, inputs.path()).write(folder.path());
    let mut child = on_terminal(&job, &state, 80, "0.5");
    eventually("a running unit", || has_prepared(&state));
    kill(child.id());
    child.wait().unwrap();
    let drained = || {
        let shown = output(thresher().args(["status", "--state"]).arg(&state));
        String::from_utf8(shown.stdout).unwrap().starts_with("job `test` is drained")
    };
    eventually("a drained job", drained);
    succeed(run(&job, &state).env(PACE, "0"));
    verify(&output_folder);
    assert!(!published(&output_folder).is_empty());
}

#[test]
fn a_url_cannot_control_a_terminal_or_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "https://page.example/\x1b]0;x\x07|<script>\u{202e}";
    let line = "A line of a page that has enough words to be kept by every filter of the job.";
    let text: Vec<String> = (0..8).map(|n| format!("{}{line}", "abcdefgh".split_at(n).1)).collect();
    let head = String::from_utf8(record(1, text.join("\n").as_bytes())).unwrap();
    let head = head.replace("https://page.example/1", hostile);
    std::fs::write(folder.path().join("a.warc.wet.gz"), member(head.as_bytes())).unwrap();
    let job = job_over(folder.path(), "inputs.txt", b"a.warc.wet.gz\n").write(folder.path());
    let (output_folder, state) = places(folder.path());
    output(&mut run(&job, &state));
    let traced = output(thresher().arg("trace").arg(&output_folder).arg(hostile));
    let traced = String::from_utf8([traced.stdout, traced.stderr].concat()).unwrap();
    let shown = "https://page.example/\\u{1b}]0;x\\u{7}|<script>\\u{202e}";
    assert!(traced.contains(shown), "{traced}");
    assert!(!traced.contains(['\x1b', '\x07', '\u{202e}']), "{traced}");
    let json = output(thresher().arg("trace").arg(&output_folder).arg(hostile).arg("--json"));
    let json = String::from_utf8(json.stdout).unwrap();
    assert!(!json.contains(['\x1b', '\x07', '\u{202e}']), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["needle"], hostile);
}
