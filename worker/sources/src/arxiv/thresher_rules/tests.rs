//! Tests of whole papers, as tables of files and texts.

use super::*;
use crate::arxiv::published;
use crate::testing::expect_linear;

fn read_all(files: &[(&str, &str)]) -> Result<PaperText, Unusable> {
    let files: Vec<_> =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    text_of(&files, 100_000)
}

fn text(files: &[(&str, &str)]) -> String {
    read_all(files).unwrap().text
}

fn one(tex: &str) -> String {
    text(&[("a.tex", tex)])
}

/// Returns the text of a document with this body.
fn body(tex: &str) -> String {
    one(&format!(
        "\\documentclass{{article}}\\begin{{document}}\\section{{A}}\n{tex}\\end{{document}}"
    ))
    .strip_prefix("\\section{A}")
    .unwrap()
    .trim()
    .to_owned()
}

#[test]
fn comments_are_what_tex_takes_for_comments() {
    let cases = [
        ("b % gone\nc", "b \nc"),
        ("b.% gone\n  c", "b.\n  c"),
        ("b%\n  c", "bc"),
        ("b%\n\nc", "b\n\nc"),
        ("b\n % gone\nc", "b\nc"),
        ("5\\% kept \\\\% gone\nc", "5\\% kept \\\\\nc"),
        ("odd \\\\\\% kept", "odd \\\\\\% kept"),
        ("\\url{http://a/b%20c} d", "\\url{http://a/b%20c} d"),
        ("\\url|a%20b| d", "\\url|a%20b| d"),
        ("\\path{a%b} \\nolinkurl{a%b}", "\\path{a%b} \\nolinkurl{a%b}"),
        ("\\href{http://a/b%2Fc}{shown} % gone", "\\href{http://a/b%2Fc}{shown}"),
        ("% \\url{gone\nc}", "c}"),
        ("\\verb|100% x| \\verb*+a%b+ c", "\\verb|100% x| \\verb*+a%b+ c"),
        ("\\lstinline[language=C]{a % b} c", "\\lstinline[language=C]{a % b} c"),
        ("\\mintinline{c}|a % b| c", "\\mintinline{c}|a % b| c"),
        ("\\verb without an end % gone", "\\verb without an end"),
        ("\\footnote{\\url{a%b} c}", "\\footnote{\\url{a%b} c}"),
    ];
    for (tex, expected) in cases {
        assert_eq!(body(tex), expected, "{tex}");
    }
}

#[test]
fn environments_are_printed_as_they_are_or_left_out() {
    for name in ["verbatim", "lstlisting", "minted", "Verbatim", "alltt", "verbatim*"] {
        let listing =
            format!("\\begin{{{name}}}\n% \\input{{x}} \\iffalse\n50% }}\n\\end{{{name}}}");
        assert_eq!(body(&listing), listing);
    }
    let cases = [
        ("a\n\\begin{comment}\ngone % \\end\n\\end{comment}\nb", "a\nb"),
        ("a \\begin{comment}gone\\end{comment} b", "a  b"),
        ("a \\begin{comment}kept", "a \\begin{comment}kept"),
        ("\\excludecomment{hide}\\begin{hide}gone\\end{hide} b", "b"),
        ("\\newenvironment{h}{\\comment}{\\endcomment}\n\\begin{h}gone\\end{h} b", "b"),
        ("\\lstnewenvironment{py}{}{}\\begin{py}5%\\end{py}", "{}{}\\begin{py}5%\\end{py}"),
        ("% \\begin{verbatim}\na % gone\n% \\end{verbatim}\nb", "a \nb"),
        ("\\begin{verbatim} 5% no end", "\\begin{verbatim} 5"),
        ("a\n\\iffalse\ngone\n\\fi\nb", "a\n\nb"),
        ("a \\iffalse gone \\else kept \\fi b", "a  kept  b"),
    ];
    for (tex, expected) in cases {
        assert_eq!(body(tex), expected, "{tex}");
    }
}

