//! SHA-1 of many short messages, sixteen at a time.
//!
//! Messages of one block wait in one batch and those of two in another, because all lanes of a
//! batch must have the same number of blocks. A longer message is hashed by itself.

use std::ops::Range;

use sha1::{Digest, Sha1};

use crate::vector::{LANES, Sha1State, Width};

/// SHA-1's first state, in all lanes.
const START: Sha1State = [
    [0x6745_2301; LANES],
    [0xefcd_ab89; LANES],
    [0x98ba_dcfe; LANES],
    [0x1032_5476; LANES],
    [0xc3d2_e1f0; LANES],
];

const BLOCK_BYTES: usize = 64;
/// A one, and the message's length in bits, follow each message.
const PADDING_BYTES: usize = 9;

/// Messages that wait for others of their length.
#[derive(Debug)]
pub(super) struct Sha1Batch {
    one: Queue<1>,
    two: Queue<2>,
}

#[derive(Debug)]
struct Queue<const BLOCKS: usize> {
    messages: Vec<Range<usize>>,
}

impl Default for Sha1Batch {
    fn default() -> Self {
        Self { one: Queue::empty(), two: Queue::empty() }
    }
}

impl Sha1Batch {
    /// Appends the first eight bytes of each message's digest, little endian, in any order.
    pub(super) fn hash(
        &mut self,
        width: Width,
        bytes: &[u8],
        messages: impl Iterator<Item = Range<usize>>,
        digests: &mut Vec<u64>,
    ) {
        for span in messages {
            let padded = span.len() + PADDING_BYTES;
            if padded <= BLOCK_BYTES {
                self.one.push(width, bytes, span, digests);
            } else if padded <= 2 * BLOCK_BYTES {
                self.two.push(width, bytes, span, digests);
            } else {
                let mut first = [0; 8];
                first.copy_from_slice(&Sha1::digest(&bytes[span])[..8]);
                digests.push(u64::from_le_bytes(first));
            }
        }
        self.one.flush(width, bytes, digests);
        self.two.flush(width, bytes, digests);
    }
}

impl<const BLOCKS: usize> Queue<BLOCKS> {
    fn empty() -> Self {
        Self { messages: Vec::with_capacity(LANES) }
    }

    fn push(&mut self, width: Width, bytes: &[u8], span: Range<usize>, digests: &mut Vec<u64>) {
        self.messages.push(span);
        if self.messages.len() == LANES {
            self.flush(width, bytes, digests);
        }
    }

    fn flush(&mut self, width: Width, bytes: &[u8], digests: &mut Vec<u64>) {
        let mut state = START;
        if BLOCKS > 1 || !width.sha1_short(&mut state, bytes, &self.messages) {
            for number in 0..BLOCKS {
                let mut blocks = [[0; BLOCK_BYTES]; LANES];
                for (block, span) in blocks.iter_mut().zip(&self.messages) {
                    let from = number * BLOCK_BYTES;
                    let text = bytes[span.start..].get(from..).unwrap_or_default();
                    write_block(block, text, span.len(), from);
                    if number + 1 == BLOCKS {
                        let bits = 8 * span.len() as u64;
                        block[BLOCK_BYTES - 8..].copy_from_slice(&bits.to_be_bytes());
                    }
                }
                width.sha1(&mut state, &blocks, self.messages.len());
            }
        }
        let first_words = state[0].iter().zip(&state[1]).take(self.messages.len());
        digests.extend(first_words.map(|(&first, &second)| {
            u64::from(first.swap_bytes()) | (u64::from(second.swap_bytes()) << 32)
        }));
        self.messages.clear();
    }
}

/// 64 bytes that are kept, then 64 that are cleared.
const KEEP: [u8; 2 * BLOCK_BYTES] = {
    let mut mask = [0; 2 * BLOCK_BYTES];
    let mut at = 0;
    while at < BLOCK_BYTES {
        mask[at] = 0xff;
        at += 1;
    }
    mask
};

/// The byte behind a message, with 64 zeros before it and 63 after.
const END: [u8; 2 * BLOCK_BYTES] = {
    let mut end = [0; 2 * BLOCK_BYTES];
    end[BLOCK_BYTES] = 0x80;
    end
};

/// Writes the block that starts `from` bytes into a message of `length` bytes. `text` is the
/// message from there on, with whatever follows it.
fn write_block(block: &mut [u8; BLOCK_BYTES], text: &[u8], length: usize, from: usize) {
    let left = length.saturating_sub(from);
    let inside = left.min(BLOCK_BYTES);
    // Without a branch on the length, which no predictor can guess.
    match text.first_chunk::<BLOCK_BYTES>() {
        Some(text) => *block = *text,
        None => {
            block.fill(0);
            block[..inside].copy_from_slice(&text[..inside]);
        }
    }
    let keep = window(&KEEP, BLOCK_BYTES - inside);
    // The end belongs to this block only if the message ends in it, or exactly before it.
    let end = window(&END, if from > length { 0 } else { BLOCK_BYTES - inside });
    for ((byte, keep), end) in block.iter_mut().zip(keep).zip(end) {
        *byte = (*byte & keep) | end;
    }
}

fn window(table: &[u8; 2 * BLOCK_BYTES], at: usize) -> [u8; BLOCK_BYTES] {
    let mut window = [0; BLOCK_BYTES];
    window.copy_from_slice(&table[at..at + BLOCK_BYTES]);
    window
}
