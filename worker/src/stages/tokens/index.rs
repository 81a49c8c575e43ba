//! The layout of an index, `.idx`, as Megatron-LM and GPT-NeoX read it.
//!
//! ```text
//!  0   9  "MMIDIDX\0\0"
//!  9   8  u64  version 1
//! 17   1  u8   type of a token: 8 for u16, 4 for i32
//! 18   8  u64  n: number of sequences, which are documents here
//! 26   8  u64  n + 1
//! 34  4n  i32  length of each sequence in tokens
//!     8n  i64  byte offset of each sequence in the .bin
//!  8(n+1) i64  number of the first sequence of each document, and n
//! ```
//! All numbers are little-endian. Source: `indexed_dataset.py` of Megatron-LM d98e8a64 and GPT-NeoX
//! ea7aefd, which write the same bytes.

use thresher_models::tokens::TokenWidth;

/// Length of the header.
pub(super) const HEADER_BYTES: u64 = 34;

/// Returns the header of an index of `documents` documents.
pub(in crate::stages) fn header(width: TokenWidth, documents: u64) -> Vec<u8> {
    let mut bytes = b"MMIDIDX\0\0".to_vec();
    bytes.extend_from_slice(&1_u64.to_le_bytes());
    bytes.push(match width {
        TokenWidth::Two => 8,
        TokenWidth::Four => 4,
    });
    bytes.extend_from_slice(&documents.to_le_bytes());
    bytes.extend_from_slice(&(documents + 1).to_le_bytes());
    bytes
}

/// The parts of an index that a shard writes, each with its offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stages) struct IndexParts(pub(in crate::stages) Vec<(u64, Vec<u8>)>);

impl IndexParts {
    /// Makes the parts of documents with these numbers of tokens, which come after
    /// `first_document` documents and `first_token` tokens of a pair of `pair_documents`.
    pub(in crate::stages) fn new(
        lengths: &[u32],
        (first_document, first_token, pair_documents): (u64, u64, u64),
        width: TokenWidth,
    ) -> Self {
        let n = pair_documents;
        let mut parts = Vec::new();
        if first_document == 0 {
            parts.push((0, header(width, n)));
        }
        let (mut sizes, mut offsets, mut documents) = (Vec::new(), Vec::new(), Vec::new());
        let mut token = first_token;
        for (number, length) in (first_document..).zip(lengths) {
            sizes.extend_from_slice(&length.to_le_bytes());
            offsets.extend_from_slice(&(token * width.bytes()).to_le_bytes());
            documents.extend_from_slice(&number.to_le_bytes());
            token += u64::from(*length);
        }
        if first_document + lengths.len() as u64 == n {
            documents.extend_from_slice(&n.to_le_bytes());
        }
        parts.push((HEADER_BYTES + 4 * first_document, sizes));
        parts.push((HEADER_BYTES + 4 * n + 8 * first_document, offsets));
        parts.push((HEADER_BYTES + 12 * n + 8 * first_document, documents));
        Self(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(cuts: &[&[u32]], width: TokenWidth) -> String {
        let n: u64 = cuts.iter().map(|cut| cut.len() as u64).sum();
        let mut file = vec![0_u8; (HEADER_BYTES + 4 * n + 8 * n + 8 * (n + 1)) as usize];
        let (mut documents, mut tokens) = (0, 0);
        for cut in cuts {
            let IndexParts(parts) = IndexParts::new(cut, (documents, tokens, n), width);
            for (offset, bytes) in parts {
                file[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
            documents += cut.len() as u64;
            tokens += cut.iter().map(|length| u64::from(*length)).sum::<u64>();
        }
        file.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn shards_cut_anywhere_give_the_bytes_that_megatron_writes() {
        // Documents [5,6,7,0], [8,0], [9,10,11,12,0] of 16 bits.
        let expected = concat!(
            "4d4d49444944580000010000000000000008030000000000000004000000000000000400000002000000",
            "05000000000000000000000008000000000000000c000000000000000000000000000000010000000000",
            "000002000000000000000300000000000000"
        );
        for cuts in
            [&[&[4_u32, 2, 5][..]][..], &[&[4], &[2, 5]], &[&[4, 2], &[5]], &[&[4], &[2], &[5]]]
        {
            assert_eq!(assembled(cuts, TokenWidth::Two), expected, "{cuts:?}");
        }
        let wide = assembled(&[&[4, 2, 5]], TokenWidth::Four);
        assert_eq!(&wide[34..36], "04");
        assert!(wide.contains("000000000000000010000000000000001800000000000000"), "{wide}");
    }
}
