//! The names of inputs and outputs: plain paths, `file://`, `http://`, `https://` and `s3://`.
//!
//! Invariant: this build can open every `Location`; other schemes are refused here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::StorageError;

/// Where an input or output is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// A path on a file system.
    Path(PathBuf),
    /// An `http://` or `https://` URL.
    Http(String),
    /// An object, or, if the key is a prefix, a set of objects.
    S3 { bucket: String, key: String },
}

impl Location {
    /// Returns the location `name` below this one.
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Path(path) => Self::Path(path.join(name)),
            Self::Http(url) => Self::Http(format!("{}/{name}", url.trim_end_matches('/'))),
            Self::S3 { bucket, key } => {
                let key = key.trim_end_matches('/');
                let key = if key.is_empty() { name.to_owned() } else { format!("{key}/{name}") };
                Self::S3 { bucket: bucket.clone(), key }
            }
        }
    }
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
            "file" => bad("a file URL must not name a host\nhint: write `file:///absolute/path`"),
            "http" | "https" if !rest.is_empty() => Ok(Self::Http(text.to_owned())),
            "http" | "https" => bad("it names no host"),
            "s3" => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return bad("it names no bucket\nhint: write `s3://bucket/key`");
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            // A path may contain `://`, but that is never what is meant.
            _ => {
                bad("its scheme is unknown\nhint: use a path, s3://, file://, http:// or https://")
            }
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
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
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
        let object = Location::S3 { bucket: "b".to_owned(), key: "a/k.gz".to_owned() };
        assert_eq!(parse("s3://b/a/k.gz"), object);
        assert_eq!(object.to_string(), "s3://b/a/k.gz");
    }

    #[test]
    fn a_place_below_another_has_one_slash_between() {
        for (place, below) in [
            ("/out", "/out/a/b"),
            ("s3://bucket/out/", "s3://bucket/out/a/b"),
            ("s3://bucket", "s3://bucket/a/b"),
            ("https://h/out", "https://h/out/a/b"),
        ] {
            assert_eq!(place.parse::<Location>().unwrap().join("a/b").to_string(), below);
        }
    }

    #[test]
    fn other_schemes_are_refused_with_a_hint() {
        for text in ["s3://", "s3:///key", "ftp://h/x", "file://host/x", "https://", ""] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        let error = "ftp://h/x".parse::<Location>().unwrap_err().to_string();
        assert!(error.contains("s3://") && error.contains("hint:"), "{error}");
    }
}
