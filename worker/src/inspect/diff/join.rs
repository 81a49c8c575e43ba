//! Compares the lines of both corpora that are about the same record, and then equal texts.
//!
//! Both take sorted entries and give events, so they can be tested without files.

use super::spill::{Entry, Role};

/// What was found out about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Both corpora have the document with the same text; this is the line of the first.
    Same(Entry),
    /// Both corpora have the document, with different texts.
    Changed([Entry; 2]),
    /// One corpus has the document, and the other dropped or quarantined it.
    Lost { kept: Entry, lost: Entry },
    /// One corpus has the document, and the other has no record of it.
    Unknown(Entry),
    /// Neither corpus has the document; these are the lines with the reasons.
    Neither([Entry; 2]),
}

/// Compares the lines of one record: those with the same key, sorted.
///
/// An input may have a record twice, so lines are paired: first those with equal texts, then the
/// rest in their order.
pub(super) fn compare(group: &[Entry], mut give: impl FnMut(Event)) {
    let of = |side: u8, role: Role| {
        group.iter().filter(move |entry| entry.side == side && entry.role == role).copied()
    };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (mut first, mut second) = (of(0, Role::Kept).peekable(), of(1, Role::Kept).peekable());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        match a.text.cmp(&b.text) {
            std::cmp::Ordering::Equal => {
                give(Event::Same(*a));
                first.next();
                second.next();
            }
            std::cmp::Ordering::Less => left.extend(first.next()),
            std::cmp::Ordering::Greater => right.extend(second.next()),
        }
    }
    left.extend(first);
    right.extend(second);
    let pairs = left.len().min(right.len());
    left.iter().zip(&right).for_each(|(a, b)| give(Event::Changed([*a, *b])));
    let (mut lost_a, mut lost_b) = (of(0, Role::Lost), of(1, Role::Lost));
    for kept in left.drain(pairs..) {
        give(lost_b.next().map_or(Event::Unknown(kept), |lost| Event::Lost { kept, lost }));
    }
    for kept in right.drain(pairs..) {
        give(lost_a.next().map_or(Event::Unknown(kept), |lost| Event::Lost { kept, lost }));
    }
    lost_a.zip(lost_b).for_each(|(a, b)| give(Event::Neither([a, b])));
}

/// Returns each document of a group of equal texts that is searched, and whether the other side has
/// its text.
pub(super) fn search(group: &[Entry]) -> impl Iterator<Item = (Entry, bool)> {
    let has =
        [0, 1].map(|side| group.iter().any(|entry| entry.side == side && entry.role == Role::Kept));
    let searched = group.iter().filter(|entry| entry.role == Role::Searched);
    searched.map(move |entry| (*entry, has[usize::from(1 - entry.side)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(side: u8, role: Role, text: u8, line: u32) -> Entry {
        Entry { key: [1; 16], side, role, text: [text; 16], file: 0, line, label: 0 }
    }

    fn events(mut group: Vec<Entry>) -> Vec<Event> {
        group.sort_unstable();
        let mut events = Vec::new();
        compare(&group, |event| events.push(event));
        events
    }

    #[test]
    fn every_line_is_in_one_event() {
        use Role::{Kept, Lost};
        let [a, b] = [entry(0, Kept, 5, 1), entry(1, Kept, 5, 2)];
        assert_eq!(events(vec![b, a]), [Event::Same(a)]);
        let other = entry(1, Kept, 6, 2);
        assert_eq!(events(vec![a, other]), [Event::Changed([a, other])]);
        let lost = entry(1, Lost, 0, 3);
        assert_eq!(events(vec![lost, a]), [Event::Lost { kept: a, lost }]);
        let lost_a = entry(0, Lost, 0, 3);
        assert_eq!(events(vec![lost_a, b]), [Event::Lost { kept: b, lost: lost_a }]);
        assert_eq!(events(vec![lost_a, lost]), [Event::Neither([lost_a, lost])]);
        assert_eq!(events(vec![b]), [Event::Unknown(b)]);
        // A record that is there twice: equal texts are one pair, whatever their order.
        let twice = vec![entry(0, Kept, 1, 1), entry(0, Kept, 2, 2), entry(1, Kept, 2, 1), lost];
        assert_eq!(
            events(twice.clone()),
            [Event::Same(twice[1]), Event::Lost { kept: twice[0], lost }]
        );
    }

    #[test]
    fn a_text_is_found_on_the_other_side_only() {
        use Role::{Kept, Searched};
        let searched = entry(0, Searched, 1, 1);
        for (others, expected) in [
            (vec![entry(0, Kept, 1, 1)], false),
            (vec![entry(0, Kept, 1, 1), entry(1, Kept, 1, 9)], true),
            (vec![entry(1, Searched, 1, 9)], false),
        ] {
            let mut group = others;
            group.push(searched);
            let mut found = search(&group).filter(|(entry, _)| entry.side == 0);
            assert_eq!(found.next(), Some((searched, expected)));
        }
    }
}