#[test]
fn macros_are_expanded_with_their_arguments() {
    let cases = [
        ("\\newcommand{\\x}{v}", "\\x, \\x\\x. \\xy", "v, vv. \\xy"),
        ("\\newcommand\\x{\\y{1}}\\newcommand\\y[1]{<#1>}", "\\x", "<1>"),
        ("\\newcommand{\\x}{{\\bf v}}", "\\x.", "{\\bf v}."),
        ("\\newcommand{\\x}{\\y}\\newcommand{\\y}[1]{<#1>}", "\\x{a}", "<a>"),
        ("\\newcommand{\\x}{é}", "\\x", "é"),
        // TeX ignores spaces after the name of a command.
        ("\\newcommand{\\x}{note}", "two \\x s, \\x{} a\\x\\ b", "two notes, note{} anote\\ b"),
        ("\\newcommand{\\x}{note\\xspace}", "two \\x s, \\x, a", "two note s, note, a"),
        (
            "\\newcommand{\\x}{\\alpha}",
            "\\x s\\x{}s $\\x\\x$",
            "\\alpha s\\alpha{}s $\\alpha\\alpha$",
        ),
        ("\\newcommand{\\x}[1]{#1\\alpha}", "\\x{a}b", "a\\alpha b"),
        (
            "\\def\\be{\\begin{equation}}\\def\\ee{\\end{equation}}",
            "\\be\nx\n\\ee\nb",
            "\\begin{equation}\nx\n\\end{equation}\nb",
        ),
        // Definitions end with their group, and copies keep the earlier meaning.
        ("\\def\\x{1}", "{\\def\\x{2}\\x}\\x", "{2}1"),
        ("\\def\\x{1}\\let\\y\\x\\def\\x{2}", "\\x\\y", "21"),
        ("\\let\\old\\emph\\def\\emph#1{\\old{#1!}}", "\\emph{a}", "\\emph{a!}"),
        ("\\providecommand{\\x}{1}\\providecommand{\\x}{2}", "\\x", "1"),
        ("\\makeatletter\\def\\x@y{1}\\def\\x{\\x@y}\\makeatother", "\\x a\\x@y", "\\x a\\x@y"),
        ("\\newcommand{\\x@y}{\\x@y\\x@y}\\def\\x{1}", "\\x", "1"),
        // What is not understood stays.
        ("\\newcommand{\\x}[1]{#1}", "a \\x", "a \\x"),
        ("\\def\\x#1.{(#1)}", "\\x a.", "\\x a."),
        ("\\def\\x#1{\\ifx#1\\y a\\else b\\fi}", "\\x{c}", "\\x{c}"),
        ("\\newcommand{\\x}{v", "\\x", "\\x"),
        // Headings and other commands of the document keep their meaning.
        (
            "\\renewcommand\\section{\\@startsection{section}{1}}",
            "\\section{B} c",
            "\\section{B} c",
        ),
        ("\\let\\s\\section\\renewcommand{\\section}[1]{\\s{#1}x}", "\\section{B}", "\\section{B}"),
        ("\\newcommand{\\s}[1]{\\section{#1}}", "\\s{B} c", "\\section{B} c"),
    ];
    for (definitions, tex, expected) in cases {
        let paper = format!(
            "\\documentclass{{a}}{definitions}\\begin{{document}}\\section{{A}}{tex}\\end{{document}}"
        );
        assert_eq!(one(&paper), format!("\\section{{A}}{expected}"), "{definitions} {tex}");
    }
}

#[test]
fn a_heading_in_a_macro_that_is_not_expanded_starts_the_body() {
    let paper = "\\documentclass{a}\\def\\s{\\@ifstar{\\section*}{\\section}}\\begin{document}\n\
                 \\title{T}\\maketitle\n\\s{B} c\n\\section{C} d\\end{document}";
    assert_eq!(one(paper), "\\s{B} c\n\\section{C} d");
}

#[test]
fn a_document_that_starts_in_a_macro_which_is_given_up_starts_there() {
    // The expansion prints the start of the document, and then does not end.
    let tex = "\\def\\s{\\begin{document}\\section{A} b \\s}\\s\n\\section{B} c";
    assert_eq!(one(tex), "\\section{B} c");
}

