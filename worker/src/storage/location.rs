//! The names of inputs: plain paths, `file://`, `http://` and `https://`.
//!
//! Invariant: a `Location` is something that this build can open; other schemes are refused here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::StorageError;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    Path(PathBuf),
    /// An `http://` or `https://` address.
    Http(String),
}

impl FromStr for Location {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        let bad = |detail: &str| {
            let (location, detail) = (text.to_owned(), detail.to_owned());
            Err(StorageError::BadLocation { location, detail })
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { bad("it is empty") } else { Ok(Self::Path(text.into())) };
        };
        match scheme {
            "file" if rest.starts_with('/') => Ok(Self::Path(rest.into())),
            "file" => bad("a file URL names no host\nhint: write `file:///absolute/path`"),
            "http" | "https" if !rest.is_empty() => Ok(Self::Http(text.to_owned())),
            "http" | "https" => bad("it names no host"),
            "s3" => bad("this build cannot read S3 yet\nhint: CommonCrawl is also at \
                 `https://data.commoncrawl.org/`"),
            // A path may hold `://`, but nobody means one.
            _ => bad("its scheme is unknown\nhint: use a path, file://, http:// or https://"),
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Http(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_web_addresses_are_locations() {
        let parse = |text: &str| text.parse::<Location>().unwrap();
        assert_eq!(parse("a/b.gz"), Location::Path("a/b.gz".into()));
        assert_eq!(parse("file:///a/b.gz"), Location::Path("/a/b.gz".into()));
        assert_eq!(parse("https://h/x"), Location::Http("https://h/x".to_owned()));
        assert_eq!(parse("http://h/x").to_string(), "http://h/x");
    }

    #[test]
    fn other_schemes_are_refused_with_a_hint() {
        for text in ["s3://bucket/key", "ftp://h/x", "file://host/x", "https://", ""] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        let error = "s3://bucket/key".parse::<Location>().unwrap_err().to_string();
        assert!(error.contains("S3") && error.contains("hint:"), "{error}");
    }
}
