//! Formats amounts for people: sizes, counts, rates, spans, times of day.
//!
//! Sizes are decimal (1 MB is 1,000,000 bytes), as disks and networks are sold.

/// Formats a size like `3.21 GB`, with three digits at least, and never rounded up to the next
/// unit.
pub fn bytes(amount: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if amount < 1000 {
        return format!("{amount} B");
    }
    let mut value = amount as f64 / 1000.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let digits = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {unit}")
}

/// Formats a count of things like `1 unit` or `1,234 units`.
pub fn counted(amount: u64, thing: &str) -> String {
    let ending = if amount == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", count(amount))
}

/// Formats a count like `1,234,567`.
pub fn count(amount: u64) -> String {
    let digits = amount.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats ``3 of the listed: `a`, `b` and 1 more``, for `all` items of which some are known by
/// name.
pub fn left_out_words<T: AsRef<str>>(
    all: u64,
    names: &[T],
    quote: impl Fn(&str) -> String,
) -> String {
    format!("{} of the listed: {}", count(all), first_names(all, names, quote))
}

/// Returns the first of `names`, and how many of `all` have no name here.
pub fn first_names<T: AsRef<str>>(all: u64, names: &[T], quote: impl Fn(&str) -> String) -> String {
    const NAMED: usize = 10;
    let named = names.iter().take(NAMED).map(|name| quote(name.as_ref()));
    let named: Vec<String> = named.collect();
    let more = match all.saturating_sub(named.len() as u64) {
        0 => String::new(),
        more => format!(" and {} more", count(more)),
    };
    format!("{}{more}", named.join(", "))
}

/// Formats a rate like `12.3 MB/s`, or a dash if no time has passed.
pub fn rate(amount: u64, millis: u64) -> String {
    match per_second(amount, millis) {
        Some(rate) => format!("{}/s", bytes(rate)),
        None => "-".to_owned(),
    }
}

/// Returns the amount per second, or `None` if no time has passed.
pub fn per_second(amount: u64, millis: u64) -> Option<u64> {
    let rate = (u128::from(amount) * 1000).checked_div(u128::from(millis))?;
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// Formats a span like `0.4 s`, `12 s`, `3m 05s`, `2h 07m`, `4d 03h`.
pub fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Formats a share like `12.3 %`, or a dash if the whole is zero.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.1} %", part as f64 * 100.0 / whole as f64)
}

/// Formats Unix milliseconds like `2026-03-01 12:00:00 UTC`, or a dash for 0, which means not yet.
pub fn utc(millis: u64) -> String {
    let time = i64::try_from(millis).ok().filter(|millis| *millis > 0);
    match time.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()) {
        Some(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_and_counts_have_commas() {
        let sizes = [0, 999, 1000, 12_345, 999_949, 999_951, 3_210_000_000, u64::MAX].map(bytes);
        assert_eq!(
            sizes,
            ["0 B", "999 B", "1.00 kB", "12.3 kB", "1000 kB", "1.00 MB", "3.21 GB", "18.4 EB"]
        );
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn spans_rates_and_shares_are_short() {
        let spans = [450, 12_000, 185_000, 7_620_000, 356_400_000].map(span);
        assert_eq!(spans, ["0.4 s", "12 s", "3m 05s", "2h 07m", "4d 03h"]);
        assert_eq!((rate(5_000_000, 2000), rate(5, 0)), ("2.50 MB/s".to_owned(), "-".to_owned()));
        assert_eq!((share(1, 8), share(0, 0)), ("12.5 %".to_owned(), "-".to_owned()));
        assert_eq!(utc(1_772_366_400_000), "2026-03-01 12:00:00 UTC");
        assert_eq!(utc(0), "-");
    }
}
