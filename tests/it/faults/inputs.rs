//! Every kind of damaged input: what is readable is published, the rest is counted where it was.

use thresher_tests::process::{output, succeed, thresher};

use super::{complete, job_over, member, page, record_of_length};

/// Three good pages with something bad between the first and the second.
fn around(bad: &[u8]) -> Vec<u8> {
    [member(&page(1)).as_slice(), bad, &member(&page(2)), &member(&page(3))].concat()
}

/// Runs the input; expects the good pages, one quarantine of this reason, and its place.
fn expect(bytes: &[u8], pages: u64, reason: &str, offset: usize) {
    let folder = tempfile::tempdir().unwrap();
    let outcome = complete(folder.path(), &job_over(folder.path(), "bad.warc.wet.gz", bytes));
    let accounting = &outcome.manifest["accounting"];
    assert_eq!(outcome.published(), pages, "{reason}: {accounting}");
    assert_eq!(outcome.quarantined(reason), 1, "{reason}: {accounting}");
    let row = outcome.row(reason);
    assert_eq!(row["offset"], offset, "{row}");
    assert_eq!(row["input"], "bad.warc.wet.gz", "{row}");
}

#[test]
fn a_truncated_file_gives_what_comes_before_the_cut() {
    let whole = around(&[]);
    let last = whole.len() - member(&page(3)).len();
    expect(&whole[..whole.len() - 20], 2, "gzip_truncated", last);
}

#[test]
fn damaged_inputs_are_named_and_a_large_share_of_them_ends_with_its_own_status() {
    for (inputs, status) in [(1, 7), (12, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let whole = [member(&page(0)), member(&page(13))].concat();
        let cut = &whole[..whole.len() - 20];
        let listed: String = (0..inputs).map(|n| format!("{n:02}.warc.wet.gz\n")).collect();
        std::fs::write(folder.path().join("00.warc.wet.gz"), cut).unwrap();
        let job = job_over(folder.path(), "inputs.txt", listed.as_bytes());
        for number in 1..inputs {
            let name = format!("{number:02}.warc.wet.gz");
            std::fs::write(folder.path().join(name), member(&page(number))).unwrap();
        }
        let state = folder.path().join("state");
        let mut run = thresher();
        run.arg("run").arg(job.write(folder.path())).arg("--state").arg(state);
        let ran = output(&mut run);
        let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
        assert_eq!(ran.status.code(), Some(status), "{said}");
        assert!(said.contains("damaged or cut off: 1 input: `00.warc.wet.gz`"), "{said}");
        let asks = "source `commoncrawl`: 1 of 1 inputs is damaged or ends early, 1 record as \
                    `gzip_truncated`; the first is `00.warc.wet.gz`";
        assert_eq!(said.contains(asks), status == 7, "{said}");
        let report = folder.path().join("corpus/REPORT.md");
        let report = std::fs::read_to_string(report).unwrap();
        assert!(report.contains("| damaged or cut off | 1 input: `00.warc.wet.gz` |"), "{report}");
    }
}

#[test]
fn garbage_between_members_loses_no_page() {
    let first = member(&page(1)).len();
    expect(
        &around(b"neither gzip nor anything else, and long enough to see"),
        3,
        "gzip_garbage",
        first,
    );
}

#[test]
fn only_a_damaged_member_is_lost() {
    let mut bad = member(&page(9));
    let middle = bad.len() / 2;
    bad[middle] ^= 0xff;
    bad[middle + 1] ^= 0xff;
    expect(&around(&bad), 3, "gzip_damaged", member(&page(1)).len());
}

#[test]
fn a_wrong_or_missing_length_quarantines_only_its_record() {
    let first = member(&page(1)).len();
    let body = b"Title\nA body that is as long as it is";
    let wrong = record_of_length(9, body, "Content-Length: 7\r\n");
    expect(&around(&member(&wrong)), 3, "content_length_wrong", first);
    let missing = record_of_length(9, body, "");
    expect(&around(&member(&missing)), 3, "content_length_missing", first);
}

#[test]
fn a_quarantined_page_is_found_by_the_url_and_id_of_its_header() {
    let body = b"Title\nA body that is as long as it is";
    let bads = [
        ("content_length_wrong", record_of_length(9, body, "Content-Length: 7\r\n")),
        ("content_length_missing", record_of_length(9, body, "")),
        ("record_too_large", super::record(9, &vec![b'a'; 20 << 10])),
        ("warc_header_malformed", record_of_length(9, body, "no colon\r\n")),
    ];
    for (reason, bad) in bads {
        let folder = tempfile::tempdir().unwrap();
        let job = job_over(folder.path(), "bad.warc.wet.gz", &around(&member(&bad)));
        let job = job.append("[commoncrawl]\nmax_record_bytes = \"16KiB\"");
        let outcome = complete(folder.path(), &job);
        let row = outcome.row(reason);
        let (id, url) = ("00000009", "https://page.example/9");
        assert_eq!((&row["id"], &row["url"]), (&id.into(), &url.into()), "{row}");
        for needle in [id, url] {
            let traced = succeed(thresher().arg("trace").arg(&outcome.output).arg(needle));
            let expected = format!("quarantined: {reason} (`dropped/");
            assert!(traced.starts_with(&expected), "{traced}");
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_quarantined() {
    let bad = super::record(9, b"Title\nvalid, then \xff\xfe not\n");
    expect(&around(&member(&bad)), 3, "invalid_utf8", member(&page(1)).len());
}

#[test]
fn an_empty_file_is_counted() {
    expect(b"", 0, "empty_input", 0);
}

#[test]
fn a_header_bomb_is_skipped() {
    let bomb = record_of_length(9, b"x", &format!("X-Long: {}\r\n", "a".repeat(1 << 20)));
    expect(&around(&member(&bomb)), 3, "warc_header_too_large", member(&page(1)).len());
}

#[test]
fn a_record_of_one_line_beyond_the_limit_is_skipped() {
    let body = [b"Title\n".as_slice(), &vec![b'a'; 80 << 20]].concat();
    let long = member(&super::record(9, &body));
    expect(&around(&long), 3, "record_too_large", member(&page(1)).len());
}

#[test]
fn a_missing_input_is_counted_when_the_job_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here.warc.wet.gz"), around(&[])).unwrap();
    let job = job_over(folder.path(), "inputs.txt", b"here.warc.wet.gz\ngone.warc.wet.gz\n")
        .set("listing", "\"inputs.txt\"\non_missing = \"quarantine\"");
    let outcome = complete(folder.path(), &job);
    assert_eq!((outcome.published(), outcome.quarantined("input_missing")), (3, 1));
}
