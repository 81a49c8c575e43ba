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

/// Returns a 7z archive with a `Posts.xml` that is packed with bzip2, in blocks of 100 kB.
pub(super) fn archive(content: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        sum.sum().to_le_bytes()
    };
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
        &sum(content),
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
        &sum(&directory),
    ]
    .concat();
    [b"7z\xbc\xaf\x27\x1c\0\x04", &sum(&start)[..], &start, &packed, &directory].concat()
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
