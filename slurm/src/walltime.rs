//! Slurm's notation for lengths of time. A bare number is minutes, not seconds.

use std::time::Duration;

use thresher_site::batch::ParseError;

const DAY_SECONDS: u64 = 86_400;

/// Writes `HH:MM:SS`, or `D-HH:MM:SS` from a day on; part of a second counts as a whole one.
pub fn print_walltime(time: Duration) -> String {
    let seconds = whole_seconds(time);
    let (days, rest) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days}-{clock}") }
}

/// Reads `m`, `m:s`, `h:m:s`, `d-h`, `d-h:m`, `d-h:m:s`; returns `None` for an unlimited or unknown
/// time.
pub fn parse_walltime(text: &str) -> Result<Option<Duration>, ParseError> {
    match text {
        "UNLIMITED" | "INFINITE" | "NOT_SET" | "Partition_Limit" | "N/A" => return Ok(None),
        // This is what is left of a time that has ended.
        "INVALID" => return Ok(Some(Duration::ZERO)),
        _ => {}
    }
    let seconds = parse_seconds(text).ok_or_else(|| ParseError::bad("length of time", text))?;
    Ok(Some(Duration::from_secs(seconds)))
}

/// Rounds up to whole seconds.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn parse_seconds(text: &str) -> Option<u64> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let parts = clock.splitn(4, ':').map(number).collect::<Option<Vec<_>>>()?;
    // After days, the first number is hours; without days, two numbers end with seconds.
    let (hours, minutes, seconds) = match (days, parts.as_slice()) {
        (_, &[h, m, s]) => (h, m, s),
        (None, &[m, s]) => (0, m, s),
        (None, &[m]) => (0, m, 0),
        (Some(_), &[h, m]) => (h, m, 0),
        (Some(_), &[h]) => (h, 0, 0),
        (_, _) => return None,
    };
    Some(days.unwrap_or(0) * DAY_SECONDS + hours * 3600 + minutes * 60 + seconds)
}

/// Reads at most nine digits, so that no sum of them overflows.
fn number(text: &str) -> Option<u64> {
    let fine = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_manual_is_read() {
        let cases = [
            ("4", 240),
            ("90:30", 90 * 60 + 30),
            ("0:08", 8),
            ("06:00:00", 21_600),
            ("2-1", 2 * 86_400 + 3600),
            ("2-1:30", 2 * 86_400 + 5400),
            ("1-01:59:56", 86_400 + 7196),
            ("364-23:59:59", 365 * 86_400 - 1),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_walltime(text), Ok(Some(Duration::from_secs(seconds))), "{text}");
        }
    }

    #[test]
    fn no_limit_is_not_a_length_and_a_time_that_is_over_is_zero() {
        for text in ["UNLIMITED", "NOT_SET", "Partition_Limit"] {
            assert_eq!(parse_walltime(text), Ok(None), "{text}");
        }
        assert_eq!(parse_walltime("INVALID"), Ok(Some(Duration::ZERO)));
    }

    #[test]
    fn what_is_printed_reads_back() {
        for seconds in [0, 1, 59, 60, 3599, 3600, 86_399, 86_400, 31_535_999] {
            let time = Duration::from_secs(seconds);
            assert_eq!(parse_walltime(&print_walltime(time)), Ok(Some(time)));
        }
        assert_eq!(print_walltime(Duration::from_secs(93_784)), "1-02:03:04");
        assert_eq!(print_walltime(Duration::from_millis(1)), "00:00:01");
    }

    #[test]
    fn invalid_lengths_of_time_are_refused() {
        let texts = ["", ":", "1:", "1:2:3:4", "1-", "-1", "1-2-3", "1h", "+4", " 4", "9999999999"];
        for text in texts.into_iter().chain(["1-2:3:4:5", "unlimited"]) {
            assert!(parse_walltime(text).is_err(), "{text:?}");
        }
    }
}
