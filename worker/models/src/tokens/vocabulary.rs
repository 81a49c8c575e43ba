//! The vocabulary of a `tokenizer.json`: its size, and the numbers of tokens that a job names.

use std::path::Path;

use serde_json::Value;

use super::{MAX_FILE_BYTES, TokenError};

/// Vocabularies below this size are stored with 16 bits a token, as Megatron-LM and GPT-NeoX do.
const SIXTEEN_BITS_BELOW: u32 = 65_500;

/// The vocabulary of a tokenizer.
#[derive(Debug)]
pub struct Vocabulary {
    name: String,
    json: Value,
    size: u32,
}

/// Number of bytes of a token in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenWidth {
    /// Unsigned, 16 bits.
    Two,
    /// Signed, 32 bits.
    Four,
}

impl TokenWidth {
    /// Returns the number of bytes of a token.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

impl Vocabulary {
    /// Reads the vocabulary of a `tokenizer.json`.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let name = path.display().to_string();
        let failed = |error: String| TokenError::Load { name: name.clone(), error };
        let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if size > MAX_FILE_BYTES {
            return Err(failed(format!("it has `{size}` bytes, more than any real one")));
        }
        let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        Self::from_json(&text, &name)
    }

    /// Reads the text of a `tokenizer.json`; `name` is for messages.
    pub fn from_json(text: &[u8], name: &str) -> Result<Self, TokenError> {
        let failed = |error: String| TokenError::Load { name: name.to_owned(), error };
        let json: Value =
            serde_json::from_slice(text).map_err(|error| failed(error.to_string()))?;
        let number = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let of_model: Box<dyn Iterator<Item = u32>> = match json.pointer("/model/vocab") {
            Some(Value::Object(vocabulary)) => Box::new(vocabulary.values().filter_map(number)),
            // A list of pieces with their scores; a piece's number is its place.
            Some(Value::Array(pieces)) => {
                Box::new(pieces.len().checked_sub(1).map(|n| n as u32).into_iter())
            }
            _ => return Err(failed("it has no `model.vocab`".to_owned())),
        };
        let added = added(&json).filter_map(|token| number(token.get("id")?));
        let largest = of_model.chain(added).max();
        let size = largest.and_then(|largest| largest.checked_add(1));
        let size = size.ok_or_else(|| failed("its vocabulary is empty".to_owned()))?;
        Ok(Self { name: name.to_owned(), json, size })
    }

    /// Returns the smallest number that no token has or follows.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Returns how many bytes a token needs in a file.
    pub fn width(&self) -> TokenWidth {
        if self.size < SIXTEEN_BITS_BELOW { TokenWidth::Two } else { TokenWidth::Four }
    }

    /// Returns the number of a token.
    pub fn id(&self, token: &str) -> Result<u32, TokenError> {
        let of_added = added(&self.json)
            .find(|added| added.get("content").and_then(Value::as_str) == Some(token))
            .and_then(|added| added.get("id"));
        let vocabulary = self.json.pointer("/model/vocab");
        let of_names = || vocabulary?.as_object()?.get(token)?.as_u64();
        let of_pieces = || {
            let is_token = |piece: &Value| piece.get(0).and_then(Value::as_str) == Some(token);
            let place = vocabulary?.as_array()?.iter().position(is_token);
            place.map(|place| place as u64)
        };
        let of_model = || of_names().or_else(of_pieces);
        let found = of_added.and_then(Value::as_u64).or_else(of_model);
        found.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| TokenError::Unknown {
            name: self.name.clone(),
            token: token.to_owned(),
            known: self.special_tokens().join("`, `"),
        })
    }

    /// Returns the first special tokens, for messages.
    fn special_tokens(&self) -> Vec<String> {
        let special =
            added(&self.json).filter(|token| token.get("special") == Some(&Value::Bool(true)));
        let names = special.filter_map(|token| token.get("content")?.as_str().map(str::to_owned));
        names.take(5).collect()
    }
}

fn added(json: &Value) -> impl Iterator<Item = &Value> {
    json.get("added_tokens").and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(text: &str) -> Vocabulary {
        Vocabulary::from_json(text.as_bytes(), "t.json").unwrap()
    }

    #[test]
    fn tokens_are_found_among_the_added_ones_and_in_the_model() {
        let text = r#"{"added_tokens": [{"id": 9, "content": "<eod>", "special": true}],
                       "model": {"vocab": {"a": 0, "b": 3}}}"#;
        let found = vocabulary(text);
        assert_eq!((found.size(), found.width()), (10, TokenWidth::Two));
        assert_eq!((found.id("<eod>").unwrap(), found.id("b").unwrap()), (9, 3));
        let error = found.id("</s>").unwrap_err().to_string();
        assert!(error.contains("`</s>`") && error.contains("`<eod>`"), "{error}");
        let pieces = vocabulary(r#"{"model": {"vocab": [["<unk>", 0], ["</s>", -1.5]]}}"#);
        assert_eq!((pieces.size(), pieces.id("</s>").unwrap()), (2, 1));
        assert!(Vocabulary::from_json(b"{\"model\": {}}", "t.json").is_err());
        assert!(Vocabulary::from_json(b"{\"model\": {\"vocab\": {}}}", "t.json").is_err());
    }

    #[test]
    fn large_vocabularies_need_four_bytes_a_token() {
        for (id, width) in [(65_498, TokenWidth::Two), (65_499, TokenWidth::Four)] {
            let text = format!("{{\"model\": {{\"vocab\": {{\"a\": {id}}}}}}}");
            assert_eq!(vocabulary(&text).width(), width, "{id}");
        }
    }
}
