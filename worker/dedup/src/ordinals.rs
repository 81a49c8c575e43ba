//! Sets of ordinals within a unit: in memory a bitmap by pages, in files the shorter of bitmap and
//! deltas for each page. It knows neither files nor units. Invariant: decoding never panics, and
//! allocates at most one page of 8 KiB for each encoded page and 32,768 pages in all.

/// The largest ordinal, which leaves one of 32 bits free for a mark.
pub const MAX_ORDINAL: u32 = (1 << 31) - 1;

const PAGE_BITS: usize = 1 << 16;
const PAGE_WORDS: usize = PAGE_BITS / 64;
const BITMAP_BYTES: usize = PAGE_BITS / 8;
/// Size of page number, form, and number of ordinals less one.
const PAGE_HEADER_BYTES: usize = 5;
const FORM_DELTAS: u8 = 0;
const FORM_BITMAP: u8 = 1;

/// A set of ordinals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrdinalSet {
    pages: Vec<Option<Box<[u64; PAGE_WORDS]>>>,
    count: u64,
}

impl OrdinalSet {
    /// Adds an ordinal.
    ///
    /// # Panics
    /// Panics if it exceeds [`MAX_ORDINAL`].
    pub fn insert(&mut self, ordinal: u32) {
        assert!(ordinal <= MAX_ORDINAL, "ordinal `{ordinal}` is beyond the limit");
        let page = self.page_mut(ordinal as usize / PAGE_BITS);
        let bit = ordinal as usize % PAGE_BITS;
        let word = &mut page[bit / 64];
        let mask = 1u64 << (bit % 64);
        let is_new = *word & mask == 0;
        *word |= mask;
        self.count += u64::from(is_new);
    }

    /// Returns whether the ordinal is in the set.
    pub fn contains(&self, ordinal: u32) -> bool {
        let bit = ordinal as usize % PAGE_BITS;
        match self.pages.get(ordinal as usize / PAGE_BITS) {
            Some(Some(page)) => page[bit / 64] >> (bit % 64) & 1 == 1,
            Some(None) | None => false,
        }
    }

    /// Returns the number of ordinals in the set.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the ordinals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.pages.iter().enumerate().flat_map(|(number, page)| {
            page.iter().flat_map(move |page| {
                bits_of(page.as_slice()).map(move |bit| (number * PAGE_BITS + bit) as u32)
            })
        })
    }

    /// Returns the ordinals, ascending, in pages as [`encode_page`] takes them; no page is empty.
    pub(super) fn pages(&self) -> impl Iterator<Item = Vec<u32>> + '_ {
        self.pages.iter().enumerate().filter_map(|(number, page)| {
            let bits = bits_of(page.as_ref()?.as_slice());
            let page: Vec<u32> = bits.map(|bit| (number * PAGE_BITS + bit) as u32).collect();
            (!page.is_empty()).then_some(page)
        })
    }

    /// Adds the ordinals that [`encode_page`] wrote, one page after the other.
    pub(super) fn add_encoded(&mut self, mut bytes: &[u8]) -> Result<(), BadOrdinals> {
        while !bytes.is_empty() {
            bytes = self.add_page(bytes)?;
        }
        Ok(())
    }

    fn add_page<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadOrdinals> {
        let (header, rest) = bytes.split_first_chunk::<PAGE_HEADER_BYTES>().ok_or(BadOrdinals)?;
        let [low, high, form, count_low, count_high] = *header;
        let number = usize::from(u16::from_le_bytes([low, high]));
        let count = usize::from(u16::from_le_bytes([count_low, count_high])) + 1;
        if number > MAX_ORDINAL as usize / PAGE_BITS {
            return Err(BadOrdinals);
        }
        let mut incoming = [0u64; PAGE_WORDS];
        let rest = match form {
            FORM_DELTAS => decode_deltas(rest, count, &mut incoming)?,
            FORM_BITMAP => {
                let (bitmap, rest) = rest.split_at_checked(BITMAP_BYTES).ok_or(BadOrdinals)?;
                for (word, bytes) in incoming.iter_mut().zip(bitmap.as_chunks::<8>().0) {
                    *word = u64::from_le_bytes(*bytes);
                }
                rest
            }
            _ => return Err(BadOrdinals),
        };
        if ones(&incoming) != count as u64 {
            return Err(BadOrdinals);
        }
        let page = self.page_mut(number);
        let before = ones(page);
        for (word, new) in page.iter_mut().zip(incoming) {
            *word |= new;
        }
        let added = ones(page) - before;
        self.count += added;
        Ok(rest)
    }

    fn page_mut(&mut self, number: usize) -> &mut [u64; PAGE_WORDS] {
        if self.pages.len() <= number {
            self.pages.resize(number + 1, None);
        }
        self.pages[number].get_or_insert_with(|| Box::new([0; PAGE_WORDS]))
    }
}

