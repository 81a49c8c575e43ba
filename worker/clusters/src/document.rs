//! A document by its canonical position: the unit that staged it, and its place there.
//!
//! This is what files and messages of this crate call a document. Invariant: the order of documents
//! is the same as that of their numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A staged document. The derived order, unit before place, is that of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u64", from = "u64")]
pub struct Document {
    /// The canonical number of the unit that staged it.
    pub unit: u32,
    /// Its place among the staged documents of the unit.
    pub place: u32,
}

impl Document {
    /// Returns the document as one number with the same order.
    #[inline]
    pub fn to_u64(self) -> u64 {
        u64::from(self.unit) << 32 | u64::from(self.place)
    }

    /// Returns the document that [`Document::to_u64`] made a number of.
    #[inline]
    pub fn from_u64(number: u64) -> Self {
        Self { unit: (number >> 32) as u32, place: number as u32 }
    }
}

impl From<Document> for u64 {
    fn from(document: Document) -> Self {
        document.to_u64()
    }
}

impl From<u64> for Document {
    fn from(number: u64) -> Self {
        Self::from_u64(number)
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.unit, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_order_of_documents() {
        let ends = [0, 1, u32::MAX - 1, u32::MAX];
        let documents: Vec<Document> = ends
            .iter()
            .flat_map(|&unit| ends.iter().map(move |&place| Document { unit, place }))
            .collect();
        assert!(documents.is_sorted());
        let numbers: Vec<u64> = documents.iter().map(|document| document.to_u64()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        let back: Vec<Document> = numbers.into_iter().map(Document::from_u64).collect();
        assert_eq!(back, documents);
    }
}
