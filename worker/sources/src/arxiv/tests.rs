//! Tests with whole tars, which are built here.

use std::io::Write;
use std::path::PathBuf;

use super::members::tests::tar_of;
use super::*;

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
