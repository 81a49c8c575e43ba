//! Tests with whole tars, which are built here.

use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::members::tests::tar_of;

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(tar: &[u8], preset: &str) -> Vec<(String, String)> {
    let text = format!(
        "[job]\nname = \"t\"\npreset = \"{preset}\"\n[[source]]\nslice = \"arxiv\"\nlisting = \"x\"\n\
         [arxiv]\nmax_paper_bytes = \"10KiB\"\n[language]\nmodel = \"none\"\n[output]\npath = \"o\"\n"
    );
    let job = JobSpec::parse(&text, std::path::Path::new("/")).unwrap();
    let input = Input::sample("x.tar", "x.tar", tar, PathBuf::new());
    let mut outcomes = Vec::new();
    let digest = Arxiv
        .read(&job, &job.source[0], &input, &mut |record| {
            outcomes.push(match record.outcome {
                RecordOutcome::Page(page) => {
                    assert_eq!(page.date, "2023-11-14T22:13:20");
                    (page.url.to_owned(), page.text.to_owned())
                }
                RecordOutcome::Dropped { id, reason, .. }
                | RecordOutcome::Quarantined { id, reason, .. } => {
                    (id.to_owned(), reason.to_owned())
                }
            });
            Ok(())
        })
        .unwrap();
    assert_eq!(digest.bytes, tar.len() as u64);
    outcomes
}

fn sample() -> Vec<u8> {
    let project = tar_of(&[
        ("b.tex", b"\\section{B}% note\nb\n"),
        ("figure.eps", b"%!PS"),
        (
            "main.tex",
            b"\\documentclass{article}\\begin{document}\\section{A} \\input{b}\\end{document}",
        ),
    ]);
    let mut cut = gz(&project);
    cut.truncate(cut.len() / 2);
    tar_of(&[
        ("9901/hep-th9901001.gz", &gz(b"title \\section{One} caf\xe9")),
        ("1911/1911.02782.gz", &gz(&project)),
        ("1911/1911.00001.pdf", b"%PDF"),
        ("1911/1911.00002.gz", &cut),
        ("1911/1911.00003.gz", &gz(&vec![b'x'; 20_000])),
        ("1911/1911.00004.gz", &gz(&tar_of(&[("a.eps", b"")]))),
    ])
}

#[test]
fn every_member_is_a_paper_or_dropped_or_quarantined_by_name() {
    let rest = [
        ("1911.00001", "arxiv/pdf_only"),
        ("1911.00002", "gzip_damaged"),
        ("1911.00003", "paper_too_large"),
        ("1911.00004", "arxiv/no_tex"),
    ];
    let rest = rest.map(|(id, outcome)| (id.to_owned(), outcome.to_owned()));
    let outcomes = read(&sample(), "thresher");
    assert_eq!(
        outcomes[0],
        ("https://arxiv.org/abs/hep-th/9901001".to_owned(), "\\section{One} café".to_owned())
    );
    assert_eq!(outcomes[1].1, "\\section{A} \\section{B}\nb");
    assert_eq!(outcomes[2..], rest);
    let outcomes = read(&sample(), "redpajama-v1");
    assert_eq!(outcomes[0], ("hep-th/9901001".to_owned(), "arxiv/not_utf8".to_owned()));
    assert_eq!(outcomes[1].1, "\\section{B\nb\n\n\\section{A} \\input{b}\\end{document}");
    assert_eq!(outcomes[2..], rest);
}

#[test]
fn a_truncated_or_empty_tar_is_quarantined() {
    assert_eq!(read(b"", "thresher"), [(String::new(), "empty_input".to_owned())]);
    let tar = sample();
    let outcomes = read(&tar[..1200], "thresher");
    assert_eq!(outcomes.last().unwrap().1, "tar_damaged");
}

const PAPER: &[u8] =
    b"\\documentclass{a}\\begin{document}\\section{A} caf\xc3\xa9\n\\end{document}\n";

