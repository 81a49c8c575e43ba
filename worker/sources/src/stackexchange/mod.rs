//! The slice `stackexchange`: turns the posts of a site into questions with their answers.
//!
//! ```text
//! Posts.xml, packed or in a 7z → rows → sorted by question on disk → threads → text
//! a large Posts.xml → pieces: rows → parts by question (LINES) ⇒ each part as above (PREPARE)
//! ```
//! A record is a thread, or a row that is not in a thread. Posts are sorted on disk, so a site can
//! have any size. Questions and answers can be anywhere in a file. The pieces of a file that is
//! split therefore exchange their rows first. An archive is never split.

mod archive;
mod html;
mod parts;
mod posts;
mod rows;
mod sites;
mod sorter;
mod soup;
mod threads;

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::Value;
use thresher_job::{JobSpec, Schema, SourceSpec, TextForm};

use super::{
    Input, Joined, Meta, Page, PlannedInput, ReadRecord, RecordOutcome, RecordSink, Selected,
    Source, forms,
};
use crate::root_end::{RootEnd, Tags, Watched};
use posts::{Post, Row};
use rows::Rows;
use sorter::{Sorted, Sorter};
use threads::Thread;
use thresher_formats::form::Form;
use thresher_formats::gzip::{Damage, GzipLimits, InputDigest};
use thresher_formats::json_lines::REASON_EMPTY;
use thresher_formats::piece::Piece;
use thresher_formats::unpack::{DamageError, UnpackedReader};
use thresher_unit::UnitError;
use thresher_unit::staging::InputRow;

/// Size in bytes of the largest thread; answers beyond it are quarantined.
const THREAD_BYTES: u64 = 256 << 20;

/// The greatest number of pieces of a file. It is limited because each piece has rows for every
/// other.
const MAX_PIECES: u64 = 256;

/// The reason of a `Posts.xml` that ends before the end tag of its root.
const REASON_TRUNCATED: &str = "posts_truncated";
const NO_END_TAG: &str = "the file ends before its end tag `</posts>`";
/// The tags that show whether a file is whole.
const TAGS: Tags = Tags { root: b"<posts", record: b"<row", end: b"</posts" };

/// The reader of the slice `stackexchange`. Each input is a site.
pub struct StackExchange;

impl Source for StackExchange {
    fn select(&self, job: &JobSpec, inputs: Vec<InputRow>) -> Result<Selected, UnitError> {
        sites::largest(inputs, job.stackexchange.largest_sites)
    }

    fn pieces(
        &self,
        job: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        // The stage LINES compares lines, but there the rows of a piece are not yet a text.
        let whole = !input.path.ends_with(".xml") || job.dedups_lines(input.source);
        let bytes = input.bytes.filter(|_| !whole).unwrap_or(0);
        Ok(Piece::even(bytes, target_bytes.max(bytes / MAX_PIECES)))
    }

    fn joined(&self) -> Option<&dyn Joined> {
        Some(self)
    }

    fn can_cut(&self, form: Form) -> bool {
        forms::can_be_cut(form, &[Form::PostsXml])
    }

    fn read(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let mut reading = Reading::new(job, source, (input.path(), input.scratch()), sink);
        let form = input.form()?;
        if form == Form::SevenZip || (form == Form::Other && input.path().ends_with(".7z")) {
            reading.archive(input)?;
            return input.digest();
        }
        let unpacked = input.unpacked(&forms::STACKEXCHANGE, GzipLimits::default())?.as_text();
        let mut reader = BufReader::new(Watched::new(UnpackedReader::new(unpacked), &TAGS));
        let mut is_damaged = false;
        reading.rows(&mut reader, 0, &mut |error| {
            is_damaged = true;
            DamageError::of(error).cloned().ok_or_else(|| input.failed(error))
        })?;
        let Watched { text, end } = reader.into_inner();
        reading.end(&end, is_damaged)?;
        reading.threads()?;
        text.finish().map_err(|error| input.failed(&error))
    }
}

/// The state of reading one site.
struct Reading<'r, 't> {
    job: &'r JobSpec,
    source: &'r SourceSpec,
    site: &'r str,
    sorter: Sorter<Sorted>,
    record: u64,
    /// The number of rows that were read.
    row: u64,
    sink: &'r mut RecordSink<'t>,
}

