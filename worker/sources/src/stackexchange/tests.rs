//! Tests with whole sites: a real one, and small ones that are built here.

mod damage;

use thresher_job::JobSpec;

use super::*;

fn job(preset: &str) -> JobSpec {
    let text = format!(
        "[job]\nname = \"t\"\npreset = \"{preset}\"\n[[source]]\nslice = \"stackexchange\"\n\
         listing = \"x\"\n[language]\nmodel = \"none\"\n[output]\npath = \"o\"\n"
    );
    JobSpec::parse(&text, std::path::Path::new("/")).unwrap()
}

/// Returns the address or id, and the text or reason, of each record.
fn read(path: &str, bytes: &[u8], job: &JobSpec) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let input = Input::sample(path, path, bytes, folder.path().join("scratch"));
    let mut outcomes = Vec::new();
    let digest = StackExchange
        .read(job, &job.source[0], &input, &mut |record| {
            outcomes.push(match record.outcome {
                RecordOutcome::Page(page) => (page.url.to_owned(), page.text.to_owned()),
                RecordOutcome::Dropped { id, reason, .. } => (id.to_owned(), reason.to_owned()),
                RecordOutcome::Quarantined { id, reason, .. } => (id.to_owned(), reason.to_owned()),
            });
            Ok(())
        })
        .unwrap();
    assert_eq!(digest.bytes, bytes.len() as u64);
    outcomes
}

/// Returns the number of rows that are answers in threads.
fn joined(bytes: &[u8], job: &JobSpec) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let input = Input::sample("x", "x/Posts.xml", bytes, folder.path().join("scratch"));
    let mut answers = 0;
    let mut sink = |record: ReadRecord<'_>| {
        if let RecordOutcome::Page(Page { meta: Some(meta), .. }) = record.outcome {
            answers += meta["answers"].as_u64().unwrap();
        }
        Ok(())
    };
    StackExchange.read(job, &job.source[0], &input, &mut sink).unwrap();
    answers
}

const SMALL: &str = "<?xml version=\"1.0\"?>\n<posts>\n\
  <row Id=\"3\" PostTypeId=\"2\" ParentId=\"2\" Score=\"9\" Body=\"early\" />\n\
  <row Id=\"2\" PostTypeId=\"1\" Score=\"1\" Title=\"T\" Body=\"B\" />\n\
  <row Id=\"4\" PostTypeId=\"2\" ParentId=\"2\" Score=\"10\" Body=\"late\" />\n\
  <row Id=\"5\" PostTypeId=\"2\" ParentId=\"77\" Score=\"1\" Body=\"lost\" />\n\
  <row Id=\"6\" PostTypeId=\"5\" Score=\"1\" Body=\"wiki\" />\n\
  <row Id=\"7\" broken\n\
</posts>\n";

#[test]
fn rows_become_threads_or_are_dropped_by_name() {
    let outcomes = read("a.stackexchange.com/Posts.xml", SMALL.as_bytes(), &job("thresher"));
    let expected = [
        ("a.stackexchange.com/6", "stackexchange/no_question"),
        ("", "row_malformed"),
        ("https://a.stackexchange.com/questions/2", "Q: T B\nA: late\nA: early"),
        ("a.stackexchange.com/5", "stackexchange/no_such_question"),
    ];
    assert_eq!(outcomes, expected.map(|(id, outcome)| (id.to_owned(), outcome.to_owned())));
    let v1 = read("a.stackexchange.com/Posts.xml", SMALL.as_bytes(), &job("redpajama-v1"));
    assert_eq!(v1[2].1, "Q: T B\nA: early\nA: late");
}

