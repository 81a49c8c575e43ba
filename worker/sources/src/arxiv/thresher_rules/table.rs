//! The macros that are known at a place in the text. A definition inside braces ends with them.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::macros::Macro;

/// Number of nested groups whose definitions are followed; deeper ones end with an outer group.
const MAX_DEPTH: usize = 1 << 16;

/// The meaning that a macro had before a definition in a group; `None` if it had none.
type Earlier = (String, Option<Rc<Macro>>);

/// Macros by name, with what each open group has changed.
#[derive(Debug, Default)]
pub(super) struct Table {
    known: BTreeMap<String, Rc<Macro>>,
    groups: Vec<Vec<Earlier>>,
}

impl Table {
    /// Returns the meaning of a macro.
    pub(super) fn get(&self, name: &str) -> Option<&Rc<Macro>> {
        self.known.get(name)
    }

    /// Gives a macro a meaning: until the group ends, or for the rest of the text.
    pub(super) fn define(&mut self, name: String, meaning: Rc<Macro>, global: bool) {
        let earlier = self.known.insert(name.clone(), meaning);
        match self.groups.last_mut() {
            Some(group) if !global => group.push((name, earlier)),
            _ => {}
        }
    }

    /// Enters a group.
    pub(super) fn open(&mut self) {
        if self.groups.len() < MAX_DEPTH {
            self.groups.push(Vec::new());
        }
    }

    /// Leaves a group; without one, nothing happens.
    pub(super) fn close(&mut self) {
        for (name, earlier) in self.groups.pop().unwrap_or_default().into_iter().rev() {
            match earlier {
                Some(earlier) => self.known.insert(name, earlier),
                None => self.known.remove(&name),
            };
        }
    }

    /// Returns the number of open groups.
    pub(super) fn depth(&self) -> usize {
        self.groups.len()
    }

    /// Leaves groups until `depth` are open.
    pub(super) fn close_to(&mut self, depth: usize) {
        while self.groups.len() > depth {
            self.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_end_with_their_group_unless_they_are_global() {
        let mut table = Table::default();
        let of = |value| Rc::new(Macro::of(Vec::new(), value, false));
        let value = |table: &Table, name| table.get(name).map(|it| it.value.to_string());
        table.define("x".to_owned(), of("1"), false);
        table.open();
        table.define("x".to_owned(), of("2"), false);
        table.define("x".to_owned(), of("3"), false);
        table.define("y".to_owned(), of("4"), false);
        table.define("z".to_owned(), of("5"), true);
        assert_eq!(value(&table, "x").as_deref(), Some("3"));
        table.close();
        table.close();
        let left = ["x", "y", "z"].map(|name| value(&table, name));
        assert_eq!(left, [Some("1".to_owned()), None, Some("5".to_owned())]);
    }
}
