//! Turns a question and its answers into one text.

use thresher_job::{AnswerOrder, StackExchangeSpec, TitleForm};

use super::html::text_of;
use super::sorter::Sorted;

/// A question and its answers, either of which can be missing.
#[derive(Debug, Default)]
pub(super) struct Thread {
    pub(super) question: Option<Sorted>,
    pub(super) answers: Vec<Sorted>,
}

impl Thread {
    /// Returns the number of bytes of all rows of the thread.
    pub(super) fn bytes(&self) -> u64 {
        self.question.iter().chain(&self.answers).map(|row| row.bytes).sum()
    }

    /// Sorts the answers.
    pub(super) fn order(&mut self, order: AnswerOrder) {
        let accepted = self.question.as_ref().and_then(|row| row.post.accepted);
        match order {
            AnswerOrder::Score => self.answers.sort_by_key(|row| {
                let score: i64 = row.post.score.parse().unwrap_or(0);
                (std::cmp::Reverse(score), accepted != Some(row.post.id), row.post.id)
            }),
            AnswerOrder::ScoreText => {
                self.answers
                    .sort_by(|a, b| b.post.score.cmp(&a.post.score).then(a.key.cmp(&b.key)));
            }
        }
    }

    /// Returns the text, `Q: … A: …`. An error names the post that cannot be parsed, and the cause.
    pub(super) fn text(&self, spec: &StackExchangeSpec) -> Result<String, String> {
        let parsed = |row: &Sorted, html: &str| {
            text_of(html).map_err(|error| format!("post {}: {error}", row.post.id))
        };
        let Some(question) = &self.question else { return Ok(String::new()) };
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

    /// Returns the licences of all posts, each once.
    pub(super) fn licences(&self) -> String {
        let mut found: Vec<&str> = Vec::new();
        for row in self.question.iter().chain(&self.answers) {
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
        let post = Post { id, score: score.to_owned(), body: body.to_owned(), ..Post::default() };
        Sorted { key: (1, true, id), bytes: 1, post }
    }

    fn thread() -> Thread {
        let mut question = row(1, "3", "<p>Body of a &amp; b</p>\n");
        question.post.title = Some("Is Vec<T> a list?".to_owned());
        question.post.accepted = Some(5);
        let answers = [(2, "9"), (3, "100"), (4, "-1"), (5, "9"), (6, "9")];
        let answers = answers.map(|(id, score)| row(id, score, &format!("answer {id}")));
        Thread { question: Some(question), answers: answers.into() }
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
        let spec = |titles| StackExchangeSpec {
            answers: AnswerOrder::Score,
            titles,
            largest_sites: 0,
            max_row_bytes: thresher_job::Bytes(1000),
            sort_memory: thresher_job::Bytes(1000),
        };
        let mut thread = thread();
        thread.answers.truncate(2);
        let text = thread.text(&spec(TitleForm::Plain)).unwrap();
        assert_eq!(text, "Q: Is Vec<T> a list? Body of a & b\n\nA: answer 2\nA: answer 3");
        thread.answers.clear();
        let text = thread.text(&spec(TitleForm::Html)).unwrap();
        assert_eq!(text, "Q: Is Vec a list? Body of a & b\n");
    }
}
