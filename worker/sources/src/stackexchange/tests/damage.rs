//! Damaged inputs: the posts before the damage, and in what can still be unpacked behind it, are
//! published, and the damage is quarantined.

use std::io::Write;

use super::*;

const SITE: &[u8] = include_bytes!("../../../../testdata/stackexchange/Posts.xml");

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut writer = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(content, 3).unwrap()
}

/// Returns the checksum of bytes in a 7z archive.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum().to_le_bytes()
}

/// Returns a 7z archive with a `Posts.xml` that is packed with bzip2, in blocks of 100 kB.
pub(super) fn archive(content: &[u8]) -> Vec<u8> {
    // A number in nine bytes.
    let number = |value: usize| [&[0xff][..], &(value as u64).to_le_bytes()].concat();
    let packed = bzip2(content);
    let name: Vec<u8> = "Posts.xml\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let directory = [
        // The packed stream.
        &[1, 4, 6, 0, 1, 9][..],
        &number(packed.len()),
        &[0],
        // One folder with the coder bzip2, its size and its checksum.
        &[7, 0x0b, 1, 0, 1, 3, 4, 2, 2, 0x0c],
        &number(content.len()),
        &[0x0a, 1],
        &crc(content),
        &[0, 8, 0, 0],
        // One file and its name.
        &[5, 1, 0x11],
        &number(name.len() + 1),
        &[0],
        &name,
        &[0, 0],
    ]
    .concat();
    let start = [
        &(packed.len() as u64).to_le_bytes()[..],
        &(directory.len() as u64).to_le_bytes(),
        &crc(&directory),
    ]
    .concat();
    [b"7z\xbc\xaf\x27\x1c\0\x04", &crc(&start)[..], &start, &packed, &directory].concat()
}

fn threads(outcomes: &[(String, String)]) -> usize {
    outcomes.iter().filter(|(_, text)| text.starts_with("Q: ")).count()
}

fn reasons(outcomes: &[(String, String)]) -> Vec<&str> {
    let reasons = outcomes.iter().filter(|(id, _)| id.is_empty());
    reasons.map(|(_, reason)| reason.as_str()).collect()
}

/// Returns a site of 4 MB in which each question has a text of its own.
fn large_site() -> Vec<u8> {
    let mut site = b"<posts>\n".to_vec();
    let mut random = 1_u64;
    for id in 1..=4000 {
        let words = (0..90).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:x} ", random >> 32)
        });
        let body: String = words.collect();
        let row = format!("<row Id=\"{id}\" PostTypeId=\"1\" Title=\"t\" Body=\"{body}\" />\n");
        site.extend(row.bytes());
    }
    site.extend(b"</posts>\n");
    site
}

#[test]
fn threads_before_damage_in_an_archive_are_published() {
    let site = large_site();
    let whole = read("a.com.7z", &archive(&site), &job("thresher"));
    assert_eq!(whole.len(), 4000);
    let mut bad = archive(&site);
    let at = bad.len() * 9 / 10;
    bad[at] ^= 0x55;
    let outcomes = read("a.com.7z", &bad, &job("thresher"));
    let (damage, threads) = outcomes.split_last().unwrap();
    assert_eq!(damage.1, "archive_damaged");
    assert!(threads.len() > 2000 && whole.starts_with(threads), "{}", threads.len());
}

#[test]
fn threads_around_damage_in_a_packed_file_are_published() {
    // Three members, cut in the middle of rows.
    let parts: Vec<&[u8]> = SITE.chunks(SITE.len() / 3 + 1).collect();
    for (ending, pack) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("bz2", bzip2), ("zst", zstd)] {
        let path = format!("a.com/Posts.xml.{ending}");
        let members: Vec<Vec<u8>> = parts.iter().map(|part| pack(part)).collect();
        let whole = read(&path, &members.concat(), &job("thresher"));
        assert_eq!(reasons(&whole), Vec::<&str>::new(), "{ending}");
        let without_middle = [parts[0], b"\n", parts[2]].concat();
        let least = threads(&read("a.com/Posts.xml", &without_middle, &job("thresher")));

        let mut bad = members.concat();
        // The head of the second member.
        bad[members[0].len() + 3] ^= 0x55;
        let outcomes = read(&path, &bad, &job("thresher"));
        let reasons = reasons(&outcomes);
        assert!(reasons.iter().any(|it| it.contains('_') && *it != "row_malformed"), "{reasons:?}");
        assert!(reasons.len() <= 2, "{ending}: {reasons:?}");
        assert!(threads(&outcomes) >= least && least > 20, "{ending}: {least}");

        // Garbage behind the last member costs nothing.
        let outcomes = read(&path, &[&members.concat()[..], b"garbage"].concat(), &job("thresher"));
        assert_eq!(threads(&outcomes), threads(&whole), "{ending}");
    }
}