#[test]
fn expansion_is_bounded_and_leaves_the_macro_as_it_is() {
    let many = "\\x\\x\\x\\x\\x\\x\\x\\x\\x\\x";
    let levels: String = (b'a'..b'k')
        .map(|n| {
            let (name, next) = (n as char, (n + 1) as char);
            format!("\\def\\{name}{{{}}}", many.replace('x', &next.to_string()))
        })
        .collect();
    let cases = [
        ("\\def\\x{a\\x}", "\\x b", "\\x b"),
        ("\\newcommand{\\x}[1]{\\x{#1#1}}", "\\x{a} b", "\\x{a} b"),
        (
            "\\def\\href#1#2{\\ifx#1\\@empty\\href@Orig{#1}\\else\\href@Not{#1}\\fi}",
            "\\href{a}{b}",
            "\\href{a}{b}",
        ),
        (&levels, "\\a b", "\\a b"),
        (&levels, "{\\a} {\\k}", "{\\a} {\\k}"),
    ];
    for (definitions, tex, expected) in cases {
        let paper =
            format!("{definitions}\\documentclass{{a}}\\begin{{document}}\\section{{A}}{tex}");
        assert_eq!(one(&paper), format!("\\section{{A}}{expected}"), "{definitions} {tex}");
    }
    // Many calls that are not too large each: the paper is read without expansion.
    let wide = format!("\\def\\x{{{}}}\\section{{A}} {}", "a ".repeat(500), "\\x ".repeat(200));
    assert!(one(&wide).ends_with("\\x \\x \\x"));
    for endless in ["\\def\\x{\\x\\x}", "\\def\\x{\\y\\y}\\def\\y{\\x}"] {
        let error = text_of(&[("a.tex".to_owned(), format!("{endless}\\x").into())], 100_000);
        assert!(matches!(error, Err(Unusable::Endless { name }) if name == "x"), "{endless}");
    }
}

#[test]
fn a_macro_without_an_end_stays_as_it_is_whatever_the_limit() {
    for (definitions, tex, expected) in [
        ("\\def\\x{a\\x}", "\\x{q} b", "\\x{q} b"),
        ("\\def\\x{a \\x }", "\\x b", "\\x b"),
        ("\\def\\x{\\x}", "\\x b", "\\x b"),
        ("\\newcommand{\\x}{b \\y}\\newcommand{\\y}{c \\x}", "\\x \\y d", "\\x c \\x d"),
        ("\\def\\x{a\\y}\\def\\y{\\z}\\def\\z{\\x}", "\\x b", "\\x b"),
        ("\\newcommand{\\x}[1][o]{#1\\x}", "\\x b", "\\x b"),
        ("\\newcommand{\\x}[1]{#1\\x{#1}}", "\\x{a} b", "\\x{a} b"),
        ("\\def\\x{a\\y}\\def\\y#1{<#1>}", "\\x{q} \\x{r}", "a<q> a<r>"),
    ] {
        let paper = format!(
            "{definitions}\\documentclass{{a}}\\begin{{document}}\\section{{A}}{tex}\\end{{document}}"
        );
        let found = text_of(&[("a.tex".to_owned(), paper.into())], 64 << 20).unwrap();
        assert_eq!(found.text.trim_end(), format!("\\section{{A}}{expected}"), "{definitions}");
    }
}

