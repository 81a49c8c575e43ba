//! The line numbers in RedPajama's `cc/<dump>/<input>/line<N>`.
//!
//! RedPajama numbered the lines of each file after duplicates were taken out of it, from zero.
//! PREPARE, which does not know the duplicates, leaves the number of the record in that place;
//! PUBLISH puts the line's there.
//!
//! **Invariant:** a number depends on what is left out of the input, not on where shards are cut.

use memchr::memmem::{find, rfind};

use crate::stages::drops::UnitDrops;
use thresher_unit::UnitError;

/// What stands around the address in a staged line. A quotation mark in a text is written with a
/// backslash, so no text can hold these.
const BEFORE: &[u8] = br#"","source":"cc/"#;
const BEHIND: &[u8] = br#"","meta":{"#;
const NUMBER: &[u8] = b"/line";

/// Counts the published lines of each input of a unit.
pub(super) struct InputLines {
    /// The places of the first documents of inputs behind the current one, the next one last.
    starts: Vec<u32>,
    /// The number of the next line.
    next: u64,
}

impl InputLines {
    /// For a shard that takes the unit from place `first` on; `starts` has the place of the first
    /// document of each input.
    pub(super) fn begin(mut starts: Vec<u32>, first: u32, drops: &UnitDrops<'_>) -> Self {
        starts.reverse();
        let mut begin = 0;
        while let Some(start) = starts.pop_if(|start| *start <= first) {
            begin = start;
        }
        let next = (begin..first).filter(|place| drops.reason(*place).is_none()).count() as u64;
        Self { starts, next }
    }

    /// The line of the published document at `place` with its number.
    pub(super) fn renumber(&mut self, place: u32, line: &[u8]) -> Result<Vec<u8>, UnitError> {
        while self.starts.pop_if(|start| *start <= place).is_some() {
            self.next = 0;
        }
        let (from, to) = number_in(line).ok_or_else(|| {
            UnitError::Fatal("a staged page has no `source` like RedPajama's".to_owned())
        })?;
        let mut renumbered = Vec::with_capacity(line.len());
        renumbered.extend_from_slice(&line[..from]);
        renumbered.extend_from_slice(self.next.to_string().as_bytes());
        renumbered.extend_from_slice(&line[to..]);
        self.next += 1;
        Ok(renumbered)
    }
}

/// Where the number stands.
fn number_in(line: &[u8]) -> Option<(usize, usize)> {
    let begin = find(line, BEFORE)? + BEFORE.len();
    let end = begin + find(&line[begin..], BEHIND)?;
    let from = begin + rfind(&line[begin..end], NUMBER)? + NUMBER.len();
    line[from..end].iter().all(u8::is_ascii_digit).then_some((from, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_behind_texts_that_look_like_it() {
        let line = serde_json::to_string(&serde_json::json!({"text": "x"})).unwrap();
        assert_eq!(number_in(line.as_bytes()), None);
        let text = r#"","source":"cc/a/line7","meta":{"#;
        let text = serde_json::to_string(text).unwrap();
        let line =
            format!(r#"{{"text":{text},"source":"cc/d/lines/line12","meta":{{"id":"/line3"}}}}"#);
        let (from, to) = number_in(line.as_bytes()).unwrap();
        assert_eq!(&line[from..to], "12");
        assert!(line[..from].ends_with("cc/d/lines/line"));
    }
}
