//! An amount in a mix file, as people write it.

use serde::Deserialize;
use toml::Value;

/// A number, or a text such as `1.5T`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Amount(pub(super) f64);

impl TryFrom<Value> for Amount {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let written = value.as_str().map(|text| text.trim().to_owned());
        let text = written.unwrap_or_else(|| value.to_string());
        let (digits, factor) = match text.char_indices().next_back() {
            Some((end, 'k')) => (&text[..end], 1e3),
            Some((end, 'M')) => (&text[..end], 1e6),
            Some((end, 'B' | 'G')) => (&text[..end], 1e9),
            Some((end, 'T')) => (&text[..end], 1e12),
            Some(_) | None => (text.as_str(), 1.0),
        };
        let number = digits.trim().parse::<f64>().ok().map(|number| number * factor);
        number.filter(|number| number.is_finite() && *number >= 0.0).map(Self).ok_or_else(|| {
            format!("`{text}` is not an amount; write it like `20B`, `1.5T` or `5000`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let read = |value: Value| Amount::try_from(value).map(|Amount(amount)| amount);
        assert_eq!(read("2T".into()), Ok(2e12));
        assert_eq!(read("1.5 B".into()), Ok(1.5e9));
        assert_eq!(read(5000.into()), Ok(5000.0));
        for wrong in ["", "many", "-1", "2X"] {
            assert!(read(wrong.into()).is_err(), "{wrong}");
        }
    }
}
