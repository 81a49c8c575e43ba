//! Bounds the work of expanding macros. What exceeds a budget stays in the text as it is.

/// Bytes of values into which one call in a file may expand, before its own text is counted.
pub(super) const MAX_CALL_BYTES: usize = 1 << 20;
/// Bytes of values into which all calls of a paper may expand.
const MAX_PAPER_BYTES: usize = 1 << 28;
/// What each expansion costs beside the bytes of its value.
pub(super) const EXPANSION_BYTES: usize = 64;
/// Number of frames above that of a file.
pub(super) const MAX_NESTING: usize = 200;
/// Number of calls whose expansion was given up; after that, no macro is expanded.
const MAX_GIVEN_UP: usize = 64;
/// Bytes in which ends of arguments and definitions are searched in vain.
const MAX_SEARCHED: usize = 1 << 27;

/// What expansions have cost so far.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// The calls in files that are being expanded, from the outermost to the innermost.
    pub(super) calls: Vec<Pending>,
    pub(super) expanded: usize,
    pub(super) given_up: usize,
    pub(super) searched: usize,
}

/// A call in a file that is being expanded, with all that is needed to give it up.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) name: String,
    /// The number of frames up to that of the file.
    pub(super) frames: usize,
    /// The position in the file after the name.
    pub(super) resume: usize,
    pub(super) text: usize,
    pub(super) conditions: usize,
    pub(super) groups: usize,
    pub(super) bytes: usize,
}

impl Budget {
    /// Counts bytes in which an end was searched in vain.
    pub(super) fn search(&mut self, bytes: usize) {
        self.searched = self.searched.saturating_add(bytes.min(1 << 20));
    }

    /// Returns whether no more ends are searched.
    pub(super) fn is_searched(&self) -> bool {
        self.searched > MAX_SEARCHED
    }

    pub(super) fn is_spent(&self) -> bool {
        self.expanded > MAX_PAPER_BYTES || self.given_up > MAX_GIVEN_UP || self.is_searched()
    }
}
