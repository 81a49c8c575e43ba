//! The header of a binary model: its type, and its number of n-grams of each length.

use std::io::Read;

use super::bits::Section;
use super::source::{LoadError, Source};
use super::vocabulary::{Buckets, Vocabulary};
use super::{MAX_ORDER, Tables, probing, trie};

const MAGIC: &[u8] = b"mmap lm http://kheafield.com/code format version ";
const UNFINISHED: &[u8] = b"mmap lm http://kheafield.com/code incomplete\n";
const VERSION: &[u8] = b"5\n\0";
/// Order, multiplier, type, whether words follow, and version of the tables, with padding.
const PARAMETER_BYTES: usize = 20;
const VOCABULARY_ENTRY_BYTES: usize = 12;

pub(super) fn is_binary(start: &[u8]) -> bool {
    start.starts_with(b"mmap lm ")
}

/// Reads the whole file, of which `start` was read already.
pub(super) fn read<R: Read>(
    source: &mut Source<R>,
    start: &[u8],
) -> Result<(usize, Vocabulary, Tables), LoadError> {
    check_sanity(source, start)?;
    let header = source.section(PARAMETER_BYTES as u128, "the header")?;
    let order = (header.u32_at(0) & 0xFF) as usize;
    let (multiplier, kind) = (header.f32_at(4), header.u32_at(8));
    let (has_words, version) = (header.u32_at(12) & 0xFF != 0, header.u32_at(16));
    if !(2..=MAX_ORDER).contains(&order) {
        return Err(source.malformed(format!("its order is `{order}`, not 2 to {MAX_ORDER}")));
    }
    if multiplier.is_nan() || multiplier < 1.0 {
        return Err(source.malformed(format!("its probing multiplier is `{multiplier}`")));
    }
    let counts = source.section(order as u128 * 8, "the counts")?;
    let counts: Vec<u64> = (0..order).map(|index| counts.u64_at(index * 8)).collect();
    let past = start.len() + PARAMETER_BYTES + order * 8;
    source.section((past.next_multiple_of(8) - past) as u128, "the header")?;
    let expected = u32::from(kind != 0);
    let kind = kind_of(source, kind)?;
    if version != expected {
        return Err(source.malformed(format!("its tables have version `{version}`")));
    }
    let (vocabulary, tables) = match kind {
        Kind::Probing => {
            let vocabulary = read_hashed_vocabulary(source, counts[0], multiplier)?;
            let tables = probing::Probing::read(source, &counts, multiplier)?;
            (vocabulary, Tables::Probing(tables))
        }
        Kind::Trie(shape) => {
            let vocabulary = read_sorted_vocabulary(source, counts[0])?;
            (vocabulary, Tables::Trie(trie::Trie::read(source, &counts, shape)?))
        }
    };
    if has_words {
        let unknown = source.section(6, "the words")?.into_bytes();
        if unknown != b"<unk>\0" {
            return Err(source.malformed("the words are not where the header says"));
        }
    }
    Ok((order, vocabulary, tables))
}

enum Kind {
    Probing,
    Trie(trie::Shape),
}

fn kind_of<R: Read>(source: &Source<R>, kind: u32) -> Result<Kind, LoadError> {
    let trie = |quantised, arrays| Ok(Kind::Trie(trie::Shape { quantised, arrays }));
    match kind {
        0 => Ok(Kind::Probing),
        2 => trie(false, false),
        3 => trie(true, false),
        4 => trie(false, true),
        5 => trie(true, true),
        1 => Err(LoadError::Kind {
            name: source.name().to_owned(),
            kind: "probing with rest costs".into(),
        }),
        _ => Err(LoadError::Kind { name: source.name().to_owned(), kind: kind.to_string() }),
    }
}

/// Checks the magic text, and numbers that show how the writing machine stores numbers.
fn check_sanity<R: Read>(source: &Source<R>, start: &[u8]) -> Result<(), LoadError> {
    if start.starts_with(UNFINISHED) {
        return Err(LoadError::Unfinished { name: source.name().to_owned() });
    }
    let Some(rest) = start.strip_prefix(MAGIC) else {
        let start = start[..start.len().min(24)].escape_ascii().to_string();
        return Err(LoadError::NotAModel { name: source.name().to_owned(), start });
    };
    if !rest.starts_with(VERSION) {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let version = rest[..digits].escape_ascii().to_string();
        return Err(LoadError::Version { name: source.name().to_owned(), version });
    }
    let mut expected = Vec::new();
    for number in [0.0_f32, 1.0, -0.5] {
        expected.extend(number.to_le_bytes());
    }
    for number in [1, u32::MAX, 0, 1, 0] {
        expected.extend(number.to_le_bytes());
    }
    if start.get(56..) != Some(&expected) {
        return Err(LoadError::OtherMachine { name: source.name().to_owned() });
    }
    Ok(())
}

fn read_hashed_vocabulary<R: Read>(
    source: &mut Source<R>,
    words: u64,
    multiplier: f32,
) -> Result<Vocabulary, LoadError> {
    let header = source.section(8, "the vocabulary's header")?;
    if header.u32_at(0) != 0 {
        let version = header.u32_at(0);
        return Err(source.malformed(format!("its vocabulary has version `{version}`")));
    }
    let count = Buckets::count_for(words, multiplier);
    let bytes = u128::from(count) * VOCABULARY_ENTRY_BYTES as u128;
    let section = source.section(bytes, "the vocabulary")?;
    Ok(Vocabulary::Probing(Buckets::new(section, count, VOCABULARY_ENTRY_BYTES)))
}

fn read_sorted_vocabulary<R: Read>(
    source: &mut Source<R>,
    words: u64,
) -> Result<Vocabulary, LoadError> {
    let stored = source.section(8, "the vocabulary's size")?.u64_at(0);
    let hashes = source.section(u128::from(words) * 8, "the vocabulary")?;
    if stored > words {
        return Err(source.malformed(format!("`{stored}` words in a vocabulary of {words}")));
    }
    let count = stored as usize;
    if !is_ascending(&hashes, count) {
        return Err(source.malformed("the vocabulary is not in ascending order"));
    }
    Ok(Vocabulary::Sorted { hashes, count })
}

fn is_ascending(hashes: &Section, count: usize) -> bool {
    (1..count).all(|index| hashes.u64_at(index * 8 - 8) < hashes.u64_at(index * 8))
}
