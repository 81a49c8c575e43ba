//! The section of the card that says what a reader cannot expect of the documents: what is missing,
//! and which duplicates are still there.

use std::fmt::Write as _;

use thresher_job::{JobSpec, NearAction, Slice, SourceSpec, Step};

use super::super::manifest::Manifest;

/// What was done about the documents of a source that are much alike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    /// Near-duplicates of all sources were compared.
    Compared,
    /// Near-duplicates were searched in the source alone.
    ComparedWithin,
    /// Only documents with the same text were removed.
    Exact,
    /// Nothing was removed.
    All,
    /// The documents are those of an earlier output.
    Earlier,
}

const KINDS: [Duplicates; 5] = [
    Duplicates::Compared,
    Duplicates::ComparedWithin,
    Duplicates::Exact,
    Duplicates::All,
    Duplicates::Earlier,
];

impl Duplicates {
    fn of(job: &JobSpec, source: &SourceSpec) -> Self {
        if job.compares_bands(source) {
            Self::Compared
        } else if job.has_step(source, Step::Near) {
            Self::ComparedWithin
        } else if job.has_step(source, Step::Documents) {
            Self::Exact
        } else if source.slice == Slice::Corpus {
            Self::Earlier
        } else {
            Self::All
        }
    }

    /// Returns a sentence about sources, whose names are given.
    fn sentence(self, names: &str, action: NearAction) -> String {
        match (self, action) {
            (Self::Compared, NearAction::Drop) => {
                format!("Near-duplicates were removed over all documents of {names}.")
            }
            (Self::Compared, NearAction::Annotate) => format!(
                "Near-duplicates in {names} are all here: documents that are much alike have the \
                 same `cluster`."
            ),
            (Self::ComparedWithin, _) => format!(
                "Near-duplicates were removed within each of {names}, and not searched between \
                 sources."
            ),
            (Self::Exact, _) => format!(
                "Only exact duplicates were removed in {names}; texts that differ a little are all \
                 here."
            ),
            (Self::All, _) => format!("Duplicates were not removed in {names}."),
            (Self::Earlier, _) => format!(
                "{names} are documents of an earlier output, whose card says which duplicates were \
                 removed. Their `cluster_size` and `near_duplicates` count documents of that \
                 output."
            ),
        }
    }
}

/// Returns the section of a manifest.
pub(super) fn section(manifest: &Manifest) -> String {
    let mut text = "## Known limits\n\n".to_owned();
    let absent = manifest.absent_units.len() + manifest.absent_shards.len();
    if absent > 0 {
        let _ = writeln!(
            text,
            "* It is incomplete: {} units of inputs and {} shards could not be processed.",
            manifest.absent_units.len(),
            manifest.absent_shards.len()
        );
    }
    match JobSpec::from_recipe(&manifest.recipe) {
        Ok(job) => text.push_str(&of_duplicates(&job)),
        Err(_) => text.push_str("* The recipe, which is below, says which duplicates are here.\n"),
    }
    text.push_str(
        "* Nobody read the documents. They may have errors, personal data, and views that nobody \
         checked.\n* A licence is what the input states. `null` means that it states none, which \
         permits nothing.\n\n",
    );
    text
}

fn of_duplicates(job: &JobSpec) -> String {
    let mut text = String::new();
    for kind in KINDS {
        // Of the sources of `near.against` nothing is here.
        let own = job.source.iter().filter(|source| !source.earlier);
        let sources = own.filter(|source| Duplicates::of(job, source) == kind);
        let names: Vec<String> = sources.map(|source| format!("`{}`", source.name)).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "* {}", kind.sentence(&names.join(", "), job.near.action));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn limits(near: &str) -> String {
        let source = |name: &str, slice: &str, steps: &str| {
            format!(
                "[[source]]\nname = \"{name}\"\nslice = \"{slice}\"\nlisting = \"x\"\nsteps = [{steps}]\n"
            )
        };
        let sources = [
            source("both", "c4", "\"documents\", \"near\""),
            source("too", "books", "\"near\""),
            source("exact", "c4", "\"documents\""),
            source("raw", "c4", ""),
            source("old", "corpus", ""),
        ];
        let job = format!(
            "[job]\nname = \"a\"\n{}[language]\nmodel = \"none\"\n[output]\npath = \"out\"\n{near}",
            sources.concat()
        );
        let job = JobSpec::parse(&job, Path::new("/jobs")).expect("the job is valid");
        let recipe = job.recipe().resolved();
        section(&Manifest { recipe, ..Manifest::default() })
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with("* Nobody") && !line.starts_with("* A licence"))
            .flat_map(|line| [line, "\n"])
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    #[test]
    fn every_source_is_in_the_sentence_about_its_duplicates() {
        let removed = limits("");
        let lines: Vec<&str> = removed.lines().collect();
        assert!(lines[0].contains("removed over all documents of `both`, `too`."), "{removed}");
        assert!(
            lines[1].starts_with("* Only exact duplicates were removed in `exact`"),
            "{removed}"
        );
        assert!(lines[2].contains("not removed in `raw`"), "{removed}");
        assert!(lines[3].contains("`old` are documents of an earlier output"), "{removed}");
        assert_eq!(lines.len(), 4, "{removed}");
        let marked = limits("[near]\naction = \"annotate\"\n");
        assert!(marked.contains("in `both`, `too` are all here"), "{marked}");
        let within = limits("[near]\npreset = \"redpajama-v1\"\n");
        assert!(within.contains("within each of `both`, `too`"), "{within}");
    }
}
