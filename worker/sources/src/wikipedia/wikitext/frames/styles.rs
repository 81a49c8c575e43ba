//! Handles bold and italics: runs of ticks, which are removed in pairs.

use super::{Kind, MAX_OPEN, SECTION, Stripper, collapsed};

impl Stripper<'_> {
    /// Consumes a run of ticks. Ticks without a partner are kept as text.
    pub(super) fn style(&mut self) {
        let rest = &self.page.as_bytes()[self.at..];
        let run = rest.iter().take_while(|byte| **byte == b'\'').count();
        self.at += run;
        let ticks = match run {
            4 => 3,
            6.. => 5,
            _ => run,
        };
        self.push(&"'".repeat(run - ticks));
        let mut left = ticks;
        while left > 0 {
            left -= self.one_style(left);
        }
    }

    /// Consumes up to `left` ticks, and returns how many.
    fn one_style(&mut self, left: usize) -> usize {
        match self.frames.last().map(|frame| &frame.kind) {
            Some(Kind::Style(open)) if *open == left => {
                self.close_style();
                return left;
            }
            // Both are open, and these ticks close the inner one, whichever it is.
            Some(Kind::Style(5)) => {
                self.close_inner_style(left);
                return left;
            }
            Some(Kind::Style(open)) if left == 5 => {
                let open = *open;
                self.close_style();
                return open;
            }
            _ => {}
        }
        let styles = self.frames.iter().rev().take_while(|f| matches!(f.kind, Kind::Style(_)));
        let depth = styles.take(2).position(|f| matches!(f.kind, Kind::Style(t) if t == left));
        if depth == Some(1) {
            self.turn_into_text_above(self.frames.len() - 2);
            self.close_style();
            return left;
        }
        let opener = "'".repeat(left);
        if self.frames.len() < MAX_OPEN {
            self.open(Kind::Style(left), &opener);
        } else {
            self.push(&opener);
        }
        left
    }

    fn close_style(&mut self) {
        if let Some(frame) = self.frames.pop() {
            // A heading inside a style starts no section.
            self.push(&collapsed(&frame.text).replace(SECTION, ""));
        }
    }

    fn close_inner_style(&mut self, ticks: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.text = collapsed(&frame.text).replace(SECTION, "");
            frame.kind = Kind::Style(5 - ticks);
            frame.opener.truncate(5 - ticks);
        }
    }
}