impl<'r, 't> Reading<'r, 't> {
    /// Returns the state for the input `path`, whose posts are sorted in the folder `scratch`.
    fn new(
        job: &'r JobSpec,
        source: &'r SourceSpec,
        (path, scratch): (&'r str, &Path),
        sink: &'r mut RecordSink<'t>,
    ) -> Self {
        let sorter = Sorter::new(scratch, job.stackexchange.sort_memory.0);
        Self { job, source, site: sites::site_of(path), sorter, record: 0, row: 0, sink }
    }

    fn emit(
        &mut self,
        offset: u64,
        bytes: u64,
        outcome: RecordOutcome<'_>,
    ) -> Result<(), UnitError> {
        let record = self.record;
        self.record += 1;
        (self.sink)(ReadRecord { offset, record, bytes, outcome })
    }

    fn quarantine(&mut self, at: (u64, u64), reason: &str, detail: &str) -> Result<(), UnitError> {
        self.emit(at.0, at.1, RecordOutcome::Quarantined { id: "", url: "", reason, detail })
    }

    fn dropped(&mut self, row: &Sorted, reason: &str) -> Result<(), UnitError> {
        let id = self.id(&row.post);
        self.emit(
            row.key.2,
            row.bytes,
            RecordOutcome::Dropped { id: &id, url: "", reason, detail: "" },
        )
    }

    /// Returns the id of a post, with its site if that is known.
    fn id(&self, post: &Post) -> String {
        let number = post.id;
        if self.site.is_empty() { number.to_string() } else { format!("{}/{number}", self.site) }
    }

    /// Returns the address of a question, or an empty text if its site is not known.
    fn url(&self, question: &Post) -> String {
        if self.site.is_empty() {
            return String::new();
        }
        format!("https://{}/questions/{}", self.site, question.id)
    }

    /// Passes every row to the sorter, or to the sink if it belongs to no thread. `failed` returns
    /// the damage that an error of the input is, after which reading continues, or the error of the
    /// unit. A row is only used once `held_bytes` have been read after its start.
    fn rows(
        &mut self,
        input: &mut dyn BufRead,
        held_bytes: u64,
        failed: &mut dyn FnMut(&io::Error) -> Result<Damage, UnitError>,
    ) -> Result<(), UnitError> {
        let mut rows = Rows::new(input, self.job.stackexchange.max_row_bytes.0 as usize);
        let mut held = VecDeque::new();
        loop {
            let until = match rows.next() {
                Ok(None) => u64::MAX,
                Ok(Some(row)) => {
                    let at = row.0;
                    held.push_back(row);
                    at
                }
                Err(error) => {
                    let Damage { offset, reason, detail, .. } = failed(&error)?;
                    self.quarantine((offset, 0), reason, &detail)?;
                    continue;
                }
            };
            while let Some((at, bytes, row)) =
                held.pop_front_if(|(at, ..)| at.saturating_add(held_bytes) <= until)
            {
                self.row += 1;
                self.take_row(at, bytes, row)?;
            }
            if until == u64::MAX {
                return Ok(());
            }
        }
    }

    /// Reports a file that is empty, or whose end is missing. Damage that was reported can be the
    /// reason for that.
    fn end(&mut self, end: &RootEnd, is_damaged: bool) -> Result<(), UnitError> {
        if is_damaged {
            return Ok(());
        }
        if end.is_blank() {
            return self.quarantine((0, 0), REASON_EMPTY, "");
        }
        if end.is_cut() {
            return self.quarantine((end.bytes(), 0), REASON_TRUNCATED, NO_END_TAG);
        }
        Ok(())
    }

    fn take_row(&mut self, at: u64, bytes: u64, row: Row) -> Result<(), UnitError> {
        match row {
            Row::Bad { reason, detail } => self.quarantine((at, bytes), &reason, &detail),
            Row::Post(post) => self.post(at, bytes, *post),
        }
    }

    fn post(&mut self, at: u64, bytes: u64, post: Post) -> Result<(), UnitError> {
        let question = post.parent.unwrap_or(post.id);
        let row = Sorted { key: (question, post.parent.is_some(), at), bytes, post };
        if row.post.belongs_to_no_thread() {
            return self.dropped(&row, "stackexchange/no_question");
        }
        self.sorter.push(row).map_err(|error| sort_failed(&error))
    }

    /// Passes the threads to the sink, in the order of the numbers of their questions.
    fn threads(&mut self) -> Result<(), UnitError> {
        let empty = Sorter::new(self.job.job.work_dir.as_ref(), 0);
        let sorter = std::mem::replace(&mut self.sorter, empty);
        let (mut thread, mut stopped) = (Thread::default(), None);
        let mut present = None;
        let result = sorter.finish(&mut |row| {
            let next = || {
                if present != Some(row.key.0) {
                    present = Some(row.key.0);
                    self.thread(std::mem::take(&mut thread))?;
                }
                self.add_to(&mut thread, row)
            };
            next().map_err(|error| {
                stopped = Some(error);
                io::Error::other("stopped")
            })
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        result.map_err(|error| sort_failed(&error))?;
        self.thread(thread)
    }

    fn add_to(&mut self, thread: &mut Thread, row: Sorted) -> Result<(), UnitError> {
        let is_answer = row.key.1;
        if is_answer && thread.questions.is_empty() {
            return self.dropped(&row, "stackexchange/no_such_question");
        }
        let keeps_all = self.job.stackexchange.text == TextForm::RedpajamaV1;
        if !is_answer && !thread.questions.is_empty() && !keeps_all {
            return self.dropped(&row, "stackexchange/same_id");
        }
        if thread.bytes() + row.bytes > THREAD_BYTES {
            let detail = format!("its thread has more than {THREAD_BYTES} bytes");
            let (id, reason) = (self.id(&row.post), "thread_too_large");
            let outcome = RecordOutcome::Quarantined { id: &id, url: "", reason, detail: &detail };
            return self.emit(row.key.2, row.bytes, outcome);
        }
        if is_answer {
            thread.answers.push(row)
        } else {
            thread.questions.push(row)
        }
        Ok(())
    }

    fn thread(&mut self, mut thread: Thread) -> Result<(), UnitError> {
        thread.order(self.job.stackexchange.answers);
        let answers: u64 = thread.answers.iter().map(|row| row.bytes).sum();
        for question in &thread.questions {
            let at = (question.key.2, question.bytes + answers);
            self.question(&thread, question, at)?;
        }
        Ok(())
    }

    /// Passes a question with its answers to the sink.
    fn question(
        &mut self,
        thread: &Thread,
        question: &Sorted,
        at: (u64, u64),
    ) -> Result<(), UnitError> {
        let post = &question.post;
        let url = self.url(post);
        let id = self.id(post);
        let text = match thread.text(question, &self.job.stackexchange) {
            Ok(text) => text,
            Err(detail) => {
                let reason = "html_too_large";
                let outcome =
                    RecordOutcome::Quarantined { id: &id, url: &url, reason, detail: &detail };
                return self.emit(at.0, at.1, outcome);
            }
        };
        let dump = self.source.dump.as_str();
        let timestamp = if dump.is_empty() { post.date.as_str() } else { dump };
        // RedPajama published the number 0 for a missing score, and a string otherwise.
        let score = post.score.as_deref().map_or(Value::from(0), Value::from);
        // A later step identifies the language of the text.
        let mut meta = Meta::from_iter([
            ("language".to_owned(), Value::Null),
            ("url".to_owned(), Value::from(url.as_str())),
            ("timestamp".to_owned(), Value::from(timestamp)),
            ("source".to_owned(), Value::from("stackexchange")),
            ("question_score".to_owned(), score),
        ]);
        if self.job.output.schema == Schema::Uniform {
            meta.insert("answers".to_owned(), Value::from(thread.answers.len()));
        }
        let licence = thread.licences(question);
        let outcome = RecordOutcome::Page(Page {
            id: &id,
            url: &url,
            date: &post.date,
            title: post.title.as_deref().unwrap_or_default(),
            text: &text,
            licence: Some(licence.as_str()).filter(|it| !it.is_empty()),
            meta: Some(&meta),
            damaged_characters: thread.damaged(question),
            ..Page::default()
        });
        self.emit(at.0, at.1, outcome)
    }
}

/// Returns the error of a unit that failed to sort.
fn sort_failed(error: &io::Error) -> UnitError {
    UnitError::Node(format!("failed to sort posts: {error}"))
}

#[cfg(test)]
mod tests;
