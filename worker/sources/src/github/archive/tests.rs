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
    let cut = outcomes_of("a.zip", &zip_of(&FILES)[..300]);
    assert_eq!(cut[..4], EXPECTED[..4]);
    assert_eq!(cut[4..], ["archive_file_damaged", "archive_damaged"]);
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

/// Returns a zip in which each file has a method, with its content as it is packed; the directory
/// at the end is that of a usual archive.
fn zip_by_methods(files: &[(&str, u16, &[u8], &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (path, method, content, packed) in files {
        let mut sum = flate2::Crc::new();
        sum.update(content);
        let facts = [
            &[20, 0, 0, 0][..],
            &method.to_le_bytes(),
            &[0, 0, 0x21, 0x50],
            &sum.sum().to_le_bytes(),
            &(packed.len() as u32).to_le_bytes(),
            &(content.len() as u32).to_le_bytes(),
            &(path.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        let offset = (zip.len() as u32).to_le_bytes();
        directory
            .extend([b"PK\x01\x02\x14\0", &facts[..], &[0; 10], &offset, path.as_bytes()].concat());
        zip.extend([b"PK\x03\x04", &facts[..], path.as_bytes(), packed].concat());
    }
    let count = (files.len() as u16).to_le_bytes();
    let sizes = [(directory.len() as u32).to_le_bytes(), (zip.len() as u32).to_le_bytes()].concat();
    [&zip[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &sizes, &[0, 0]].concat()
}

/// `x = 1` and a line feed, packed by Python's `zipfile` with lzma.
const LZMA: &[u8] = include_bytes!("../../../../testdata/github/x.zip.lzma");

#[test]
fn files_are_read_by_their_method_or_refused_by_its_name() {
    let content = b"x = 1\n";
    let mut bzip2 = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    bzip2.write_all(content).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    let zstd = ::zstd::encode_all(&content[..], 3).unwrap();
    let files: Vec<(&str, u16, &[u8], &[u8])> = vec![
        ("a/LICENSE", 0, MIT.as_bytes(), MIT.as_bytes()),
        ("a/bzip2.py", 12, content, &bzip2),
        ("a/lzma.py", 14, content, LZMA),
        ("a/zstd.py", 93, content, &zstd),
        ("a/deflate64.py", 9, content, b"\0"),
        ("a/ppmd.py", 98, content, b"\0"),
        ("a/new.py", 77, content, b"\0"),
        ("a/bad.py", 12, content, b"BZh91AY&SYno"),
        ("a/wrong.py", 93, b"x = 2\n", &zstd),
        ("a/y.py", 0, b"y = 2\n", b"y = 2\n"),
    ];
    let (read, refused, bad) = ("x = 1\n", "archive_file_unsupported", "archive_file_damaged");
    let expected =
        ["github/no_code", read, read, read, refused, refused, refused, bad, bad, "y = 2\n"];
    let zip = zip_by_methods(&files);
    assert_eq!(outcomes_of("a.zip", &zip), expected);
    let seen = read_bytes(&Github, "github", "a.zip", &zip);
    let Seen::Quarantined { detail, .. } = &seen[4] else { panic!("{seen:?}") };
    assert_eq!(detail, "it is packed with deflate64, which is not read");
    // Without the directory, the same files are read by their own headers.
    let directory = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let cut = outcomes_of("a.zip", &zip[..directory + 100]);
    assert_eq!(cut[..expected.len()], expected);
    assert_eq!(cut[expected.len()..], ["archive_damaged"]);
}

#[test]
fn a_zip_that_is_cut_gives_its_whole_files() {
    let streamed = |files: &[(&str, &[u8])]| {
        let mut writer = zip::ZipWriter::new_stream(Vec::new());
        for (path, content) in files {
            writer.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let large: Vec<u8> =
        (0..40_000_u32).flat_map(|n| format!("v{n} = {}\n", n * 7).into_bytes()).collect();
    let files: [(&str, &[u8]); 4] = [
        ("a/LICENSE", MIT.as_bytes()),
        ("a/x.py", &large),
        ("a/y.py", b"y = 2\n"),
        ("a/z.py", b"z = 3\n"),
    ];
    let large = String::from_utf8(large.clone()).unwrap();
    for zip in [zip_of(&files), streamed(&files)] {
        let header = |nth: usize| {
            let headers = zip.windows(4).enumerate().filter(|(_, four)| *four == b"PK\x03\x04");
            headers.map(|(at, _)| at).nth(nth).unwrap()
        };
        let whole = ["github/no_code", &large, "y = 2\n"];
        let cut = outcomes_of("a.zip", &zip[..header(3)]);
        assert_eq!(cut[..3], whole);
        assert_eq!(cut[3..], ["archive_damaged"]);
        // The last file is cut in its header, and in its content.
        assert_eq!(outcomes_of("a.zip", &zip[..header(3) + 20])[3..], ["archive_damaged"]);
        let cut = outcomes_of("a.zip", &zip[..header(3) + 38]);
        assert_eq!(cut[3..], ["archive_file_damaged", "archive_damaged"]);
        // What is damaged before the end costs what is there.
        let mut bad = zip[..header(3)].to_vec();
        bad[header(1) + 2] ^= 0xff;
        assert_eq!(outcomes_of("a.zip", &bad), ["github/no_code", "y = 2\n", "archive_damaged"]);
    }
}

#[test]
fn a_damaged_header_of_a_tar_loses_only_its_file() {
    let files: [(&str, &[u8]); 5] = [
        ("a/LICENSE", MIT.as_bytes()),
        ("a/paper.tex", b"x"),
        ("a/x.py", &[b'#'; 3000]),
        ("a/main.tex", b"y"),
        ("a/y.py", b"y = 2\n"),
    ];
    let tar = tar_of(&files);
    let whole = outcomes_of("a.tar", &tar);
    let headers = [0, 1024, 2048, 2048 + 3584, 2048 + 3584 + 1024];
    for (nth, at) in headers.into_iter().enumerate() {
        for byte in [3, 124, 150] {
            let mut bad = tar.clone();
            bad[at + byte] ^= 0x15;
            let outcomes = outcomes_of("a.tar", &bad);
            let mut expected = whole.clone();
            expected[nth] = "archive_damaged".to_owned();
            if nth == 0 {
                // Without its licence file, a repository has no licence.
                expected.iter_mut().skip(1).for_each(|it| *it = "github/licence".to_owned());
            }
            assert_eq!(outcomes, expected, "byte {byte} of header {nth}");
            assert_eq!(outcomes_of("a.tar.gz", &gzip(&bad)), expected);
        }
    }
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

/// Adds a link to a tar.
fn link(builder: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, path: &str, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o777);
    builder.append_link(&mut header, path, target).unwrap();
}

fn file(builder: &mut tar::Builder<Vec<u8>>, path: &str, content: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, path, content.as_bytes()).unwrap();
}

#[test]
fn a_licence_that_is_a_link_counts_and_no_link_is_a_record() {
    use tar::EntryType::{Link, Symlink};
    for (kind, target) in
        [(Symlink, "doc/legal.rst"), (Symlink, "./doc/../doc/legal.rst"), (Link, "a/doc/legal.rst")]
    {
        for first in [true, false] {
            let mut builder = tar::Builder::new(Vec::new());
            if first {
                link(&mut builder, kind, "a/LICENSE", target);
            }
            file(&mut builder, "a/doc/legal.rst", MIT);
            file(&mut builder, "a/x.py", "x = 1\n");
            link(&mut builder, Symlink, "a/y.py", "x.py");
            if !first {
                link(&mut builder, kind, "a/LICENSE", target);
            }
            let tar = builder.into_inner().unwrap();
            assert_eq!(outcomes_of("a.tar", &tar), [MIT, "x = 1\n"], "{kind:?} {target}");
        }
    }
    let options = zip::write::SimpleFileOptions::default;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.add_symlink("a/LICENSE", "legal.rst", options()).unwrap();
    writer.add_symlink("a/y.py", "x.py", options()).unwrap();
    for (path, content) in [("a/legal.rst", MIT), ("a/x.py", "x = 1\n")] {
        writer.start_file(path, options()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    let zip = writer.finish().unwrap().into_inner();
    assert_eq!(outcomes_of("a.zip", &zip), [MIT, "x = 1\n"]);
}

#[test]
fn an_archive_without_a_folder_is_one_repository() {
    let files: [(&str, &[u8]); 3] =
        [("src/x.py", b"x = 1\n"), ("y.py", b"y = 2\n"), ("License.txt", MIT.as_bytes())];
    for (path, bytes) in [("a.tar", tar_of(&files)), ("a.zip", zip_of(&files))] {
        assert_eq!(outcomes_of(path, &bytes), ["x = 1\n", "y = 2\n", "github/ending"], "{path}");
        let seen = read_bytes(&Github, "github", path, &bytes);
        let Seen::Page { title, meta, .. } = &seen[0] else { panic!("{seen:?}") };
        assert_eq!((title.as_str(), &meta["repo_name"]), ("src/x.py", &path.into()));
    }
}

#[test]
fn a_licence_that_is_not_permissive_beside_a_permissive_one_counts() {
    for (name, text) in [
        ("COPYING", "GNU GENERAL PUBLIC LICENSE"),
        ("LICENSES/GPL-3.0.txt", "GNU GENERAL PUBLIC LICENSE"),
        ("LICENSE-COMMONS", "The Commons Clause License Condition"),
    ] {
        let path = format!("a/{name}");
        let mut files: Vec<(&str, &[u8])> =
            vec![("a/x.py", b"x = 1\n"), ("a/LICENSE", MIT.as_bytes()), (&path, text.as_bytes())];
        assert_eq!(outcomes_of("a.tar", &tar_of(&files))[0], "github/licence", "{name}");
        files.reverse();
        assert_eq!(outcomes_of("a.tar", &tar_of(&files))[2], "github/licence", "{name}");
    }
}
