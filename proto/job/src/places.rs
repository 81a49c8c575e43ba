//! Checks that a job does not write into the folders that it reads.
//!
//! Its own shards could otherwise become its inputs, in this run or in the next one.

use std::path::Path;

use super::{JobError, JobSpec, SourceSpec};

impl JobSpec {
    /// Returns an error for an output that is a folder with inputs, or is below one.
    pub(super) fn check_places(&self) -> Result<(), JobError> {
        let output = self.output.path.trim_end_matches('/');
        for (index, source) in self.source.iter().enumerate() {
            if !may_list(source, output) {
                continue;
            }
            let problem = format!(
                "`{output}`, and `source[{index}]` reads `{}` below `{}`, so published files could \
                 be read as inputs",
                source.listing, source.base
            );
            let hint = "choose a folder for the output that has no inputs";
            return Err(JobError::invalid("output.path", problem, hint));
        }
        Ok(())
    }
}

/// Returns whether the listing of a source may name files of an output.
fn may_list(source: &SourceSpec, output: &str) -> bool {
    let base = source.base.trim_end_matches('/');
    if output == base {
        return true;
    }
    let Some(below) = output.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) else {
        return false;
    };
    let mut pattern = Path::new(&source.listing).components();
    for folder in Path::new(below).components() {
        match pattern.next().map(|part| part.as_os_str().to_string_lossy()) {
            Some(part) if part == "**" => return true,
            Some(part) if matches_name(&part, &folder.as_os_str().to_string_lossy()) => {}
            Some(_) | None => return false,
        }
    }
    // What is left of the listing names something inside of the output, or the output itself.
    pattern.next().is_some()
}

/// Returns whether a part of a pattern may match a name. Sets and alternatives count as a match.
fn matches_name(part: &str, name: &str) -> bool {
    if part.contains(['[', '{', '?']) {
        return true;
    }
    let mut pieces = part.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    if !part.contains('*') {
        return rest.is_empty();
    }
    let pieces: Vec<&str> = pieces.collect();
    let (last, middle) = pieces.split_last().expect("a part with `*` has two pieces or more");
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(base: &str, listing: &str, output: &str) -> Result<JobSpec, JobError> {
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"{listing}\"\n\
             base = \"{base}\"\n[language]\nmodel = \"none\"\n[output]\npath = \"{output}\"\n"
        );
        JobSpec::parse(&text, Path::new("/jobs"))
    }

    #[test]
    fn an_output_in_a_folder_of_inputs_is_refused() {
        for (base, listing, output) in [
            ("/data", "*.json.gz", "/data"),
            ("/data", "**/*.json.gz", "/data/corpus"),
            ("/data", "c*/documents/*.zst", "/data/corpus"),
            ("/data", "crawl/**", "/data/crawl/corpus"),
            ("s3://bucket/data", "**/*.gz", "s3://bucket/data/out"),
        ] {
            let error = parse(base, listing, output).unwrap_err().to_string();
            assert!(error.contains("`output.path` is") && error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn an_output_beside_the_inputs_is_accepted() {
        for (base, listing, output) in [
            (".", "*.json.gz", "corpus"),
            ("/data", "crawl/*/*.gz", "/data/corpus"),
            ("/data", "wet.paths.gz", "/data/corpus"),
            ("/data", "**/*.gz", "/data-2"),
            ("s3://bucket/data", "**/*.gz", "s3://bucket/out"),
        ] {
            assert!(parse(base, listing, output).is_ok(), "{base} {listing} {output}");
        }
    }
}