/// Returns a tar with GNU's long names, and links.
fn gnu_tar(files: &[(&str, &[u8])], links: &[(&str, &str, tar::EntryType)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let header = || {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(1_700_000_000);
        header
    };
    for (name, bytes) in files {
        let mut header = header();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    for (name, target, kind) in links {
        let mut header = header();
        header.set_entry_type(*kind);
        header.set_size(0);
        tar.append_link(&mut header, name, target).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn every_form_of_an_upload_is_read_or_dropped_by_its_reason() {
    let text = "\\section{A} caf\u{e9}";
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(str::from_utf8(PAPER).unwrap().encode_utf16().flat_map(u16::to_le_bytes));
    let long = format!("{}/main.tex", "very-long-folder-name/".repeat(10));
    let root = b"\\documentclass{a}\\begin{document}\\section{A} \\input{link}\\end{document}";
    let body = "caf\u{e9}".as_bytes();
    let links = [("link.tex", "x/body.tex", tar::EntryType::Link)];
    let cut = |packed: Vec<u8>, less: usize| packed[..packed.len() - less].to_vec();
    let altered = |mut packed: Vec<u8>, before_end: usize| {
        let at = packed.len() - before_end;
        packed[at] ^= 1;
        packed
    };
    let noise: Vec<u8> =
        (0..4000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let with_figure = tar_of(&[("main.tex", PAPER), ("fig.eps", &noise)]);
    let forms: Vec<(&str, Vec<u8>, &str)> = vec![
        ("one file", gz(PAPER), text),
        ("not packed", PAPER.to_vec(), text),
        ("a tar that is not packed", tar_of(&[("main.tex", PAPER)]), text),
        (
            "line ends of old Macs",
            gz(&PAPER.iter().map(|b| if *b == b'\n' { b'\r' } else { *b }).collect::<Vec<_>>()),
            text,
        ),
        ("UTF-16", gz(&utf16), text),
        ("trailing bytes", [gz(PAPER), b"junk".to_vec()].concat(), text),
        ("upper case", gz(&tar_of(&[("MAIN.TEX", PAPER)])), text),
        ("another ending", gz(&tar_of(&[("main.ltx", PAPER)])), text),
        ("no ending", gz(&tar_of(&[("paper", PAPER), ("x.eps", b"%!PS")])), text),
        ("a long name", gz(&gnu_tar(&[(&long, PAPER)], &[])), text),
        ("a hard link", gz(&gnu_tar(&[("main.tex", root), ("x/body.tex", body)], &links)), text),
        (
            "attributes of macOS",
            gz(&tar_of(&[("._main.tex", b"\0\x05\x16\x07"), ("main.tex", PAPER)])),
            text,
        ),
        ("a tar in the tar", gz(&tar_of(&[("in.tar", &tar_of(&[("main.tex", PAPER)]))])), text),
        ("a packed file in the tar", gz(&tar_of(&[("main.tex.gz", &gz(PAPER))])), text),
        ("damage behind the paper", gz(&cut(with_figure.clone(), 3000)), text),
        ("a cut gzip file behind the paper", cut(gz(&with_figure), 1000), text),
        ("damage in the paper", cut(gz(PAPER), 20), "gzip_damaged"),
        ("a wrong checksum", altered(gz(PAPER), 8), "gzip_damaged"),
        ("a wrong length", altered(gz(PAPER), 4), "gzip_damaged"),
        ("a withdrawn paper", gz(b"%auto-ignore\nThis paper was withdrawn."), "arxiv/withdrawn"),
        ("HTML", gz(b"<html><body>A paper"), "arxiv/html_only"),
        (
            "HTML with figures",
            gz(&tar_of(&[("a.html", b"<HTML>"), ("a.gif", b"GIF89a")])),
            "arxiv/html_only",
        ),
        ("PostScript", gz(b"%!PS-Adobe-2.0\n"), "arxiv/postscript_only"),
        ("PDF", gz(b"%PDF-1.4\n"), "arxiv/pdf_only"),
        ("a zip archive", gz(b"PK\x03\x04....\\section{A}"), "arxiv/no_tex"),
        ("zeros", gz(&[0; 2000]), "arxiv/no_tex"),
        ("nothing", gz(b""), "arxiv/no_tex"),
        ("figures only", gz(&tar_of(&[("a.txt", b"a"), ("a.png", b"\x89PNG")])), "arxiv/no_tex"),
    ];
    for (form, packed, expected) in forms {
        let outcomes = read(&tar_of(&[("2101/2101.00001.gz", &packed)]), "thresher");
        assert_eq!(outcomes.len(), 1, "{form}");
        assert_eq!(outcomes[0].1, expected, "{form}");
    }
}

#[test]
fn the_published_recipe_reads_uploads_as_the_published_script_does() {
    let cut = |packed: &[u8], less: usize| packed[..packed.len() - less].to_vec();
    let paper = "\\section{A} caf\u{e9}\n\\end{document}\n";
    let with_folder =
        gnu_tar(&[("main.tex", PAPER)], &[("x.tex/", "a", tar::EntryType::Directory)]);
    let to_nothing = gnu_tar(&[], &[("main.tex", "gone.tex", tar::EntryType::Symlink)]);
    let link = gnu_tar(&[("a.tex", PAPER)], &[("b.tex", "a.tex", tar::EntryType::Symlink)]);
    let forms: Vec<(&str, Vec<u8>, String)> = vec![
        ("a tar that is not packed", tar_of(&[("main.tex", PAPER)]), paper.to_owned()),
        ("a link counts twice", gz(&link), format!("{paper}\n{paper}")),
        ("a folder", gz(&with_folder), "arxiv/unreadable_member".to_owned()),
        ("a link to nothing", gz(&to_nothing), "arxiv/unreadable_member".to_owned()),
        ("upper case", gz(&tar_of(&[("MAIN.TEX", PAPER)])), "arxiv/no_tex".to_owned()),
        ("not packed", PAPER.to_vec(), "gzip_damaged".to_owned()),
        ("trailing bytes", [gz(PAPER), b"junk".to_vec()].concat(), "gzip_damaged".to_owned()),
        ("trailing zeros", [gz(PAPER), vec![0; 9]].concat(), paper.to_owned()),
    ];
    for (form, packed, expected) in forms {
        let outcomes = read(&tar_of(&[("2101/2101.00001.gz", &packed)]), "redpajama-v1");
        assert_eq!(outcomes[0].1, expected, "{form}");
    }
    // A tar that ends inside a member was read as one TeX file, headers and all.
    let tar = tar_of(&[("main.tex", PAPER), ("b.eps", &[b'x'; 2000])]);
    let outcomes = read(&tar_of(&[("2101/2101.1.gz", &gz(&cut(&tar, 2000)))]), "redpajama-v1");
    assert!(outcomes[0].1.starts_with(paper) && outcomes[0].1.contains("b.eps"));
}

#[test]
fn ids_are_split_as_each_recipe_splits_them() {
    let cases = [
        ("9901/hep-th9901001.gz", "hep-th/9901001", "hep-th/9901001"),
        ("1911/1911.02782.gz", "1911.02782", "1911.02782"),
        ("9901/hep-th9901003v2.gz", "hep-th/9901003v2", "hep-th9901003v2"),
        ("0101/math.GT0101002.gz", "math.GT/0101002", "math.GT0101002"),
    ];
    for (name, ours, published) in cases {
        assert_eq!(arxiv_id(name, LatexRules::Thresher), ours);
        assert_eq!(arxiv_id(name, LatexRules::RedpajamaV1), published);
    }
}
