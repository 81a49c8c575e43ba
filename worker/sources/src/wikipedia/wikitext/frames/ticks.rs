//! Pairs the runs of ticks of one element, like mwparserfromhell: by trying and going back.
//!
//! Bold that is never closed becomes a tick and italics, which is how an elision is written
//! (`l'''Iliade''` is `l'` and italics). Only the lengths of the runs matter.
//!
//! **Invariant:** every tick becomes text or markup, and the steps are bounded; runs beyond the
//! bound are text.

use std::collections::BTreeSet;

/// What a run of ticks does, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// This number of ticks is text.
    Text(usize),
    Open,
    Close,
}

/// An action of a run, by the number of the run.
type Acts = Vec<(usize, Action)>;

/// Returns the actions of each run, and takes the steps from `budget`.
pub(super) fn pair(runs: &[usize], budget: &mut usize) -> Vec<Vec<Action>> {
    let mut parser = Parser { runs, failed: BTreeSet::new(), budget };
    let left = runs.first().copied().unwrap_or(0);
    let start = Place { run: 0, left, is_inside_run: false };
    let acts = match parser.parse(Context::default(), start, 0) {
        Ok((_, acts)) => acts,
        // Only an element of style can fail.
        Err(Failed { .. }) => Vec::new(),
    };
    let mut actions = vec![Vec::new(); runs.len()];
    for (run, action) in acts {
        actions[run].push(action);
    }
    actions
}

/// A place between ticks: a run and the number of its ticks that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    run: usize,
    left: usize,
    /// Whether earlier ticks of the run closed an element.
    is_inside_run: bool,
}

/// The element that is parsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Context {
    italics: bool,
    bold: bool,
    /// Bold that is not closed ends these italics.
    second_pass: bool,
}

const ITALICS: Context = Context { italics: true, bold: false, second_pass: false };
const BOLD: Context = Context { italics: false, bold: true, second_pass: false };
const SECOND_PASS: Context = Context { italics: true, bold: false, second_pass: true };

/// The element is not closed. It may be closed in a second pass if it contains unclosed bold.
struct Failed {
    has_unclosed_bold: bool,
}

/// Depth of elements that mwparserfromhell parses.
const MAX_DEPTH: usize = 40;

struct Parser<'r> {
    runs: &'r [usize],
    /// Elements that were tried and are not closed.
    failed: BTreeSet<(Place, Context)>,
    budget: &'r mut usize,
}