#[test]
fn a_file_without_a_folder_has_no_address() {
    let of = |path: &str| {
        let outcomes = read(path, SMALL.as_bytes(), &job("thresher"));
        outcomes.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(of("Posts.xml"), ["6", "", "", "5"]);
    assert_eq!(of("b.com-Posts.xml")[2], "https://b.com/questions/2");
}

#[test]
fn an_empty_file_is_quarantined() {
    let empty = [(String::new(), "empty_input".to_owned())];
    for bytes in [&b""[..], b"\0\0\0", b"\n"] {
        assert_eq!(read("a.stackexchange.com/Posts.xml", bytes, &job("thresher")), empty);
    }
}

#[test]
fn a_real_site_is_the_same_whatever_the_memory() {
    let bytes = include_bytes!("../../../testdata/stackexchange/Posts.xml");
    let mut job = job("thresher");
    let outcomes = read("conlang.meta.stackexchange.com/Posts.xml", bytes, &job);
    let threads = outcomes.iter().filter(|(_, text)| text.starts_with("Q: ")).count();
    let answers = joined(bytes, &job);
    let rows = bytes.split(|byte| *byte == b'\n').filter(|it| it.starts_with(b"  <row ")).count();
    assert!(threads > 10, "{threads}");
    assert_eq!(outcomes.len() as u64 + answers, rows as u64);
    job.stackexchange.sort_memory.0 = 2000;
    assert_eq!(read("conlang.meta.stackexchange.com/Posts.xml", bytes, &job), outcomes);
}

const POSTS: &[u8] = include_bytes!("../../../testdata/stackexchange/posts.7z");
const TAGS: &[u8] = include_bytes!("../../../testdata/stackexchange/tags.7z");

#[test]
fn an_archive_equals_its_file_and_a_damaged_one_is_quarantined() {
    let plain = read("a.com/Posts.xml", SMALL.as_bytes(), &job("thresher"));
    let bytes = POSTS;
    assert_eq!(read("a.com-Posts.7z", bytes, &job("thresher")), plain);
    for at in [40, bytes.len() / 2, bytes.len() - 10] {
        let mut bad = bytes.to_vec();
        bad[at] ^= 0x55;
        let outcomes = read("a.com.7z", &bad, &job("thresher"));
        let last = outcomes.last().map(|(_, reason)| reason.as_str());
        assert_eq!(last, Some("archive_damaged"), "byte {at}");
    }
    let outcomes = read("a.com.7z", &bytes[..bytes.len() / 2], &job("thresher"));
    assert_eq!(outcomes[0].1, "archive_damaged");
    assert_eq!(read("a.com.7z", TAGS, &job("thresher"))[0].1, "no_posts");
}

#[test]
fn posts_in_utf_16_are_read_in_an_archive_as_in_a_file() {
    let plain = read("a.com/Posts.xml", SMALL.as_bytes(), &job("thresher"));
    assert_eq!(read("a.com.7z", &damage::archive(SMALL.as_bytes()), &job("thresher")), plain);
    let text = format!("\u{feff}{SMALL}");
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        assert_eq!(read("a.com/Posts.xml", &bytes, &job("thresher")), plain);
        assert_eq!(read("a.com.7z", &damage::archive(&bytes), &job("thresher")), plain);
    }
}

/// Returns reason and detail of the quarantined records of an archive.
fn refusals(bytes: &[u8]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = "a.com.7z";
    let input = Input::sample(path, path, bytes, folder.path().join("scratch"));
    let (job, mut outcomes) = (job("thresher"), Vec::new());
    let read = StackExchange.read(&job, &job.source[0], &input, &mut |record| {
        if let RecordOutcome::Quarantined { reason, detail, .. } = record.outcome {
            outcomes.push((reason.to_owned(), detail.to_owned()));
        }
        Ok(())
    });
    read.unwrap();
    outcomes
}

#[test]
fn an_intact_archive_that_cannot_be_unpacked_has_a_reason_and_a_hint() {
    let mut large = POSTS.to_vec();
    // The size of the LZMA2 dictionary, after its method: now 512 MiB.
    let at = large.windows(4).position(|four| four == [0x21, 0x21, 1, 0x16]).unwrap();
    large[at + 3] = 34;
    let cases: [(&[u8], &str, &str); 4] = [
        (&large, "archive_dictionary_too_large", "takes 513 MiB of memory, and 512 MiB"),
        (
            include_bytes!("../../../testdata/stackexchange/encrypted.7z"),
            "archive_encrypted",
            "the archive is encrypted",
        ),
        (
            include_bytes!("../../../testdata/stackexchange/encrypted-names.7z"),
            "archive_encrypted",
            "the archive is encrypted",
        ),
        (
            include_bytes!("../../../testdata/stackexchange/zstd.7z"),
            "archive_method_unknown",
            "`ZSTD`",
        ),
    ];
    for (bytes, reason, says) in cases {
        let refusals = refusals(bytes);
        let [(found, detail)] = &refusals[..] else { panic!("{refusals:?}") };
        assert_eq!(found, reason, "{detail}");
        assert!(detail.contains(says) && detail.contains("; hint: "), "{detail}");
    }
}

#[test]
fn damage_is_reported_in_words() {
    let names = ["Io(", "Other(", "UnsupportedC", "Bad", "Verification", "Mismatch", "Custom {"];
    let mut damaged = 0;
    for at in (0..POSTS.len()).step_by(11) {
        let mut bad = POSTS.to_vec();
        bad[at] ^= 0x55;
        for (reason, detail) in refusals(&bad) {
            damaged += usize::from(reason == "archive_damaged");
            assert!(!names.iter().any(|name| detail.contains(name)), "byte {at}: {detail}");
        }
    }
    assert!(damaged > 15, "{damaged}");
}

