//! Where documents come from: one folder for each slice.
//!
//! A source turns an input's bytes into pages; which lines and pages stay is for the stages and
//! filters to say. To add a slice: a folder here, a variant of the job file's `Slice`, and an arm
//! in [`read_pages`].

pub mod commoncrawl;

use std::io::Read;

use thresher_proto::job::{JobSpec, Slice};

use crate::formats::gzip::InputDigest;
use crate::stages::UnitError;

/// One text with its title and where it was found.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub id: &'a str,
    pub url: &'a str,
    pub date: &'a str,
    pub title: &'a str,
    /// Lines separated by `\n`, without the title.
    pub text: &'a str,
    /// The crawler's digest of the payload, where it has one.
    pub payload_digest: &'a str,
}

/// What became of one record.
#[derive(Debug, Clone, Copy)]
pub enum Fate<'a> {
    Page(Page<'a>),
    Dropped { id: &'a str, url: &'a str, reason: &'a str, detail: &'a str },
    Quarantined { id: &'a str, url: &'a str, reason: &'a str, detail: &'a str },
}

/// One record of an input.
#[derive(Debug, Clone, Copy)]
pub struct Met<'a> {
    /// Of the gzip member that holds it, in the compressed input.
    pub offset: u64,
    /// Number within the input.
    pub record: u64,
    /// Bytes of its body.
    pub bytes: u64,
    pub fate: Fate<'a>,
}

/// Reads one input of a slice to its end, and says what it read.
///
/// The sequence of records is a function of the bytes and the job, so that two stages that read
/// the same input number its lines alike.
pub fn read_pages(
    slice: Slice,
    job: &JobSpec,
    name: &str,
    input: impl Read,
    take: &mut dyn FnMut(Met<'_>) -> Result<(), UnitError>,
) -> Result<InputDigest, UnitError> {
    match slice {
        Slice::Commoncrawl => commoncrawl::read_pages(job, name, input, take),
    }
}
