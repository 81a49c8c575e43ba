//! Fields of rows whose writers did not keep to one type.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The reason for a row without a text.
const REASON_NO_TEXT: &str = "json_no_text";
/// The reason for a row whose text is not a string.
const REASON_TEXT_TYPE: &str = "json_text_type";

/// The text of a row. If it is not a string, the row cannot be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Text {
    /// The row has no such field.
    #[default]
    Missing,
    Null,
    /// Another value, such as `a number`.
    Other(&'static str),
    Is(String),
}

impl Text {
    /// Returns the text, or the reason and the detail of a quarantined row; `field` is its name.
    pub(crate) fn get(&self, field: &str) -> Result<&str, (&'static str, String)> {
        match self {
            Self::Is(text) => Ok(text),
            Self::Missing => Err((REASON_NO_TEXT, format!("the row has no `{field}`"))),
            Self::Null => Err((REASON_NO_TEXT, format!("`{field}` is null"))),
            Self::Other(what) => {
                Err((REASON_TEXT_TYPE, format!("`{field}` is {what}, not a string")))
            }
        }
    }
}

/// A field beside the text: a number is read as its digits, and anything else that is not a string
/// as an empty text, because the text can be read without it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loose(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue).map(|value| match value {
            Value::Text(text) => Self::Is(text),
            Value::Null => Self::Null,
            Value::Number(_) => Self::Other("a number"),
            Value::Other(what) => Self::Other(what),
        })
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue).map(|value| match value {
            Value::Text(text) | Value::Number(text) => Self(text),
            Value::Null | Value::Other(_) => Self::default(),
        })
    }
}

enum Value {
    Text(String),
    Null,
    Number(String),
    Other(&'static str),
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other("true or false"))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an object"))
    }
}
