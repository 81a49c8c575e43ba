//! Keeps the digits of numbers that no 64-bit type can hold.
//!
//! Such a number becomes a string of its digits as they are written, before the line is parsed:
//! `12345678901234567890123` would otherwise be `1.2345678901234568e22`. Numbers whose value is
//! exact stay numbers.

use std::borrow::Cow;

/// Number of digits that identify any 64-bit float, so that writers of floats give no more.
const FLOAT_DIGITS: usize = 17;

/// Returns the line with numbers in quotation marks that would lose digits.
pub(super) fn exact(line: &str) -> Cow<'_, str> {
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    let bytes = line.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let (end, has_exponent) = end_of_number(bytes, at);
                // Most numbers are short, and need no second look.
                let may_lose = has_exponent || end - at > FLOAT_DIGITS;
                if may_lose && loses_digits(&line[at..end]) {
                    out.push_str(&line[copied..at]);
                    out.push('"');
                    out.push_str(&line[at..end]);
                    out.push('"');
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(line);
    }
    out.push_str(&line[copied..]);
    Cow::Owned(out)
}

/// Returns the position after a number that starts at `at`, and whether it has an exponent.
fn end_of_number(bytes: &[u8], at: usize) -> (usize, bool) {
    let (mut end, mut has_exponent) = (at, false);
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'0'..=b'9' | b'+' | b'-' | b'.' => {}
            b'e' | b'E' => has_exponent = true,
            byte if byte.is_ascii_alphabetic() => {}
            _ => break,
        }
        end += 1;
    }
    (end, has_exponent)
}

/// Returns the position after a string that starts at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at.min(bytes.len())..]) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Returns whether a number is valid JSON, and no 64-bit type holds it: it is out of range, or has
/// more digits than any float.
fn loses_digits(number: &str) -> bool {
    let is_exponent = |byte: u8| matches!(byte, b'e' | b'E');
    let written = number.bytes().take_while(|byte| !is_exponent(*byte));
    let significant = written.filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
    if significant.count() <= FLOAT_DIGITS && !number.bytes().any(is_exponent) {
        return false;
    }
    if number.parse::<u64>().is_ok() || number.parse::<i64>().is_ok() {
        return false;
    }
    let is_number = serde_json::from_str::<&serde_json::value::RawValue>(number).is_ok();
    let Some(float) = number.parse::<f64>().ok().filter(|_| is_number) else { return false };
    let written = decimal(number);
    let is_in_range = float.is_finite() && (float != 0.0 || written.0.is_empty());
    !is_in_range || (written.0.len() > FLOAT_DIGITS && decimal(&format!("{float:e}")) != written)
}

/// Returns the digits of a number without zeros around them, and the power of ten of the last one.
/// Zero has none.
fn decimal(number: &str) -> (String, i64) {
    let number = number.trim_start_matches('-').to_ascii_lowercase();
    let (digits, exponent) = number.split_once('e').unwrap_or((&number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let dropped = (all.len() - kept.len()) as i64;
    let kept = kept.trim_start_matches('0').to_owned();
    // An exponent that is no number of this size is that of no float.
    let exponent: i64 = exponent.trim_start_matches('+').parse().unwrap_or(i64::from(i32::MAX));
    let power = if kept.is_empty() { 0 } else { exponent + dropped - fraction.len() as i64 };
    (kept, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_no_type_holds_are_kept_as_written() {
        for number in [
            "12345678901234567890123",
            "-9223372036854775809",
            "18446744073709551616",
            "0.12345678901234567890123",
            "3.141592653589793238462643",
            "1e400",
            "-1E999",
            "1e-400",
            "12345678901234567.5",
        ] {
            let line = format!("{{\"a\": {number}, \"b\": [{number}]}}");
            let expected = format!("{{\"a\": \"{number}\", \"b\": [\"{number}\"]}}");
            assert_eq!(exact(&line), expected);
        }
    }

    /// The library can round the last digit in its fast way.
    #[test]
    fn floats_are_read_and_written_with_all_digits() {
        for number in ["0.30000000000000004", "312.70000000000005", "2.2250738585072014e-308"] {
            let value: serde_json::Value = serde_json::from_str(number).unwrap();
            assert_eq!(value.to_string(), number);
        }
    }

    #[test]
    fn numbers_that_are_exact_stay_numbers() {
        for number in [
            "0",
            "-0.0",
            "7",
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "0.30000000000000004",
            "0.8234567890123457",
            "0.10000000000000001",
            "0.99999999999999994",
            "1e5",
            "1.50e+10",
            "100000000000000000000000",
            "2.2250738585072014e-308",
            "0.000000000000000000000000",
            "123e4x",
        ] {
            let line = format!("{{\"a\": {number}}}");
            assert_eq!(exact(&line), line);
        }
        let strings = r#"{"a\"1e400": "12345678901234567890123", "b": "x\\", "c": "\"#;
        assert_eq!(exact(strings), strings);
    }
}
