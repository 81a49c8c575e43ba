//! Turns a question and its answers into one text.

use thresher_job::{AnswerOrder, StackExchangeSpec, TextForm, TitleForm};

use super::sorter::Sorted;
use super::{html, soup};

/// The rows of one question number.
#[derive(Debug, Default)]
pub(super) struct Thread {
    /// More than one only if the recipe keeps questions with the same number.
    pub(super) questions: Vec<Sorted>,
    pub(super) answers: Vec<Sorted>,
}

impl Thread {
    /// Returns the number of bytes of all rows of the thread.
    pub(super) fn bytes(&self) -> u64 {
        self.questions.iter().chain(&self.answers).map(|row| row.bytes).sum()
    }

    /// Returns the number of damaged sequences in a question and its answers.
    pub(super) fn damaged(&self, question: &Sorted) -> u64 {
        let answers: u64 = self.answers.iter().map(|row| row.post.damaged).sum();
        question.post.damaged + answers
    }

    /// Sorts the answers.
    pub(super) fn order(&mut self, order: AnswerOrder) {
        let accepted = self.questions.first().and_then(|row| row.post.accepted);
        match order {
            AnswerOrder::Score => self.answers.sort_by_key(|row| {
                let score: i64 = row.post.score().parse().unwrap_or(0);
                (std::cmp::Reverse(score), accepted != Some(row.post.id), row.post.id)
            }),
            AnswerOrder::ScoreText => {
                self.answers
                    .sort_by(|a, b| b.post.score().cmp(a.post.score()).then(a.key.cmp(&b.key)));
            }
        }
    }

    /// Returns the text of a question with the answers, `Q: … A: …`. An error names the post that
    /// cannot be parsed, and the cause.
    pub(super) fn text(
        &self,
        question: &Sorted,
        spec: &StackExchangeSpec,
    ) -> Result<String, String> {
        let parsed = |row: &Sorted, markup: &str| {
            let text = match spec.text {
                TextForm::Readable => html::text_of(markup),
                TextForm::RedpajamaV1 => soup::text_of_post(markup),
            };
            text.map_err(|error| format!("post {}: {error}", row.post.id))
        };
        let title = question.post.title.as_deref().unwrap_or_default();
        let body = &question.post.body;
        let asked = match spec.titles {
            TitleForm::Html => parsed(question, &format!("{title} {body}"))?,
            TitleForm::Plain => format!("{title} {}", parsed(question, body)?),
        };
        let mut text = format!("Q: {asked}");
        for answer in &self.answers {
            text.push_str("\nA: ");
            text.push_str(&parsed(answer, &answer.post.body)?);
        }
        Ok(text)
    }

    /// Returns the licences of a question and its answers, each once.
    pub(super) fn licences(&self, question: &Sorted) -> String {
        let mut found: Vec<&str> = Vec::new();
        for row in std::iter::once(question).chain(&self.answers) {
            let licence = row.post.licence.as_str();
            if !licence.is_empty() && !found.contains(&licence) {
                found.push(licence);
            }
        }
        found.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::posts::Post;
    use super::*;

    fn row(id: u64, score: &str, body: &str) -> Sorted {
        let score = Some(score.to_owned());
        let post = Post { id, score, body: body.to_owned(), ..Post::default() };
        Sorted { key: (1, true, id), bytes: 1, post }
    }

    fn thread() -> Thread {
        let mut question = row(1, "3", "<p>Body of a &amp; b</p>\n");
        question.post.title = Some("Is Vec<T> a list?".to_owned());
        question.post.accepted = Some(5);
        let answers = [(2, "9"), (3, "100"), (4, "-1"), (5, "9"), (6, "9")];
        let answers = answers.map(|(id, score)| row(id, score, &format!("answer {id}")));
        Thread { questions: vec![question], answers: answers.into() }
    }

    fn ids(order: AnswerOrder) -> Vec<u64> {
        let mut thread = thread();
        thread.order(order);
        thread.answers.iter().map(|row| row.post.id).collect()
    }

    #[test]
    fn answers_are_sorted_by_score_with_the_accepted_first_or_by_score_as_a_string() {
        assert_eq!(ids(AnswerOrder::Score), [3, 5, 2, 6, 4]);
        assert_eq!(ids(AnswerOrder::ScoreText), [2, 5, 6, 3, 4]);
    }

    #[test]
    fn a_title_is_plain_text_or_html_as_published() {
        let spec = |titles, text| StackExchangeSpec {
            answers: AnswerOrder::Score,
            titles,
            text,
            largest_sites: 0,
            max_row_bytes: thresher_job::Bytes(1000),
            sort_memory: thresher_job::Bytes(1000),
        };
        let mut thread = thread();
        thread.answers.truncate(2);
        let text = |thread: &Thread, spec| thread.text(&thread.questions[0], &spec).unwrap();
        assert_eq!(
            text(&thread, spec(TitleForm::Plain, TextForm::Readable)),
            "Q: Is Vec<T> a list? Body of a & b\nA: answer 2\nA: answer 3"
        );
        thread.answers.clear();
        assert_eq!(
            text(&thread, spec(TitleForm::Html, TextForm::RedpajamaV1)),
            "Q: Is Vec a list? Body of a & b\n"
        );
    }
}