#[test]
fn files_are_inserted_where_they_are_input() {
    const MAIN: &str = "\\documentclass[x]{y}\\begin{document}\\section{A} ";
    let main = |tex: &str| format!("{MAIN}{tex}\\end{{document}}");
    type Case<'f> = (String, &'f [(&'f str, &'f str)], &'f str);
    let cases: Vec<Case<'_>> = vec![
        (
            main("\\input{sec/a}\n\\include{b.tex} \\input c"),
            &[("b.tex", "B"), ("sec/a.tex", "a")],
            "a\nB",
        ),
        (main("\\input{a}\\input{b}"), &[("a.tex", "a"), ("b.tex", "b")], "a\nb"),
        (main("\\input{a}, \\input{a}"), &[("a.tex", "a")], "a, a"),
        (main("\\input a b"), &[("a.tex", "a")], "a b"),
        (main("\\input{\"a b\"} \\input \"a b\" c"), &[("a b.tex", "a")], "a a c"),
        (main("\\input{A.TEX} \\input{c.txt}"), &[("a.tex", "a"), ("c.txt", "c")], "a c"),
        (main("\\import{s/}{a}"), &[("s/a.tex", "a \\input{b}"), ("s/b.tex", "b")], "a b"),
        (
            main("\\subimport*{s}{a}"),
            &[("s/a.tex", "a \\subimport{t}{b}"), ("s/t/b.tex", "b")],
            "a b",
        ),
        (main("\\includefrom{s/}{a}"), &[("s/a.tex", "a")], "a"),
        (main("\\InputIfFileExists{a}{x}{y} b"), &[("a.tex", "a")], "a b"),
        (main("\\newcommand{\\s}[1]{\\input{#1.tex}}\\s{a}"), &[("a.tex", "a")], "a"),
        (main("\\def\\s{sec}\\input{\\s/a}"), &[("sec/a.tex", "a")], "a"),
        (main("\\input{wrong/a}"), &[("sec/a.tex", "a")], "a"),
        (
            main("\\subfile{s/a}\\subfile{s/b} c"),
            &[
                (
                    "s/a.tex",
                    "\\documentclass[../main]{subfiles}\\begin{document}a \\input{x}\\end{document}",
                ),
                (
                    "s/b.tex",
                    "\\documentclass[../main]{subfiles}% \\begin{document}\n\\begin{document}b\\end{document} z",
                ),
                ("s/x.tex", "x"),
            ],
            "a x\nb c",
        ),
        // The end of a file ends a line, and not a paragraph.
        (main("x \\input{a}\ny"), &[("a.tex", "a\n")], "x a\ny"),
        (main("x \\input{a}\n\ny"), &[("a.tex", "a\n")], "x a\n\ny"),
        // A file ends where it says, and cycles are cut.
        (main("\\input{a} c"), &[("a.tex", "a \\endinput b")], "a  c"),
        (
            main("\\input{a} c"),
            &[("a.tex", "a \\input{b}"), ("b.tex", "b\\input{a}\\input{main}")],
            "a b c",
        ),
        (
            main("\\input{a.pdf_tex} \\input{x.pgf} b"),
            &[("a.pdf_tex", "draw")],
            "\\input{a.pdf_tex} \\input{x.pgf} b",
        ),
        (main("b") + " after the end", &[], "b"),
    ];
    for (main, others, expected) in cases {
        let files: Vec<(&str, &str)> =
            others.iter().copied().chain([("main.tex", main.as_str())]).collect();
        assert_eq!(text(&files), format!("\\section{{A}} {expected}"), "{main} {others:?}");
    }
}

#[test]
fn files_that_are_not_there_are_counted_once_each() {
    let paper = "\\input epsf \\input{my.sty}\\documentclass{a}\\begin{document}\\section{A}\n\
                 \\input{a}\\input{a}\\include{b/c} \\InputIfFileExists{d}{}{} %\\input{e}\n\
                 \\input{here}\\end{document}";
    let found = read_all(&[("m.tex", paper), ("here.tex", "h \\input{f.tex}")]).unwrap();
    assert_eq!((found.missing, found.ends), (3, true));
}

#[test]
fn of_several_roots_the_paper_is_read() {
    const DOC: &str = "\\documentclass{article}\\begin{document}\\section{A} ";
    let with = |tex: &str| format!("{DOC}{tex}\\end{{document}}");
    let long = "the paper ".repeat(50);
    let (paper, other) = (with(&long), with("another text"));
    let expected = format!("\\section{{A}} {}", long.trim());
    let figure = "\\documentclass{standalone}\\begin{document}\\draw x;\\end{document}";
    let cases: Vec<Vec<(&str, &str)>> = vec![
        vec![("a.tex", &other), ("z.tex", &paper)],
        vec![("z.tex", &paper), ("a.tex", &other)],
        vec![("fig.tex", figure), ("main.tex", &paper)],
        vec![("00README.XXX", "z.tex toplevelfile\n"), ("a.tex", &other), ("z.tex", &paper)],
        // The class is in a file that the root inputs.
        vec![("c.tex", "\\documentclass{a}"), ("z.tex", "\\input{c}\\input{b}"), ("b.tex", &paper)],
    ];
    for files in cases {
        assert_eq!(text(&files), expected, "{:?}", files.iter().map(|it| it.0).collect::<Vec<_>>());
    }
    // A supplement that is longer than a short paper is still none; a template can be the paper.
    let longer = with(&long.repeat(4));
    assert_eq!(text(&[("paper-supp.tex", &longer), ("z.tex", &paper)]), expected);
    assert_eq!(text(&[("supp.tex", &paper), ("z.tex", &with("x"))]), expected);
    assert_eq!(text(&[("example_paper.tex", &paper)]), expected);
    // Without a document, all files are the paper; a link to one of them is not.
    assert_eq!(text(&[("a.tex", "x"), ("b.tex", "y"), ("c.tex", "x")]), "x\ny");
}