#[test]
fn a_file_that_ends_after_a_row_is_reported_once() {
    let row = "<row Id=\"2\" PostTypeId=\"1\" Score=\"1\" Title=\"T\" Body=\"B\" />\n";
    let cut = format!("<?xml version=\"1.0\"?>\n<posts>\n{row}");
    type Pack = fn(&[u8]) -> Vec<u8>;
    let packings: [(&str, Pack); 5] = [
        ("a.com/Posts.xml", |text| text.to_vec()),
        ("a.com/Posts.xml.gz", gzip),
        ("a.com/Posts.xml.bz2", bzip2),
        ("a.com/Posts.xml.zst", zstd),
        ("a.com.7z", archive),
    ];
    for (path, pack) in packings {
        let of = |text: &str| {
            let outcomes = read(path, &pack(text.as_bytes()), &job("thresher"));
            assert_eq!(threads(&outcomes), usize::from(text.contains(row)), "{path}: {text}");
            reasons(&outcomes).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of(&cut), [REASON_TRUNCATED], "{path}");
        assert_eq!(of(&cut[..cut.len() - row.len()]), [REASON_TRUNCATED], "{path}");
        for after in ["", "\n", "\n\0\0\0", "<!-- end -->"] {
            assert_eq!(of(&format!("{cut}</posts>{after}")), [""; 0], "{path}: {after:?}");
        }
        // An excerpt has no root.
        assert_eq!(of(row), [""; 0], "{path}");
    }
    for (path, pack) in &packings[1..] {
        let text = format!("{cut}</posts>");
        let packed = pack(text.as_bytes());
        let outcomes = read(path, &packed[..packed.len() - 3], &job("thresher"));
        assert_eq!(reasons(&outcomes).len(), 1, "{path}: {outcomes:?}");
    }
}

#[test]
fn the_last_piece_of_a_file_reports_that_it_is_cut() {
    let site = std::str::from_utf8(SITE).unwrap().trim_end();
    let cut = site.strip_suffix("</posts>").unwrap();
    let padding = "\0".repeat(3000);
    for (text, count) in [
        (cut.to_owned(), 1),
        (format!("{site}{padding}"), 0),
        (format!("{cut}<row Id=\"9"), 1),
        (cut.replace("<posts>", ""), 0),
    ] {
        let job = job("thresher");
        let found = |outcomes: Vec<(String, String)>| {
            let found = outcomes.iter().filter(|(_, reason)| reason == REASON_TRUNCATED).count();
            (found, threads(&outcomes))
        };
        let whole = found(read("a.com/Posts.xml", text.as_bytes(), &job));
        assert_eq!(whole.0, count);
        for size in [900, 5000, 40_000] {
            let pieces = read_in_pieces("a.com/Posts.xml", text.as_bytes(), size, &job);
            assert_eq!(found(pieces), whole, "{size}");
        }
    }
}

#[test]
fn the_rows_of_an_archive_with_a_wrong_checksum_are_not_used_whatever_their_number() {
    for site in [b"<posts><row Id=\"2\" Title=\"T\" Body=\"B\" /></posts>".to_vec(), large_site()] {
        let mut bad = archive(&site);
        let sum = crc(&site);
        let at = bad.windows(4).rposition(|four| four == sum).unwrap();
        bad[at] ^= 1;
        // The directory has a checksum of its own, and so has the start of the archive.
        let directory = bad.len() - u64::from_le_bytes(bad[20..28].try_into().unwrap()) as usize;
        let sum = crc(&bad[directory..]);
        bad[28..32].copy_from_slice(&sum);
        let sum = crc(&bad[12..32]);
        bad[8..12].copy_from_slice(&sum);
        let refusals = refusals(&bad);
        let [(reason, detail)] = &refusals[..] else { panic!("{refusals:?}") };
        assert_eq!(reason, "archive_damaged");
        assert!(detail.ends_with("any of its rows can be wrong, so none is used"), "{detail}");
    }
}
