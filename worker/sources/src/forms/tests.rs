//! Tests the forms of inputs that each slice reads and refuses.

use std::io::Write;
use std::path::PathBuf;

use thresher_job::JobSpec;

use super::*;
use crate::testing::{Seen, job, read_with};
use crate::{Input, PlannedInput, Source, check_piece, source_of};

const TEXT: &str = "A sentence that is long enough to be a text of its own, and then some more.";

/// A slice with a name for its input, and an input with one text.
struct Sample {
    slice: &'static str,
    path: &'static str,
    more: &'static str,
    bytes: Vec<u8>,
}

/// A tar with one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn utf16(text: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(text).unwrap();
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn samples() -> Vec<Sample> {
    let row = format!("{{\"text\": \"{TEXT}\"}}\n");
    let code = format!(
        "{{\"content\": \"{TEXT}\", \"path\": \"a.py\", \"repo_name\": \"o/r\", \"license\": \
         \"mit\"}}\n"
    );
    let wet = format!(
        "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: {}\r\n\r\nTitle\n{TEXT}\r\n\r\n",
        TEXT.len() + 6
    );
    let wiki = format!(
        "<mediawiki>\n<page><title>T</title><ns>0</ns><id>1</id><revision><text>{TEXT}</text>\
         </revision></page>\n</mediawiki>"
    );
    let posts = format!(
        "<?xml version=\"1.0\"?>\n<posts>\n<row Id=\"1\" PostTypeId=\"1\" Title=\"T\" \
         Body=\"&lt;p&gt;{TEXT}&lt;/p&gt;\" />\n</posts>"
    );
    let paper = format!("\\documentclass{{article}}\\begin{{document}}{TEXT}\\end{{document}}");
    let licence = include_str!("../../../../LICENSE");
    let mut repository = tar("r/LICENSE", licence.as_bytes());
    repository.truncate(repository.len() - 1024);
    repository.extend(tar("r/a.py", TEXT.as_bytes()));
    let sample = |slice, path, bytes: Vec<u8>| Sample { slice, path, more: "", bytes };
    let more = "[commoncrawl]\nmin_chars = 1\n";
    vec![
        Sample { more, ..sample("commoncrawl", "a.warc.wet", wet.into_bytes()) },
        sample("c4", "c4-train.json", row.clone().into_bytes()),
        sample("books", "books.jsonl", row.clone().into_bytes()),
        sample("books", "rows", row.clone().into_bytes()),
        sample("documents", "rows.json", row.into_bytes()),
        sample("books", "1.txt", TEXT.as_bytes().to_vec()),
        sample("github", "rows.json", code.into_bytes()),
        sample("github", "r.tar", repository),
        sample(
            "arxiv",
            "arXiv_src_2101_001.tar",
            tar("2101/2101.00001.gz", &gzip(paper.as_bytes())),
        ),
        sample("wikipedia", "dewiki-20240101-pages-articles.xml", wiki.into_bytes()),
        sample("stackexchange", "x.example.com/Posts.xml", posts.into_bytes()),
    ]
}

impl Sample {
    fn job(&self) -> JobSpec {
        job(self.slice, "thresher", self.more)
    }

    fn source(&self) -> &'static dyn Source {
        source_of(self.job().source[0].slice)
    }

    fn texts(&self, path: &str, bytes: &[u8]) -> Vec<String> {
        let seen = read_with(self.source(), &self.job(), path, bytes);
        let texts = seen.iter().filter_map(|seen| match seen {
            Seen::Page { text, .. } if text.contains(TEXT) => Some(text.clone()),
            Seen::Page { .. } | Seen::Dropped { .. } | Seen::Quarantined { .. } => None,
        });
        texts.collect()
    }

    /// Returns the error of an input, which must be one for a person to correct.
    fn refusal(&self, bytes: &[u8]) -> Option<String> {
        let job = self.job();
        let input = Input::sample("in", self.path, bytes, PathBuf::from("/nowhere"));
        match self.source().read(&job, &job.source[0], &input, &mut |_| Ok(())) {
            Ok(_) => None,
            Err(UnitError::JobFile(text)) => Some(text),
            Err(error) => panic!("{error:?}"),
        }
    }
}

type Pack = fn(&[u8]) -> Vec<u8>;

#[test]
fn every_slice_reads_every_packing_whatever_the_name_says() {
    let packings: [(&str, Pack); 4] = [
        ("", <[u8]>::to_vec),
        (".gz", gzip),
        (".zst", |bytes| zstd::encode_all(bytes, 1).unwrap()),
        (".bz2", bzip2),
    ];
    for sample in samples() {
        let plain = sample.texts(sample.path, &sample.bytes);
        assert_eq!(plain.len(), 1, "{} {}", sample.slice, sample.path);
        for (ending, pack) in packings {
            let packed = pack(&sample.bytes);
            for path in [sample.path, &format!("{}{ending}", sample.path)] {
                assert_eq!(sample.texts(path, &packed), plain, "{} {path} {ending}", sample.slice);
            }
        }
        let is_text = str::from_utf8(&sample.bytes).is_ok() && !sample.path.ends_with(".tar");
        if is_text && sample.slice != "commoncrawl" {
            let bytes = utf16(&sample.bytes);
            assert_eq!(sample.texts(sample.path, &bytes), plain, "{} UTF-16", sample.slice);
        }
    }
}

