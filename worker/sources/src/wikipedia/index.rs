//! Reads the index that is published beside a multistream dump and contains the offsets of its
//! streams.
//!
//! ```text
//! enwiki-20230320-pages-articles-multistream.xml.bz2         597:10:AccessibleComputing
//! enwiki-20230320-pages-articles-multistream-index.txt.bz2 → 597:12:Anarchism …
//! ```
//! If a dump has an index, its pieces start at streams. Without an index, or with one that is not
//! valid, the dump is split by bytes alone, and a reader searches the first stream in its piece.
//! The pages are the same.

use std::io::{BufRead, BufReader, Read};

use bzip2::read::MultiBzDecoder;

use super::streams;
use thresher_formats::piece::Piece;
use thresher_storage::{Known, Location, ReadOptions};

/// Length in bytes of the longest line of an index.
const MAX_LINE_BYTES: u64 = 4 << 10;
/// Number of bytes that show whether a stream starts.
const START_BYTES: u64 = 10;

/// Returns the path of a dump's index, or `None` if the dump is not a multistream dump.
pub(super) fn path_of(dump: &str) -> Option<String> {
    let at = dump.rfind("-multistream")? + "-multistream".len();
    let (name, rest) = dump.split_at(at);
    // Large wikis have several dumps, such as `multistream1.xml-p1p41242.bz2`.
    let (part, rest) = rest.split_once(".xml")?;
    let numbered = part.bytes().all(|byte| byte.is_ascii_digit());
    (numbered && rest.ends_with(".bz2")).then(|| format!("{name}-index{part}.txt{rest}"))
}

/// Returns whether an input is an index.
pub(super) fn is_index(path: &str) -> bool {
    path.ends_with(".bz2") && path.contains("-multistream-index") && path.contains(".txt")
}

/// Returns whether streams start where the first and the last piece do that the index gave: two
/// requests, however long the dump is. With an index of another dump, every piece would read some
/// of the next stream in vain.
pub(super) fn fits(dump: &Location, bytes: u64, pieces: &[Piece]) -> bool {
    let known = Known { bytes: Some(bytes), listed: true, ..Known::default() };
    let options = ReadOptions { known, ..ReadOptions::default() };
    let starts_stream = |piece: &Piece| {
        let end = piece.offset.saturating_add(START_BYTES).min(bytes);
        let reader = thresher_storage::open_range(dump, piece.offset..end, &options).ok()?;
        let mut start = Vec::new();
        reader.take(START_BYTES).read_to_end(&mut start).ok()?;
        Some(streams::starts_stream(&start))
    };
    let cuts = pieces.get(1).into_iter().chain(pieces.last());
    let mut cuts = cuts.filter(|piece| piece.offset > 0);
    // A dump that cannot be read now is reported when its units read it.
    let wrong = cuts.find(|piece| starts_stream(piece) == Some(false));
    if let Some(piece) = wrong {
        tracing::warn!(
            %dump,
            offset = piece.offset,
            "the index of the dump names an offset at which no stream starts, and is not used"
        );
    }
    wrong.is_none()
}

/// Returns pieces of about `target_bytes` of a dump with `bytes` bytes, or `None` if the index is
/// not valid.
pub(super) fn pieces(index: impl Read, bytes: u64, target_bytes: u64) -> Option<Vec<Piece>> {
    let mut lines = BufReader::new(MultiBzDecoder::new(index));
    let (mut line, mut last) = (Vec::new(), 0);
    // The first piece also contains the dump's head.
    let mut starts = vec![0_u64];
    loop {
        line.clear();
        if lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).ok()? == 0 {
            break;
        }
        let offset: u64 = str::from_utf8(&line).ok()?.split(':').next()?.parse().ok()?;
        if offset < last || offset >= bytes {
            return None;
        }
        last = offset;
        if offset - starts[starts.len() - 1] >= target_bytes.max(1) {
            starts.push(offset);
        }
    }
    if last == 0 {
        return None;
    }
    let ends = starts[1..].iter().copied().chain([bytes]);
    let piece = |(offset, end)| Piece { offset, length: end - offset };
    Some(starts.iter().copied().zip(ends).map(piece).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn an_index_is_named_after_its_dump() {
        let name = |dump| path_of(dump);
        let one = "x/dewiki-20230320-pages-articles-multistream.xml.bz2";
        let index = "x/dewiki-20230320-pages-articles-multistream-index.txt.bz2";
        assert_eq!(name(one).as_deref(), Some(index));
        let part = "enwiki-20230320-pages-articles-multistream1.xml-p1p41242.bz2";
        let index_of_part = "enwiki-20230320-pages-articles-multistream-index1.txt-p1p41242.bz2";
        assert_eq!(name(part).as_deref(), Some(index_of_part));
        assert_eq!(name("dewiki-20230320-pages-articles.xml.bz2"), None);
        assert!(is_index(index) && is_index(index_of_part) && !is_index(one) && !is_index(part));
    }

    #[test]
    fn pieces_start_at_streams() {
        let index = "100:1:A\n100:2:B:C\n150:3:D\n300:4:E\n420:5:F\n";
        // The index has two streams, as parallel bzip2 writes them.
        let index = [packed(&index[..20]), packed(&index[20..])].concat();
        let cut = |target| {
            let pieces = pieces(&index[..], 500, target).unwrap();
            pieces.iter().map(|piece| (piece.offset, piece.length)).collect::<Vec<_>>()
        };
        assert_eq!(cut(1), [(0, 100), (100, 50), (150, 150), (300, 120), (420, 80)]);
        assert_eq!(cut(120), [(0, 150), (150, 150), (300, 120), (420, 80)]);
        assert_eq!(cut(1000), [(0, 500)]);
    }

    #[test]
    fn an_index_of_another_dump_is_not_used() {
        let streams: Vec<Vec<u8>> = (0..4).map(|n| packed(&format!("stream {n}"))).collect();
        let dump = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(dump.path(), streams.concat()).unwrap();
        let (location, bytes) = (Location::from(dump.path()), streams.concat().len() as u64);
        let starts: Vec<u64> = (0..4).map(|n| streams[..n].concat().len() as u64).collect();
        let of = |offsets: [u64; 3]| {
            let lines: String = offsets.iter().map(|at| format!("{at}:1:A\n")).collect();
            let pieces = pieces(&packed(&lines)[..], bytes, 1).unwrap();
            fits(&location, bytes, &pieces)
        };
        assert!(of([starts[1], starts[2], starts[3]]));
        assert!(!of([starts[1] + 1, starts[2], starts[3]]));
        assert!(!of([starts[1], starts[2], starts[3] + 5]));
    }

    #[test]
    fn an_invalid_index_is_not_used() {
        let of = |text: &str| pieces(&packed(text)[..], 500, 10);
        assert!(of("100:1:A\n").is_some());
        for bad in ["", "x:1:A\n", "100:1:A\n50:2:B\n", "100:1:A\n500:2:B\n", "0:1:A\n"] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
        assert_eq!(pieces(&b"no bzip2"[..], 500, 10), None);
        let cut = packed("100:1:A\n");
        assert_eq!(pieces(&cut[..cut.len() - 5], 500, 10), None);
    }
}
