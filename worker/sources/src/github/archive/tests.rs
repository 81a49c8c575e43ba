//! Tests with whole and damaged archives.

use std::io::Write;

use super::super::Github;
use crate::testing::{Seen, job, read_bytes, read_with};

const MIT: &str = "Permission is hereby granted, free of charge, to any person obtaining a copy";

const FILES: [(&str, &[u8]); 7] = [
    ("a-1.0/src/x.py", b"x = 1\n"),
    ("a-1.0/LICENSE", MIT.as_bytes()),
    ("a-1.0/logo.py", b"\x89PNG\0\0"),
    ("a-1.0/latin.py", b"# caf\xe9\n"),
    ("a-1.0/notes.txt", b"text"),
    ("b/y.py", b"y = 2\n"),
    ("z.py", b"z = 3\n"),
];

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, content) in files {
        writer.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn outcomes_of(path: &str, bytes: &[u8]) -> Vec<String> {
    read_bytes(&Github, "github", path, bytes).iter().map(Seen::outcome).collect()
}

const EXPECTED: [&str; 7] = [
    "x = 1\n",
    "github/no_code",
    "github/binary",
    "invalid_utf8",
    "github/ending",
    "github/licence",
    "github/licence",
];

#[test]
fn every_file_is_a_record_in_each_kind_of_archive() {
    let tar = tar_of(&FILES);
    assert_eq!(outcomes_of("a.tar", &tar), EXPECTED);
    assert_eq!(outcomes_of("a.tar.gz", &gzip(&tar)), EXPECTED);
    assert_eq!(outcomes_of("a.zip", &zip_of(&FILES)), EXPECTED);
}

#[test]
fn a_file_is_named_by_archive_repository_and_path() {
    let seen = read_bytes(&Github, "github", "a.tar", &tar_of(&FILES));
    let Seen::Page { id, title, licence, meta, offset, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!((id.as_str(), title.as_str()), ("a.tar!a-1.0/src/x.py", "src/x.py"));
    assert_eq!((licence.as_deref(), *offset), (Some("mit"), 0));
    assert_eq!((&meta["repo_name"], &meta["license"]), (&"a-1.0".into(), &"mit".into()));
    assert_eq!(seen[1].offset(), 1024);
}

#[test]
fn an_empty_tar_is_quarantined() {
    assert_eq!(outcomes_of("a.tar", b""), ["empty_input"]);
    assert_eq!(outcomes_of("a.tar.gz", b""), ["empty_input"]);
}

#[test]
fn a_truncated_archive_yields_the_files_before_the_cut() {
    let tar = tar_of(&FILES);
    let cut = outcomes_of("a.tar", &tar[..2 * 1024 + 300]);
    assert_eq!(cut, ["x = 1\n", "github/no_code", "archive_damaged"]);
    // The cut is within the first file, which is therefore not published.
    for (path, bytes) in [("a.tar", tar[..515].to_vec()), ("a.tar.gz", gzip(&tar[..515]))] {
        assert_eq!(outcomes_of(path, &bytes), ["archive_damaged"]);
    }
    let packed = gzip(&tar);
    assert_eq!(
        outcomes_of("a.tar.gz", &packed[..packed.len() - 100]).last().unwrap(),
        "archive_damaged"
    );
    assert_eq!(outcomes_of("a.zip", &zip_of(&FILES)[..300]), ["archive_damaged"]);
    assert_eq!(outcomes_of("a.zip", b""), ["archive_damaged"]);
    assert_eq!(outcomes_of("a.tar.gz", b"\x1f\x8b no gzip"), ["archive_damaged"]);
}

#[test]
fn a_damaged_file_of_a_zip_is_the_only_one_lost() {
    let large: Vec<u8> =
        (0..2000_u32).flat_map(|n| format!("v{} = {n}\n", n * 7).into_bytes()).collect();
    let files: [(&str, &[u8]); 3] =
        [("a/LICENSE", MIT.as_bytes()), ("a/x.py", &large), ("a/y.py", b"y = 2\n")];
    let mut zip = zip_of(&files);
    zip[2000] ^= 0xff;
    assert_eq!(outcomes_of("a.zip", &zip), ["github/no_code", "archive_file_damaged", "y = 2\n"]);
}

#[test]
fn a_file_beyond_the_limit_is_the_only_one_lost() {
    let files: [(&str, &[u8]); 3] =
        [("a/LICENSE", MIT.as_bytes()), ("a/x.py", &[b'x'; 3000]), ("a/y.py", b"y = 2\n")];
    let small = job("github", "thresher", "[records]\nmax_bytes = \"2KiB\"\n");
    for (path, bytes) in [("a.tar", tar_of(&files)), ("a.zip", zip_of(&files))] {
        let seen = read_with(&Github, &small, path, &bytes);
        let outcomes: Vec<String> = seen.iter().map(Seen::outcome).collect();
        assert_eq!(outcomes, ["github/no_code", "record_too_large", "y = 2\n"], "{path}");
    }
}

#[test]
fn a_zip_whose_files_overlap_is_not_unpacked() {
    let mut zip = zip_of(&[("a/x.py", b"x = 1\n"), ("a/y.py", b"y = 2\n")]);
    // In the directory at the end, the second file gets the place of the first.
    let entry = zip.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    zip[entry + 42..entry + 46].copy_from_slice(&0_u32.to_le_bytes());
    assert_eq!(outcomes_of("a.zip", &zip), ["archive_damaged"]);
}
