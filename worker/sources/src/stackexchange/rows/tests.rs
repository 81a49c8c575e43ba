//! Tests the rows of files of every layout, whole, damaged, and in pieces.

use super::*;

fn outcome(row: Row) -> String {
    match row {
        Row::Post(post) => format!("{} {:?} {}", post.id, post.parent, post.body),
        Row::Bad { reason, .. } => reason.into_owned(),
    }
}

/// Returns the rows of a file, which must not depend on the size of the blocks.
fn all(file: &[u8], max: usize) -> Vec<(u64, String)> {
    let of_blocks = |size| {
        let mut rows = Rows::new(io::BufReader::with_capacity(size, file), max);
        let mut found = Vec::new();
        while let Some((at, length, row)) = rows.next().unwrap() {
            found.push((at, length, outcome(row)));
        }
        found
    };
    let found = of_blocks(8 << 10);
    for size in [1, 2, 3, 7, 40] {
        assert_eq!(of_blocks(size), found, "blocks of {size}");
    }
    found.into_iter().map(|(at, _, outcome)| (at, outcome)).collect()
}

fn outcomes(file: &str) -> Vec<String> {
    all(file.as_bytes(), 1000).into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn rows_are_read_with_their_offsets_and_entities() {
    let file = "\u{feff}<?xml version=\"1.0\"?>\n<posts>\n  <row Id=\"1\" Body=\"&lt;p&gt;a&#xA;\
                b\" />\n  <row Id=\"2\" ParentId=\"1\" Body=\"\" />\r\n</posts>";
    let expected = [(35, "1 None <p>a\nb".to_owned()), (76, "2 Some(1) ".to_owned())];
    assert_eq!(all(file.as_bytes(), 1000), expected);
}

#[test]
fn valid_xml_of_any_layout_gives_its_rows() {
    let (one, two) = ("<row Id=\"1\" Body=\"a\" />", "<row Id=\"2\" Body=\"b\" />");
    let expected = ["1 None a", "2 None b"];
    let head = "<?xml version=\"1.0\"?>";
    for file in [
        format!("{head}\n<posts>\n  {one}\n  {two}\n</posts>\n"),
        format!("{head}<posts>{one}{two}</posts>"),
        format!("{head}\r<posts>\r  {one}\r  {two}\r</posts>\r"),
        format!("<posts site=\"x\"> {one} {two}\n</posts>"),
        format!("{head}<!DOCTYPE posts><posts>{one}{two}</posts>"),
        format!("<!-- a > b -->{one}<!-- c --> <!-- <rows> -->{two}<?end?>"),
        format!("<posts>{}{two}</posts>", one.replace(" />", "></row>")),
        format!("<posts>{}{two}</posts>", one.replace(" />", "></row >")),
        format!("<posts>{one}{}</posts>", two.replace(' ', "\n\t")),
        format!("<posts>{one}{}</posts>", two.replace('=', " = ").replace('"', "'")),
        format!("{}\n{two}", one.replace(" Body", " Title=\"x > y /> it's\" Body")),
    ] {
        assert_eq!(outcomes(&file), expected, "{file}");
    }
    let breaks = "<row Id=\"1\" Body=\"a\nb\" /><row Id=\"2\" Body=\"c\r\n\r\nd\" />";
    assert_eq!(outcomes(breaks), ["1 None a\nb", "2 None c\r\n\r\nd"]);
    assert!(outcomes("<?xml version=\"1.0\"?><posts></posts>").is_empty());
    assert!(outcomes("<posts/>").is_empty());
}

#[test]
fn an_and_sign_that_starts_no_entity_costs_nothing() {
    for (body, read) in [
        ("a & b &amp; c", "a & b & c"),
        ("a&nbsp;b &bogus; &lt;", "a&nbsp;b &bogus; <"),
        ("&#xD83D;&#xDE00; &#55357;&#56832;", "\u{1f600} \u{1f600}"),
        ("&#xD83D;x", "\u{fffd}x"),
    ] {
        let file = format!("<row Id=\"1\" Body=\"{body}\" />");
        assert_eq!(outcomes(&file), [format!("1 None {read}")], "{body}");
    }
}

#[test]
fn a_row_in_a_comment_is_not_read() {
    let (one, two) = ("<row Id=\"1\" Body=\"a\" />", "<row Id=\"2\" Body=\"b\" />");
    let old = "<row Id=\"9\" Body=\"--\" />";
    let expected = ["1 None a", "2 None b"];
    for file in [
        format!("<posts><!-- {old} -->{one}{two}</posts>"),
        format!("<posts>{one}<!--{old}\n{old}-->\n{two}</posts>"),
        format!("<posts>{one}{two}<!-- {old} --></posts>"),
        format!("<posts>{one}<!-- <!-- {old} -->{two}</posts>"),
        format!("<posts>{one}<!----><!-- {old} -->{two}</posts>"),
    ] {
        assert_eq!(outcomes(&file), expected, "{file}");
    }
    // A comment without an end is text, and what is in an attribute is not a comment.
    let bad = "row_malformed";
    assert_eq!(outcomes(&format!("{one}<!-- {two}")), ["1 None a", bad, "2 None b"]);
    assert_eq!(
        outcomes(&format!("{}{two}", one.replace('a', "<!--"))),
        ["1 None <!--", "2 None b"]
    );
    let long = format!("{one}<!-- {} {two}-->", "x".repeat(COMMENT_BYTES as usize));
    assert_eq!(outcomes(&long), ["1 None a", bad, "2 None b", bad]);
}

#[test]
fn a_long_comment_before_among_and_after_rows_costs_no_row() {
    let (one, two) = ("<row Id=\"1\" Body=\"a\" />", "<row Id=\"2\" Body=\"b\" />");
    for length in [77_000, 500_000, COMMENT_BYTES as usize - 100] {
        let old = "<row Id=\"9\" Body=\"old\" />\n".repeat(length / 27);
        let comment = format!("<!--{old}-->");
        let file = format!("<posts>{comment}{one}\n{comment}{two}{comment}</posts>");
        let mut rows = Rows::new(io::BufReader::new(file.as_bytes()), 1000);
        let mut found = Vec::new();
        while let Some((_, _, row)) = rows.next().unwrap() {
            found.push(outcome(row));
        }
        assert_eq!(found, ["1 None a", "2 None b"], "{length}");
        // A piece that starts in a comment knows it.
        let at = file.find(one).unwrap() + one.len() + length / 2;
        let piece = Piece { offset: at as u64, length: (file.len() - at) as u64 };
        let from = at.saturating_sub(COMMENT_BYTES as usize);
        let around = &file.as_bytes()[from..at + LOOK_AHEAD_BYTES as usize];
        let mut rows = Rows::of_piece(&file.as_bytes()[at..], 1000, piece, around);
        let (_, _, row) = rows.next().unwrap().unwrap();
        assert_eq!(outcome(row), "2 None b", "{length}");
        assert!(rows.next().unwrap().is_none(), "{length}");
    }
}

#[test]
fn comments_without_an_end_take_time_in_proportion_to_their_length() {
    for part in ["<!-- <row />", "<!--", "<!-- <row Id=\"1\" />\n"] {
        let file = part.repeat((1 << 20) / part.len());
        crate::testing::expect_linear(part, || {
            let mut rows = Rows::new(io::BufReader::new(file.as_bytes()), 1000);
            while rows.next().unwrap().is_some() {}
        });
    }
}

#[test]
fn a_few_damaged_bytes_are_replaced_and_counted() {
    for (body, read, damaged) in [
        (&b"caf\xff"[..], "caf\u{fffd}", 1),
        (b"\xe4\xba\x8c\xe4\xba", "\u{4e8c}\u{fffd}", 1),
        (b"plain", "plain", 0),
    ] {
        let file = [b"<row Id=\"1\" Body=\"", body, b"\" />"].concat();
        let mut rows = Rows::new(&file[..], 1000);
        let (_, _, Row::Post(post)) = rows.next().unwrap().unwrap() else { panic!("{read}") };
        assert_eq!((post.body.as_str(), post.damaged), (read, damaged));
    }
}

#[test]
fn pieces_of_any_size_yield_each_row_once() {
    let files = [
        "<posts>\n<row Id=\"1\" />\n\n<row Id=\"2\" />\nbad\n<row Id=\"3\" />\n</posts>",
        "<posts><row Id=\"1\" /><row Id=\"2\" />bad<row Id=\"3\"></row><row Id=\"4</posts>",
        "no row at all",
        "<row\nId=\"1\"\n/><row Id=\"2\" Body=\"0123456789012345678901234567890123456789\" />\n",
        "<!-- <row Id=\"8\"/> --><row Id=\"1\"/><!--<row Id=\"9\"/>\n--> <row Id=\"2\"/>x<!----><row />",
    ];
    for file in files {
        let (file, max) = (file.as_bytes(), 40);
        let whole: Vec<u64> = all(file, max).into_iter().map(|(at, _)| at).collect();
        assert!(!whole.is_empty());
        for size in 1..file.len() {
            let mut found = Vec::new();
            for from in (0..file.len()).step_by(size) {
                let piece = Piece { offset: from as u64, length: size as u64 };
                let around = &file[..file.len().min(from + LOOK_AHEAD_BYTES as usize)];
                let mut rows = Rows::of_piece(&file[from..], max, piece, around);
                while let Some((at, ..)) = rows.next().unwrap() {
                    found.push(at);
                }
            }
            assert_eq!(found, whole, "pieces of {size}");
        }
    }
}

#[test]
fn a_malformed_row_loses_only_itself() {
    let file =
        b"<row Id=\"x\" />\n<row Body=\"\" />\n<row Id=\"1\" Body=\"\xff\xff\" />\n<row Id=\"1\n\
                 <row Id=\"2\" Body=\"x\" Body=\"\" />\n<row Id=\"3\" />x\n<row Id=\"4\" />\n\
                 <row Id=\"5\" Body=\"01234567890123456789\" />\nnothing\n<row Id=\"6\"/>";
    let found: Vec<String> = all(file, 36).into_iter().map(|(_, outcome)| outcome).collect();
    let bad = "row_malformed";
    let expected =
        [bad, bad, "invalid_utf8", bad, bad, "3 None ", bad, "4 None ", "row_too_large", "6 None "];
    assert_eq!(found, expected);
    assert_eq!(outcomes("<postscript><row Id=\"1\" />"), [bad, "1 None "]);
    assert_eq!(outcomes("</row><row Id=\"7 Title=\"x\" />\n<row Id=\"1\" />"), [bad, "1 None "]);
    assert_eq!(outcomes("nothing"), [bad]);
}

#[test]
fn memory_is_bounded_whatever_a_file_holds() {
    let padding = "x".repeat(1 << 20);
    for (file, expected) in [
        (format!("<row Id=\"1{padding}<row Id=\"2\" />"), 2),
        (format!("<row Id=\"1\" />{padding}<row Id=\"2\" />"), 3),
        (padding, 1),
    ] {
        let mut rows = Rows::new(io::BufReader::with_capacity(100, file.as_bytes()), 1000);
        let mut found = 0;
        while rows.next().unwrap().is_some() {
            found += 1;
            assert!(rows.held.capacity() < 4000, "{}", rows.held.capacity());
        }
        assert_eq!(found, expected);
    }
}