impl Parser<'_> {
    fn after(&self, run: usize) -> Place {
        let left = self.runs.get(run + 1).copied().unwrap_or(0);
        Place { run: run + 1, left, is_inside_run: false }
    }

    /// Parses an element, and returns the place after its closing ticks.
    fn parse(
        &mut self,
        context: Context,
        start: Place,
        depth: usize,
    ) -> Result<(Place, Acts), Failed> {
        let mut has_unclosed_bold = false;
        if self.failed.contains(&(start, context)) {
            return Err(Failed { has_unclosed_bold });
        }
        let (mut at, mut acts) = (start, Vec::new());
        while at.run < self.runs.len() {
            let Place { run, left, .. } = at;
            let ticks = match left {
                4 => 3,
                6.. => 5,
                _ => left,
            };
            if left > ticks {
                acts.push((run, Action::Text(left - ticks)));
            }
            let next = self.after(run);
            match ticks {
                2 if context.italics => return Ok((next, acts)),
                3 if context.bold => return Ok((next, acts)),
                5 if context.italics => return Ok((inside(run, 3), acts)),
                5 if context.bold => return Ok((inside(run, 2), acts)),
                _ => {}
            }
            if depth >= MAX_DEPTH || *self.budget == 0 {
                has_unclosed_bold |= ticks == 3 && context.italics;
                acts.push((run, Action::Text(ticks)));
                at = next;
                continue;
            }
            *self.budget -= 1;
            at = match ticks {
                2 => self.italics(&mut acts, next, run, depth),
                3 => match self.parse(BOLD, next, depth + 1) {
                    Ok((end, inner)) => element(&mut acts, run, inner, end),
                    Err(_) if context.second_pass => {
                        acts.push((run, Action::Text(1)));
                        return Ok((next, acts));
                    }
                    Err(_) if context.italics => {
                        has_unclosed_bold = true;
                        acts.push((run, Action::Text(3)));
                        next
                    }
                    Err(_) => {
                        acts.push((run, Action::Text(1)));
                        self.italics(&mut acts, next, run, depth)
                    }
                },
                _ => self.both(&mut acts, next, run, depth),
            };
        }
        if context == Context::default() {
            return Ok((at, acts));
        }
        self.failed.insert((start, context));
        Err(Failed { has_unclosed_bold })
    }

    fn italics(&mut self, acts: &mut Acts, start: Place, run: usize, depth: usize) -> Place {
        let mut parsed = self.parse(ITALICS, start, depth + 1);
        if let Err(Failed { has_unclosed_bold: true }) = parsed {
            parsed = self.parse(SECOND_PASS, start, depth + 1);
        }
        match parsed {
            Ok((end, inner)) => element(acts, run, inner, end),
            Err(_) => {
                acts.push((run, Action::Text(2)));
                start
            }
        }
    }

    /// Parses what five ticks start: bold in italics, or italics in bold.
    fn both(&mut self, acts: &mut Acts, start: Place, run: usize, depth: usize) -> Place {
        for (inner, outer, left) in [(BOLD, ITALICS, 2), (ITALICS, BOLD, 3)] {
            let Ok((end, first)) = self.parse(inner, start, depth + 1) else { continue };
            let Ok((last, second)) = self.parse(outer, end, depth + 1) else {
                acts.push((run, Action::Text(left)));
                return element(acts, run, first, end);
            };
            acts.push((run, Action::Open));
            element(acts, run, first, end);
            acts.extend(second);
            acts.push((closing_run(last), Action::Close));
            return last;
        }
        acts.push((run, Action::Text(5)));
        start
    }
}

/// Adds an element that the run opens, and returns the place after it.
fn element(acts: &mut Acts, run: usize, inner: Acts, end: Place) -> Place {
    acts.push((run, Action::Open));
    acts.extend(inner);
    acts.push((closing_run(end), Action::Close));
    end
}

/// Returns the place in a run, the first of whose ticks closed an element.
fn inside(run: usize, left: usize) -> Place {
    Place { run, left, is_inside_run: true }
}

/// Returns the run whose ticks end at a place.
fn closing_run(end: Place) -> usize {
    if end.is_inside_run { end.run } else { end.run - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the runs with `<` and `>` for markup, and ticks for text.
    fn shown(runs: &[usize], mut budget: usize) -> String {
        let show = |action| match action {
            Action::Text(ticks) => "'".repeat(ticks),
            Action::Open => "<".to_owned(),
            Action::Close => ">".to_owned(),
        };
        let actions = pair(runs, &mut budget).into_iter();
        let runs = actions.map(|run| run.into_iter().map(show).collect::<String>());
        runs.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn runs_pair_like_in_mwparserfromhell() {
        let cases: [(&[usize], &str); 16] = [
            (&[2, 2], "< >"),
            (&[3, 3], "< >"),
            (&[3, 2], "'< >"),
            (&[3, 2, 3, 2, 3, 2], "< < ''' > > ''"),
            (&[2, 3, 2], "< ''' >"),
            (&[3, 2, 3], "'< > '''"),
            (&[5, 3, 2], "<< > >"),
            (&[5, 2, 3], "<< > >"),
            (&[5], "'''''"),
            (&[5, 2], "'''< >"),
            (&[5, 3], "''< >"),
            (&[2, 3, 5], "< < >>"),
            (&[4, 4], "'< '>"),
            (&[6], "''''''"),
            (&[3], "'''"),
            (&[], ""),
        ];
        for (runs, expected) in cases {
            assert_eq!(shown(runs, 1000), expected, "{runs:?}");
        }
    }

    #[test]
    fn runs_beyond_the_budget_are_text() {
        assert_eq!(shown(&[2, 2, 2, 2], 1), "< > '' ''");
    }
}
