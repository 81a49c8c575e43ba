//! Dates and licences: from the words of an input to ISO 8601 and SPDX.
//!
//! Inputs write a date in many ways (`20240220220922`, `June 1, 2010`, `1913`), and a reader that
//! infers types from rows fails at the second. What cannot be converted without a guess is not
//! converted; the schema keeps the input's own words beside.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Forms of a whole date in English.
const DATES: [&str; 6] =
    ["%B %d, %Y", "%d %B %Y", "%B %d %Y", "%b %d, %Y", "%d %b %Y", "%b. %d, %Y"];
/// Forms of a month in English.
const MONTHS: [&str; 3] = ["%B, %Y", "%B %Y", "%b %Y"];

/// Returns a date in ISO 8601, as exact as the input states it: a year, a month, a day, or a time
/// in UTC. A time without a zone is taken as UTC.
pub(super) fn date_of(stated: &str) -> Option<String> {
    let stated = stated.trim();
    if stated.is_empty() || !stated.is_ascii() {
        return None;
    }
    if stated.bytes().all(|byte| byte.is_ascii_digit()) {
        return date_of_digits(stated);
    }
    if let Some((year, month)) = stated.split_once('-')
        && let Some(date) = month_of(year, month)
    {
        return Some(date);
    }
    if stated.len() == "2024-02-20".len()
        && let Ok(date) = stated.parse::<Date>()
    {
        return Some(date.to_string());
    }
    if let Ok(time) = stated.parse::<Timestamp>() {
        return Some(time.to_string());
    }
    if let Ok(time) = stated.parse::<DateTime>() {
        return in_utc(time);
    }
    if let Ok(time) = jiff::fmt::rfc2822::parse(stated) {
        return Some(Zoned::timestamp(&time).to_string());
    }
    for form in DATES {
        // A blank of a form also fits nothing: `May 2005` would be the 20th of May 05.
        if let Ok(date) = Date::strptime(form, stated)
            && date.year() >= 1000
        {
            return Some(date.to_string());
        }
    }
    let month = MONTHS.iter().find_map(|form| strtime::parse(form, stated).ok())?;
    Some(format!("{:04}-{:02}", month.year()?, month.month()?))
}

/// Returns the date of `2024`, `20240220` or `20240220220922`.
fn date_of_digits(digits: &str) -> Option<String> {
    match digits.len() {
        4 => (digits != "0000").then(|| digits.to_owned()),
        8 => Some(Date::strptime("%Y%m%d", digits).ok()?.to_string()),
        14 => in_utc(DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?),
        _ => None,
    }
}

/// Returns the month of `2024` and `02`.
fn month_of(year: &str, month: &str) -> Option<String> {
    let is_month = year.len() == 4 && month.len() == 2 && matches!(month.parse(), Ok(1..=12_u8));
    (is_month && year.parse::<u16>().is_ok()).then(|| format!("{year}-{month}"))
}

fn in_utc(time: DateTime) -> Option<String> {
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().to_string())
}

/// Returns the SPDX expression of a licence, or `None` if its words are not exact: `bsd` may be one
/// of several. Licences after commas all apply.
pub(super) fn licence_of(stated: &str) -> Option<String> {
    let parts: Option<Vec<String>> = stated.split(',').map(|part| id_of(part.trim())).collect();
    let mut parts = parts?;
    parts.sort();
    parts.dedup();
    Some(parts.join(" AND "))
}

/// Returns the SPDX identifier of one licence.
fn id_of(stated: &str) -> Option<String> {
    let name = match creative_commons(stated) {
        Some(name) => name,
        None => stated.replace(' ', "-"),
    };
    let known = spdx::identifiers::LICENSES.iter().map(|licence| licence.name);
    if let Some(id) = known.into_iter().find(|id| id.eq_ignore_ascii_case(&name)) {
        return Some(id.to_owned());
    }
    let is_expression = stated.contains(' ') && spdx::Expression::parse(stated).is_ok();
    is_expression.then(|| stated.to_owned())
}

/// Returns the name of a licence that is given by its address at Creative Commons.
fn creative_commons(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("creativecommons.org/")?;
    let mut parts = rest.split('/');
    match (parts.next()?, parts.next()?, parts.next()?) {
        ("publicdomain", "zero", version) => Some(format!("CC0-{version}")),
        ("licenses", kind, version) => Some(format!("CC-{kind}-{version}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_exact_as_they_are_stated() {
        for (stated, date) in [
            ("2024-02-20T22:09:22Z", "2024-02-20T22:09:22Z"),
            ("2014-05-13T23:58:30.457", "2014-05-13T23:58:30.457Z"),
            ("2019-04-25T12:57:54+02:00", "2019-04-25T10:57:54Z"),
            ("2019-04-25 12:57:54", "2019-04-25T12:57:54Z"),
            ("20240220220922", "2024-02-20T22:09:22Z"),
            ("20240220", "2024-02-20"),
            ("2024-02-20", "2024-02-20"),
            ("2024-02", "2024-02"),
            ("1913", "1913"),
            ("June 1, 2010", "2010-06-01"),
            ("1 June 2010", "2010-06-01"),
            ("Jun 1, 2010", "2010-06-01"),
            ("September, 1994", "1994-09"),
            ("May 2005", "2005-05"),
            ("Tue, 20 Feb 2024 22:09:22 GMT", "2024-02-20T22:09:22Z"),
        ] {
            assert_eq!(date_of(stated).as_deref(), Some(date), "{stated}");
        }
        for stated in
            ["", "unknown", "2024-13-01", "2023-02-29", "20241301", "123", "99999999999999", "０"]
        {
            assert_eq!(date_of(stated), None, "{stated}");
        }
    }

    #[test]
    fn licences_are_spdx_or_unknown() {
        for (stated, id) in [
            ("mit", "MIT"),
            ("apache-2.0", "Apache-2.0"),
            ("bsd-3-clause", "BSD-3-Clause"),
            ("ODC-BY-1.0", "ODC-By-1.0"),
            ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
            ("CC BY-SA 3.0, CC BY-SA 4.0", "CC-BY-SA-3.0 AND CC-BY-SA-4.0"),
            ("https://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
            ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ] {
            assert_eq!(licence_of(stated).as_deref(), Some(id), "{stated}");
        }
        for stated in ["", "bsd", "CC-BY-SA", "public domain (US)", "mit, mine", "see the file"] {
            assert_eq!(licence_of(stated), None, "{stated}");
        }
    }
}
