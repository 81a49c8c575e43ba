//! Expands calls of macros within budgets. A call whose expansion is too large, or has no end,
//! stays in the text, and its macro is not expanded any more.
//!
//! A macro that contains itself more than once, without a condition, is different: TeX itself
//! cannot process the paper.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::budget::{EXPANSION_BYTES, MAX_CALL_BYTES, MAX_NESTING, Pending};
use super::lexer::{MAX_GROUP_BYTES, blank_len};
use super::macros::{Form, Macro, commands, ignored_blank_len};
use super::reader::{Frame, FrameSource, Reader};
use crate::arxiv::unusable::Unusable;

/// Number of macros that are searched for a cycle.
const MAX_CYCLE: usize = 500;

impl Reader<'_> {
    /// Expands a call whose name ends at `at`, or prints the name if it is not a macro that is
    /// expanded.
    pub(super) fn expand(&mut self, name: &str, at: usize) -> Result<(), Unusable> {
        let Some(known) = self.macros.get(name).map(Rc::clone) else {
            return self.emit_command(name);
        };
        if let Form::Opaque { has_heading } = known.form {
            if has_heading && self.paper.document.is_some() {
                self.paper.headings.push(self.paper.text.len());
            }
            return self.emit_command(name);
        }
        if !self.limits.expands || self.budget.is_spent() {
            return self.emit_command(name);
        }
        let in_file = self.is_in_file();
        // Arguments can follow the end of the value that ends with the call.
        while self.is_in_finished_value() {
            self.pop();
        }
        let Some(frame) = self.frames.last() else { return self.emit_command(name) };
        let (text, from) = (Rc::clone(&frame.text), frame.at);
        let after = &text[from..];
        if known.form == Form::Alias {
            return self.emit(&known.value);
        }
        let Some(call) = known.call(after) else {
            self.budget.search(after.len());
            let grows = self.budget.calls.last().is_some_and(|it| it.bytes > MAX_GROUP_BYTES);
            return if grows { self.give_up() } else { self.emit_command(name) };
        };
        self.budget.search(call.searched);
        let cost = known.expanded_len(&call).saturating_add(EXPANSION_BYTES);
        self.start_call(name, at, in_file);
        if !self.pays(cost) {
            return self.give_up();
        }
        let value = known.expanded(&call);
        let is_bare = known.arguments.is_empty();
        self.push_value(name, &value, is_bare, (from, call.len, after), known.at_letter);
        Ok(())
    }

    fn push_value(
        &mut self,
        name: &str,
        value: &Rc<str>,
        is_bare: bool,
        (from, len, after): (usize, usize, &str),
        at_letter: bool,
    ) {
        // `\xspace` keeps the space that TeX ignores after the name of a macro.
        let spaced = value.trim_end().strip_suffix("\\xspace").filter(|_| is_bare);
        let blank = match spaced {
            None if is_bare => ignored_blank_len(name, value, after),
            _ => 0,
        };
        self.set_at(from + len + blank);
        self.is_joint = true;
        let text = spaced.map_or_else(|| Rc::clone(value), Rc::from);
        let source = FrameSource::Macro { at_letter };
        self.frames.push(Frame { text, at: 0, source, unended: BTreeSet::new() });
    }

    fn is_in_finished_value(&self) -> bool {
        self.frames.last().is_some_and(|frame| {
            matches!(frame.source, FrameSource::Macro { .. }) && frame.at >= frame.text.len()
        })
    }

    fn is_in_file(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { source: FrameSource::File { .. }, .. }))
    }

    /// Notes a call in a file, whose name ends at `at`. Calls in the values of macros belong to it,
    /// also the one that ends a value, which is no longer among the frames then.
    fn start_call(&mut self, name: &str, at: usize, in_file: bool) {
        let frames = self.frames.len();
        self.budget.calls.retain(|call| call.frames < frames + usize::from(!in_file));
        if !in_file {
            return;
        }
        self.budget.calls.push(Pending {
            name: name.to_owned(),
            frames,
            resume: at,
            text: self.paper.text.len(),
            conditions: self.conditions.entered.len(),
            groups: self.macros.depth(),
            bytes: 0,
        });
    }

    /// Takes the cost of an expansion from the budgets; returns `false` if the call has none left.
    fn pays(&mut self, cost: usize) -> bool {
        self.budget.expanded = self.budget.expanded.saturating_add(cost);
        let Some(call) = self.budget.calls.last_mut() else { return true };
        call.bytes = call.bytes.saturating_add(cost);
        let nested = self.frames.len() - call.frames.min(self.frames.len());
        call.bytes <= MAX_CALL_BYTES && nested <= MAX_NESTING
    }

    /// Prints the call in the file as it is, and makes its macro opaque.
    fn give_up(&mut self) -> Result<(), Unusable> {
        let Some(call) = self.budget.calls.pop() else { return Ok(()) };
        if self.multiplies(&call.name) {
            return Err(Unusable::Endless { name: call.name });
        }
        self.budget.given_up += 1;
        self.frames.truncate(call.frames);
        self.set_at(call.resume);
        self.paper.truncate(call.text);
        self.conditions.entered.truncate(call.conditions);
        self.macros.close_to(call.groups);
        self.macros.define(call.name.clone(), Rc::new(Macro::opaque()), true);
        self.emit_command(&call.name)
    }

    /// Returns whether the expansion of a macro contains the macro itself more than once.
    fn multiplies(&self, name: &str) -> bool {
        let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut waiting = vec![name.to_owned()];
        while let Some(name) = waiting.pop() {
            if calls.contains_key(&name) || calls.len() > MAX_CYCLE {
                continue;
            }
            let Some(known) = self.macros.get(&name).filter(|it| it.form == Form::Text) else {
                continue;
            };
            let called = commands(&known.value, true).map(str::to_owned);
            let called: Vec<_> = called.collect();
            waiting.extend(called.iter().cloned());
            calls.insert(name, called);
        }
        let returns = |from: &str| {
            let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
            while let Some(at) = waiting.pop() {
                for next in calls.get(at).into_iter().flatten() {
                    if next == name {
                        return true;
                    }
                    if seen.insert(next) {
                        waiting.push(next);
                    }
                }
            }
            false
        };
        let cycle: BTreeSet<&str> =
            calls.keys().map(String::as_str).filter(|it| returns(it)).collect();
        let within =
            |calls: &Vec<String>| calls.iter().filter(|it| cycle.contains(it.as_str())).count();
        let returning = cycle.iter().filter_map(|it| calls.get(*it)).map(within).sum::<usize>();
        cycle.contains(name) && returning > cycle.len()
    }

    /// Replaces macros without arguments in the name of a file.
    pub(super) fn expand_name(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for _ in 0..8 {
            let Some(slash) = name.find('\\') else { break };
            let Some(command) = commands(&name[slash..], false).next().map(str::to_owned) else {
                break;
            };
            let known = self.macros.get(&command).filter(|it| it.form == Form::Text);
            let Some(known) = known.filter(|it| it.arguments.is_empty()) else { break };
            let rest = &name[slash + 1 + command.len()..];
            let rest = &rest[blank_len(rest)..];
            name = format!("{}{}{rest}", &name[..slash], known.value);
            if name.len() > 1000 {
                break;
            }
        }
        name
    }
}
