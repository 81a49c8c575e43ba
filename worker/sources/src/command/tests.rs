//! Tests with programs that behave, and programs that do not.

use super::*;

fn shell(script: &str) -> [String; 3] {
    ["sh", "-c", script].map(str::to_owned)
}

fn line(run: &[String]) -> CommandLine<'_> {
    CommandLine {
        name: "step",
        run,
        folder: Path::new("/"),
        input: None,
        timeout: LONG,
        memory_bytes: 1 << 30,
        line_max_bytes: 1000,
        stop: Stop::default(),
    }
}

fn start(script: &str, timeout: Duration) -> ExternalFilter {
    ExternalFilter::start(&CommandLine { timeout, ..line(&shell(script)) }).unwrap()
}

const LONG: Duration = Duration::from_secs(60);

fn ask(filter: &mut ExternalFilter, text: &str) -> Result<Verdict, CommandError> {
    filter.evaluate(&Question { id: "1", url: "u", title: "t", language: Some("en"), text })
}

/// Returns the error after one question and the end.
fn error(script: &str, timeout: Duration) -> String {
    let mut filter = start(script, timeout);
    let result = ask(&mut filter, "text").and_then(|_| filter.finish());
    result.unwrap_err().to_string()
}

/// Returns a script that gives the same answer for each line.
fn answering(answer: &str) -> String {
    format!("while read -r line; do echo '{answer}'; done")
}

#[test]
fn documents_are_kept_dropped_and_rewritten() {
    let cases = [
        (r#"{"keep": true}"#, Verdict::Keep),
        (r#"{"keep": false}"#, Verdict::Dropped("dropped".to_owned())),
        (r#"{"keep": false, "reason": "too_old"}"#, Verdict::Dropped("too_old".to_owned())),
        (r#"{"text": "other"}"#, Verdict::Rewritten("other".to_owned())),
    ];
    for (answer, verdict) in cases {
        let mut filter = start(&answering(answer), LONG);
        for _ in 0..3 {
            assert_eq!(ask(&mut filter, "text").unwrap(), verdict);
        }
        filter.finish().unwrap();
    }
}

#[test]
fn a_question_is_a_json_line_with_the_document() {
    let script = r#"read -r line; case "$line" in
        *'"id":"1","url":"u","title":"t","language":"en","text":"a\nb"'*) echo '{"keep": true}';;
        *) echo "$line" >&2; exit 1;; esac"#;
    let mut filter = start(script, LONG);
    assert_eq!(ask(&mut filter, "a\nb").unwrap(), Verdict::Keep);
    filter.finish().unwrap();
}

#[test]
fn a_misbehaving_program_is_reported_with_its_last_output() {
    let crashed = error("echo boom >&2; exit 3", LONG);
    assert!(crashed.contains("command `step` failed") && crashed.contains("boom"), "{crashed}");
    let garbage = error("read -r line; echo maybe", LONG);
    assert!(garbage.contains("`maybe` is not valid"), "{garbage}");
    let half = error("read -r line; printf '{\"keep\": tr'", LONG);
    assert!(half.contains("incomplete"), "{half}");
    let unknown = error(&answering(r#"{"keep": true, "score": 1}"#), LONG);
    assert!(unknown.contains("score"), "{unknown}");
    let both = error(&answering(r#"{"keep": false, "text": "x"}"#), LONG);
    assert!(both.contains("write {"), "{both}");
    let few = error("read -r line; exit 0", LONG);
    assert!(few.contains("before it answered"), "{few}");
    let many = error("read -r line; echo '{\"keep\": true}'; echo '{\"keep\": true}'", LONG);
    assert!(many.contains("no answer was expected"), "{many}");
    let late = error("read -r line; echo '{\"keep\": true}'; exit 4", LONG);
    assert!(late.contains("exit status: 4"), "{late}");
    let long = error("read -r line; head -c 2000 /dev/zero | tr '\\0' x", LONG);
    assert!(long.contains("more than 1000 bytes"), "{long}");
    let died = error("read -r line; exec >&-; printf 'a\\033[31mb' >&2; exit 9", LONG);
    assert!(died.contains("before it answered (exit status: 9)"), "{died}");
    assert!(died.contains("a\\u{1b}[31mb"), "{died}");
}

#[test]
fn a_program_that_hangs_is_killed_with_its_process_group() {
    let hung = error("sleep 1000 & sleep 1000", Duration::from_millis(200));
    assert!(hung.contains("did not respond for 0.2 s"), "{hung}");
    let hung =
        error("read -r line; echo '{\"keep\": true}'; sleep 1000", Duration::from_millis(200));
    assert!(hung.contains("did not respond"), "{hung}");
}

#[test]
fn a_process_that_left_the_group_with_the_pipes_is_not_waited_for() {
    let started = thresher_storage::clock::now();
    let short = Duration::from_millis(300);
    for (script, expected) in [
        ("read -r line; setsid sleep 30 & exit 0", "processes that it started kept its pipes open"),
        ("read -r line; setsid sleep 30 & exit 3", "(exit status: 3)"),
        ("read -r line; setsid sleep 30 & sleep 30", "did not respond for 0.3 s"),
    ] {
        let error = error(script, short);
        assert!(error.contains(expected), "{script}: {error}");
    }
    let run = shell("setsid sleep 30 <&0 >/dev/null 2>&1 & exit 0");
    let input = Box::new(std::io::Cursor::new(vec![0; 1 << 20]));
    let mut program = Program::start(&line(&run), Feed::Bytes(input)).unwrap();
    assert_eq!(program.line().unwrap(), None);
    let error = program.end().unwrap_err().to_string();
    assert!(error.contains("before it read all of its input"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_memory_limit_of_a_program_is_enforced() {
    // Doubles a text without end.
    let run = shell("x=x; while :; do x=$x$x; done");
    let limited = CommandLine { memory_bytes: 64 << 20, ..line(&run) };
    let mut program = Program::start(&limited, Feed::Lines).unwrap();
    let error = program.line().and_then(|_| program.end()).unwrap_err().to_string();
    // Shells differ in how they fail. Without the limit the program would exceed its timeout.
    assert!(error.contains("signal: ") || error.contains("exit status: "), "{error}");
}

#[test]
fn a_missing_program_is_reported() {
    let run = ["/no/such/program".to_owned()];
    let error = Program::start(&line(&run), Feed::Lines).err().unwrap().to_string();
    assert!(error.contains("/no/such/program") && error.contains("hint:"), "{error}");
}

#[test]
fn a_stop_ends_the_wait_for_an_answer() {
    let stop = Stop::default();
    let run = shell("read -r line; sleep 600");
    let line = CommandLine { stop: stop.clone(), ..line(&run) };
    let mut filter = ExternalFilter::start(&line).unwrap();
    let waiting = std::thread::spawn(move || ask(&mut filter, "text").unwrap_err().to_string());
    stop.set();
    let error = waiting.join().unwrap();
    assert!(error.contains("asked to stop"), "{error}");
}