/// Reads a file in pieces of `size` bytes, and returns the records part by part.
fn read_in_pieces(path: &str, bytes: &[u8], size: u64, job: &JobSpec) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Posts.xml");
    std::fs::write(&file, bytes).unwrap();
    let pieces = Piece::even(bytes.len() as u64, size);
    let parts = pieces.len() as u32;
    assert!(parts > 1, "{size}");
    let mut scattered = vec![Vec::new(); pieces.len()];
    for (own, piece) in (0..).zip(&pieces) {
        let row = InputRow { piece: Some(*piece), ..InputRow::named(path.to_owned()) };
        let location = thresher_storage::Location::from(file.as_path());
        let input = Input::stored(location, &row, folder.path().join("scratch")).unwrap();
        let digest = StackExchange.scatter(job, &input, (own, parts), &mut |part, row| {
            scattered[part as usize].push(row.to_vec());
            Ok(())
        });
        assert_eq!(digest.unwrap().bytes, piece.length);
    }
    let mut outcomes = Vec::new();
    for rows in scattered {
        let place = (path, folder.path());
        let mut give = |take: &mut dyn FnMut(&[u8]) -> Result<(), UnitError>| {
            rows.iter().try_for_each(|row| take(row))
        };
        let gathered = StackExchange.gather(job, &job.source[0], place, &mut give, &mut |record| {
            outcomes.push(match record.outcome {
                RecordOutcome::Page(page) => (page.url.to_owned(), page.text.to_owned()),
                RecordOutcome::Dropped { id, reason, .. } => (id.to_owned(), reason.to_owned()),
                RecordOutcome::Quarantined { id, reason, .. } => (id.to_owned(), reason.to_owned()),
            });
            Ok(())
        });
        gathered.unwrap();
    }
    outcomes
}

#[test]
fn a_split_file_yields_the_same_threads_as_the_whole_file() {
    let real = include_bytes!("../../../testdata/stackexchange/Posts.xml");
    for (bytes, sizes) in [(SMALL.as_bytes(), [17, 80, 150]), (real, [900, 5000, 40_000])] {
        let mut job = job("thresher");
        job.stackexchange.sort_memory.0 = 3000;
        let mut whole = read("a.com/Posts.xml", bytes, &job);
        whole.sort_unstable();
        for size in sizes {
            let mut pieces = read_in_pieces("a.com/Posts.xml", bytes, size, &job);
            pieces.sort_unstable();
            assert_eq!(pieces, whole, "pieces of {size}");
        }
    }
}

/// Set in the process whose memory is limited.
const LIMITED: &str = "THRESHER_TEST_MEMORY_IS_LIMITED";

/// Archives of a few kilobytes with a row of 512 MiB, by method.
const LARGE_ROWS: [(&str, &[u8]); 4] = [
    ("lzma2", include_bytes!("../../../testdata/stackexchange/large-row-lzma2.7z.gz")),
    ("lzma", include_bytes!("../../../testdata/stackexchange/large-row-lzma.7z.gz")),
    ("bzip2", include_bytes!("../../../testdata/stackexchange/large-row-bzip2.7z.gz")),
    ("deflate", include_bytes!("../../../testdata/stackexchange/large-row-deflate.7z.gz")),
];

#[test]
fn an_archive_of_any_method_is_read_in_bounded_memory() {
    if std::env::var_os(LIMITED).is_none() {
        let name = "stackexchange::tests::an_archive_of_any_method_is_read_in_bounded_memory";
        let child = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 400000 && exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(LIMITED, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
        return;
    }
    for (method, packed) in LARGE_ROWS {
        let mut archive = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut archive)
            .unwrap();
        let outcomes = read("a.com.7z", &archive, &job("thresher"));
        let outcomes: Vec<&str> = outcomes.iter().map(|(_, it)| it.as_str()).collect();
        assert_eq!(outcomes, ["row_too_large", "Q: T B"], "{method}");
    }
}

#[test]
fn every_row_of_the_published_script_is_equal() {
    let posts = include_bytes!("../../../testdata/stackexchange/edge.Posts.xml");
    let published = include_str!("../../../testdata/stackexchange/edge.redpajama-v1.jsonl");
    let mut job = job("redpajama-v1");
    job.source[0].dump = "2023-03-29".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = "edge.stackexchange.com/Posts.xml";
    let input = Input::sample(path, path, posts, folder.path().join("scratch"));
    let mut rows = Vec::new();
    let mut sink = |record: ReadRecord<'_>| {
        if let RecordOutcome::Page(page) = record.outcome {
            rows.push((page.text.to_owned(), page.meta.unwrap().clone()));
        }
        Ok(())
    };
    StackExchange.read(&job, &job.source[0], &input, &mut sink).unwrap();
    assert_eq!(rows.len(), published.lines().count());
    for ((text, mut meta), line) in rows.into_iter().zip(published.lines()) {
        let mut expected: Value = serde_json::from_str(line).unwrap();
        // A later step identifies the language.
        meta["language"] = Value::Null;
        expected["meta"]["language"] = Value::Null;
        assert_eq!(Value::from(text), expected["text"], "{line}");
        assert_eq!(Value::from(meta), expected["meta"], "{line}");
    }
}

#[test]
fn the_default_has_no_runs_of_blank_lines_and_no_lone_star() {
    let real = include_bytes!("../../../testdata/stackexchange/Posts.xml");
    let mut questions = 0;
    for (id, text) in read("a.com/Posts.xml", real, &job("thresher")) {
        questions += usize::from(text.starts_with("Q: "));
        assert!(!text.contains("\n\n\n"), "{id}: {text}");
        assert!(!text.lines().any(|line| line.trim() == "*"), "{id}: {text}");
    }
    assert!(questions > 10, "{questions}");
}
