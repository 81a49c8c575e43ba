//! Parses a walltime as people and batch systems write it.

use std::time::Duration;

use thresher_job::Span;

const DAY_SECONDS: u64 = 24 * 3600;

/// Parses `6h`, `90m`, `1d`, and hours and minutes as batch systems write them: `6:00`, `06:00:00`,
/// with days before them `1-12`, `1-12:00`, `1-12:00:00`.
pub(super) fn parse_walltime(text: &str) -> Result<Duration, String> {
    let seconds = if text.contains([':', '-']) { clock(text) } else { span(text) };
    match seconds {
        Some(0) | None if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => {
            // Slurm and LSF read a bare number as minutes, some people as hours.
            Err(format!("`{text}` may be hours or minutes; write `{text}h` or `{text}m`"))
        }
        Some(0) | None => Err(format!(
            "`{text}` is not a valid walltime; write it like `6h`, `90m`, `1d`, `6:00` (hours and \
             minutes) or `1-12:00:00`"
        )),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

fn span(text: &str) -> Option<u64> {
    let (text, times) = match text.strip_suffix('d') {
        Some(days) => (format!("{days}h"), 24),
        None => (text.to_owned(), 1),
    };
    let span: Span = text.parse().ok()?;
    // Batch systems know only whole seconds.
    span.0.as_secs().checked_mul(times)
}

fn clock(text: &str) -> Option<u64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(number(days)?), rest),
        None => (None, text),
    };
    let parts = rest.splitn(4, ':').map(number).collect::<Option<Vec<u64>>>()?;
    let (hours, minutes, seconds) = match (days, parts.as_slice()) {
        (_, &[h, m, s]) => (h, m, s),
        // As in LSF; Slurm reads minutes and seconds if no days are before them.
        (_, &[h, m]) => (h, m, 0),
        (Some(_), &[h]) => (h, 0, 0),
        _ => return None,
    };
    let fine = minutes < 60 && seconds < 60 && (days.is_none() || hours < 24);
    fine.then(|| days.unwrap_or(0) * DAY_SECONDS + hours * 3600 + minutes * 60 + seconds)
}

/// Parses a number of at most five digits, so that no sum overflows.
fn number(text: &str) -> Option<u64> {
    let fine = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walltime_is_read_as_people_and_batch_systems_write_it() {
        let seconds = |text: &str| parse_walltime(text).map(|time| time.as_secs()).ok();
        let cases = [
            ("6h", 21_600),
            ("90m", 5400),
            ("1d", 86_400),
            ("1.5d", 129_600),
            ("6:00", 21_600),
            ("00:30:10", 1810),
            ("48:00:00", 172_800),
            ("1-12", 129_600),
            ("1-12:30", 131_400),
            ("1-00:00:00", 86_400),
            ("2-23:59:59", 259_199),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        let no = ["", "6", "0h", "0d", "d", "6:60", "1:2:3:4", "-1h", "0:00", "x:y", "1-", "-1"];
        for text in no.into_iter().chain(["1-24", "1-2-3", "1-0:60", "0-0", "1d-2", "100000-0"]) {
            assert_eq!(seconds(text), None, "{text}");
        }
        let bare = parse_walltime("6").unwrap_err();
        assert!(bare.contains("`6h` or `6m`"), "{bare}");
    }
}
