//! The location of a key: its path through tables and lists, and the line of the text on which it
//! is set.

use std::fmt;

use toml::de::{DeArray, DeTable};

/// The text from which tables were read, for error messages.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The whole file; empty if there is none.
    pub text: &'a str,
    /// The table of the file that is meant, as `table.inner`; empty for the whole file.
    pub under: &'a str,
}

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The key of a table.
    Key(String),
    /// The position in a list, counted from 0.
    Item(usize),
}

/// The steps from the whole file to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Written<'_> {
    /// Returns the path of the table that is meant.
    pub fn start(&self) -> Path {
        let keys = self.under.split('.').filter(|key| !key.is_empty());
        Path(keys.map(|key| Step::Key(key.to_owned())).collect())
    }
}

impl Path {
    /// Appends a step.
    pub fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Removes the last step.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// Returns the path without positions in lists: `source.listing` for every source.
    pub fn without_items(&self) -> String {
        let keys = self.0.iter().filter(|step| matches!(step, Step::Key(_)));
        Self(keys.cloned().collect()).to_string()
    }

    /// Returns the first line of the value, or `None` if the text has no such key.
    pub fn line_in(&self, text: &str) -> Option<usize> {
        let whole = DeTable::parse(text).ok()?;
        let mut table = Some(whole.get_ref());
        let mut items: Option<&DeArray<'_>> = None;
        let mut at = None;
        for step in &self.0 {
            let (span, value) = match step {
                Step::Key(key) => {
                    let (key, value) = table?.get_key_value(key.as_str())?;
                    (key.span(), value)
                }
                Step::Item(index) => {
                    let value = items?.get(*index)?;
                    (value.span(), value)
                }
            };
            at = Some(span.start);
            table = value.get_ref().as_table();
            items = value.get_ref().as_array();
        }
        Some(text.get(..at?)?.matches('\n').count() + 1)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if place == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