/// Openings of what the reader of papers searches the end of.
#[rustfmt::skip]
const OPENINGS: [&str; 58] = [
    "{", "[", "\\begin{", "\\begin{a}", "\\begin{verbatim}", "\\begin{comment}", "\\end{",
    "\\end", "\\url", "\\url{", "\\url ", "\\path|", "\\verb", "\\verb|a|", "\\verb[",
    "\\lstinline{", "\\mintinline{", "\\input{", "\\input a ", "\\InputIfFileExists{a}{",
    "\\import{a}{", "\\newcommand{\\a}{", "\\newcommand{\\a}[", "\\def\\a{} ", "\\def\\a{",
    "\\def\\a", "\\let\\a\\b ", "\\o[", "\\m{", "\\m", "\\n ", "\\iffalse ", "\\iftrue ",
    "\\else ", "\\fi ", "\\newif\\ifa ", "% \\begin{document}", "%\\input{a}", "%", "a%\n",
    "\\date[", "\\date{", "\\keywords[a]", "\\section{", "\\section*[", "\\begin{abstract}",
    "\\abstract[", "\\abstract{", "\\appendix ", "\\bibliography{", "\\begin{thebibliography}",
    "\\documentclass[", "\\usepackage[", "\\begingroup ", "\\xspace ", "\\begin{CJK}[",
    "\\newenvironment{a}{", "\\endinput ",
];

#[test]
fn hostile_papers_take_time_in_proportion_to_their_length() {
    let head = "\\newcommand{\\o}[1][d]{v}\\newcommand{\\m}[1]{(#1)}\\def\\n{\\m{x}}";
    for sign in OPENINGS {
        // What has its end is read at once, so that small papers of it are enough.
        for (close, bytes) in [("", 1 << 19), ("}", 1 << 15), ("]", 1 << 15)] {
            let count = bytes / (sign.len() + close.len());
            let (open, closed) = (sign.repeat(count), close.repeat(count));
            let paper = format!("{head}\\begin{{document}}{open}{closed}\\section{{A}} b");
            let files = [("a.tex".to_owned(), paper.into_bytes())];
            expect_linear(&format!("{sign:?} and {close:?}"), || {
                let _ = text_of(&files, 1 << 24);
                let _ = published::text_of(&files, 1 << 24);
            });
        }
    }
}

#[test]
fn many_files_and_many_macros_take_time_in_proportion_to_their_size() {
    let many = |text: &dyn Fn(usize) -> String| -> Vec<(String, Vec<u8>)> {
        (0..5000).map(|n| (format!("f{n}.tex"), text(n).into_bytes())).collect()
    };
    let chain = many(&|n| format!("\\input{{f{}}}", n + 1));
    let star = many(&|_| "\\begin{document}\\input{f0}".to_owned());
    let alone = many(&|n| format!("\\begin{{document}} {n}"));
    let macros: String =
        (0..20_000).map(|n| format!("\\newcommand{{\\a{n}}}{{b}}\n\\a{n} ")).collect();
    let macros = vec![("a.tex".to_owned(), format!("\\section{{A}}{macros}").into_bytes())];
    for (kind, files) in [("chain", chain), ("star", star), ("alone", alone), ("macros", macros)] {
        expect_linear(kind, || {
            let _ = text_of(&files, 1 << 24);
        });
        if kind != "macros" {
            expect_linear(kind, || {
                let _ = published::text_of(&files, 1 << 24);
            });
        }
    }
}
