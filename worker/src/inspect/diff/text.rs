//! What `diff` prints for people.

use std::fmt;

use super::{CorpusDiff, Found};
use thresher_domain::escape::line as line_of;

impl fmt::Display for CorpusDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { documents_a, documents_b, .. } = self;
        if self.equal {
            writeln!(f, "both have the same {documents_a} documents")?;
        } else {
            writeln!(f, "A has {documents_a} documents, B has {documents_b}")?;
        }
        let head = ["source", "same", "changed", "only in A", "only in B"].map(str::to_owned);
        let rows = self.sources.iter().map(|it| {
            let counts = [it.same, it.changed, it.only_in_a, it.only_in_b];
            let [same, changed, a, b] = counts.map(|count| count.to_string());
            [line_of(&it.source).into_owned(), same, changed, a, b]
        });
        write_table(f, std::iter::once(head).chain(rows).collect())?;
        only(f, &self.only_in_a, "A", "B")?;
        only(f, &self.only_in_b, "B", "A")?;
        if !self.other_reasons.is_empty() {
            writeln!(f, "\nin neither, for another reason:")?;
            let head = ["source", "records", "A", "B"].map(str::to_owned);
            let rows = self.other_reasons.iter().map(|it| {
                let [source, a, b] = [&it.source, &it.a, &it.b].map(|text| line_of(text));
                [source.into_owned(), it.records.to_string(), a.into_owned(), b.into_owned()]
            });
            write_table(f, std::iter::once(head).chain(rows).collect())?;
        }
        Ok(())
    }
}

/// Writes the documents that only one has, the most frequent cases first.
fn only(f: &mut fmt::Formatter<'_>, found: &[Found], one: &str, other: &str) -> fmt::Result {
    if found.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nonly in {one}:")?;
    let mut found: Vec<&Found> = found.iter().collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.documents));
    let head = ["source".to_owned(), "documents".to_owned(), other.to_owned()];
    let rows = found.iter().map(|it| {
        let [source, other] = [&it.source, &it.other].map(|text| line_of(text).into_owned());
        [source, it.documents.to_string(), other]
    });
    write_table(f, std::iter::once(head).chain(rows).collect())
}

/// Writes rows in columns: numbers at the right of theirs, texts at the left.
fn write_table<const N: usize>(f: &mut fmt::Formatter<'_>, rows: Vec<[String; N]>) -> fmt::Result {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let is_number = |column: usize| {
        rows.iter().skip(1).all(|row| row[column].bytes().all(|byte| byte.is_ascii_digit()))
    };
    let numbers: Vec<bool> = (0..N).map(is_number).collect();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            line += &match numbers[column] {
                true => format!("  {cell:>width$}"),
                false => format!("  {cell:<width$}"),
            };
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}