#[test]
fn a_form_that_a_slice_does_not_read_is_one_error_with_a_remedy() {
    let forms: [(&[u8], &str, &str); 10] = [
        (b"\x04\x22\x4d\x18....", "lz4", "pack it with gzip, zstd"),
        (b"filedesc://x.arc 0.0.0.0 2008", "ARC", "warcio recompress"),
        (b"PAR1....", "Parquet", "slice = \"documents\""),
        (b"[\n  {\"text\": 1}\n]", "a JSON array", "jq -c"),
        (b"{\n  \"text\": 1\n}", "JSON over several lines", "jq -c"),
        (b"\xff\xfe\0\0x\0\0\0", "UTF-32", "iconv"),
        (b"%PDF-1.7", "PDF", "external"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive", "external"),
        (b"WARC/1.0\r\n", "WARC", "commoncrawl"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive", "stackexchange"),
    ];
    for sample in samples() {
        for (bytes, name, remedy) in forms {
            let own = match name {
                "WARC" => sample.slice == "commoncrawl",
                "Parquet" => ["github", "documents"].contains(&sample.slice),
                "a JSON array" | "JSON over several lines" => sample.slice == "documents",
                "a 7z archive" => sample.slice == "stackexchange",
                _ => false,
            };
            let refused = sample.refusal(bytes);
            assert_eq!(refused.is_none(), own, "{} {name}", sample.slice);
            let Some(text) = refused else { continue };
            let start = format!("the input `in` is {name}, which the slice `{}`", sample.slice);
            assert!(text.starts_with(&start) && text.contains(remedy), "{text}");
            let packed = sample.refusal(&gzip(bytes)).unwrap();
            assert!(packed.contains(&format!("is {name} in gzip, which")), "{packed}");
        }
    }
}

#[test]
fn what_takes_too_much_memory_names_the_command_that_packs_it_again() {
    // A frame with a window of 2 GiB and 138 MiB of content.
    let mut long = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3];
    for block in 0..1100_u32 {
        let header = (128 << 10 << 3) | 1 << 1 | u32::from(block == 1099);
        long.extend_from_slice(&header.to_le_bytes()[..3]);
        long.push(b'x');
    }
    // A tar is only read up to damage.
    for sample in samples().into_iter().filter(|sample| !sample.path.ends_with(".tar")) {
        let text = sample.refusal(&long).unwrap();
        assert!(text.contains("takes 2048 MiB of memory, and 128 MiB are allowed"), "{text}");
        assert!(text.contains("zstd --long=27"), "{text}");
    }
}

#[test]
fn what_is_damaged_is_quarantined_and_not_refused() {
    for sample in samples() {
        for packed in [zstd::encode_all(&sample.bytes[..], 1).unwrap(), gzip(&sample.bytes)] {
            let cut = &packed[..packed.len() / 2];
            let seen = read_with(sample.source(), &sample.job(), sample.path, cut);
            let bad = |it: &Seen| matches!(it, Seen::Quarantined { .. });
            assert!(seen.iter().any(bad), "{} {}: {seen:?}", sample.slice, sample.path);
        }
    }
}

#[test]
fn only_what_can_be_read_from_its_middle_is_cut() {
    for (slice, path, form, cut) in [
        ("c4", "a.jsonl", Form::Json, true),
        ("c4", "a.jsonl", Form::Other, true),
        ("c4", "a.jsonl", Form::Lz4, false),
        ("c4", "a.jsonl", Form::Parquet, false),
        ("books", "a.jsonl", Form::Warc, false),
        ("github", "a.json", Form::Json, true),
        ("arxiv", "a.tar", Form::Json, false),
        ("stackexchange", "Posts.xml", Form::Lz4, false),
        ("c4", "a.jsonl", Form::Gzip, false),
        ("c4", "a.jsonl", Form::Zstd, false),
        ("c4", "a.jsonl", Form::Utf16, false),
        ("arxiv", "a.tar", Form::Tar, true),
        ("arxiv", "a.tar", Form::Xz, false),
        ("github", "a.parquet", Form::Parquet, true),
        ("github", "a.parquet", Form::Zip, false),
        ("stackexchange", "Posts.xml", Form::PostsXml, true),
        ("stackexchange", "Posts.xml", Form::SevenZip, false),
        ("wikipedia", "dewiki-20240101-pages-articles-multistream.xml.bz2", Form::Bzip2, true),
        ("wikipedia", "dewiki-20240101-pages-articles-multistream.xml.bz2", Form::Gzip, false),
    ] {
        let job = job(slice, "thresher", "");
        let source = source_of(job.source[0].slice);
        let planned = PlannedInput { source: &job.source[0], path, bytes: None };
        assert!(source.pieces(&job, &planned, 100).unwrap().is_empty(), "of unknown size");
        assert_eq!(source.can_cut(form), cut, "{slice} {form}");
    }
}

#[test]
fn a_piece_of_an_input_that_cannot_be_cut_is_an_error() {
    use thresher_formats::piece::Piece;
    use thresher_storage::Location;
    use thresher_unit::staging::InputRow;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    for (bytes, refused) in [(gzip(&[b'x'; 5000]), true), (vec![b'x'; 5000], false)] {
        std::fs::write(&path, &bytes).unwrap();
        for offset in [0, 7] {
            let piece = Some(Piece { offset, length: 7 });
            let row = InputRow { piece, ..InputRow::named("a.jsonl".to_owned()) };
            let input =
                Input::stored(Location::from(path.as_path()), &row, PathBuf::new()).unwrap();
            let checked = check_piece(&crate::c4::C4, &input);
            assert_eq!(checked.is_err(), refused);
            let mut first = [0];
            std::io::Read::read_exact(&mut input.open().unwrap(), &mut first).unwrap();
            assert_eq!(first[0], bytes[offset as usize], "the check consumes nothing");
        }
    }
}