impl Extend<u32> for OrdinalSet {
    fn extend<T: IntoIterator<Item = u32>>(&mut self, ordinals: T) {
        for ordinal in ordinals {
            self.insert(ordinal);
        }
    }
}

/// The error for bytes that no encoder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadOrdinals;

/// Encodes the first page of ascending, distinct ordinals and returns how many it has. Equal
/// ordinals always give equal bytes.
pub(super) fn encode_page(ordinals: &[u32], bytes: &mut Vec<u8>) -> usize {
    let Some(first) = ordinals.first() else { return 0 };
    let number = *first as usize / PAGE_BITS;
    let count = ordinals.partition_point(|o| *o as usize / PAGE_BITS <= number);
    let begin = bytes.len();
    bytes.extend_from_slice(&(number as u16).to_le_bytes());
    bytes.push(FORM_DELTAS);
    bytes.extend_from_slice(&((count - 1) as u16).to_le_bytes());
    let mut next = number * PAGE_BITS;
    for ordinal in &ordinals[..count] {
        put_varint(*ordinal as usize - next, bytes);
        next = *ordinal as usize + 1;
        if bytes.len() - begin > PAGE_HEADER_BYTES + BITMAP_BYTES {
            break;
        }
    }
    if bytes.len() - begin > PAGE_HEADER_BYTES + BITMAP_BYTES {
        bytes.truncate(begin + PAGE_HEADER_BYTES);
        bytes[begin + 2] = FORM_BITMAP;
        let bitmap = bytes.len();
        bytes.resize(bitmap + BITMAP_BYTES, 0);
        for ordinal in &ordinals[..count] {
            let bit = *ordinal as usize % PAGE_BITS;
            bytes[bitmap + bit / 8] |= 1 << (bit % 8);
        }
    }
    count
}

/// Size of the largest encoding of one page.
pub(super) const MAX_PAGE_BYTES: usize = PAGE_HEADER_BYTES + BITMAP_BYTES;

fn decode_deltas<'a>(
    mut bytes: &'a [u8],
    count: usize,
    page: &mut [u64; PAGE_WORDS],
) -> Result<&'a [u8], BadOrdinals> {
    let mut next = 0;
    for _ in 0..count {
        let (delta, rest) = take_varint(bytes)?;
        let bit = next + delta;
        if bit >= PAGE_BITS {
            return Err(BadOrdinals);
        }
        page[bit / 64] |= 1 << (bit % 64);
        next = bit + 1;
        bytes = rest;
    }
    Ok(bytes)
}

/// Writes seven bits per byte, the low ones first.
fn put_varint(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads at most three bytes, because a delta is smaller than a page.
fn take_varint(bytes: &[u8]) -> Result<(usize, &[u8]), BadOrdinals> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(3).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err(BadOrdinals)
}

fn ones(words: &[u64; PAGE_WORDS]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

fn bits_of(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(index, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(index * 64 + bit)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(ordinals: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = ordinals;
        while !rest.is_empty() {
            rest = &rest[encode_page(rest, &mut bytes)..];
        }
        bytes
    }

    proptest! {
        #[test]
        fn sets_survive_their_encoding(
            sparse in prop::collection::btree_set(0..=MAX_ORDINAL, 0..50),
            dense_from in 0u32..300_000, step in 1usize..12, dense in 0u32..100_000,
        ) {
            let mut all = sparse;
            all.extend((dense_from..dense_from + dense).step_by(step));
            let ordinals: Vec<u32> = all.into_iter().collect();
            let bytes = encode(&ordinals);
            let mut set = OrdinalSet::default();
            prop_assert_eq!(set.add_encoded(&bytes), Ok(()));
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), &ordinals[..]);
            prop_assert_eq!(set.count(), ordinals.len() as u64);
            prop_assert_eq!(set.add_encoded(&bytes), Ok(()));
            prop_assert_eq!(set.count(), ordinals.len() as u64, "adding twice adds nothing");
        }

        #[test]
        fn hostile_encodings_are_refused_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut set = OrdinalSet::default();
            let accepted = set.add_encoded(&bytes).is_ok();
            prop_assert_eq!(set.count(), set.iter().count() as u64, "accepted: {}", accepted);
        }
    }

    #[test]
    fn dense_pages_are_bitmaps_and_never_longer_than_the_limit() {
        let every: Vec<u32> = (0..PAGE_BITS as u32).collect();
        assert_eq!(encode(&every).len(), MAX_PAGE_BYTES);
        let one_in_nine: Vec<u32> = every.iter().copied().step_by(9).collect();
        assert!(encode(&one_in_nine).len() < MAX_PAGE_BYTES);
    }
}
