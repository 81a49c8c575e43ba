//! The key `near.against`: earlier outputs whose documents may remove documents of this job.
//!
//! Before the job starts, each of them becomes a source behind all others, so that its index is
//! listed, pinned by its hash, copied and read like any input. Such a source has no records:
//! nothing of it is published or counted.

use super::{JobError, JobSpec, OnMissing, Slice, SourceSpec, Step};

/// The manifest of an output, which lists its index.
const MANIFEST: &str = "manifest.json";

impl JobSpec {
    /// Returns the number of the first source that is an earlier output; the number of sources if
    /// there is none. They are behind all others.
    pub fn first_earlier(&self) -> usize {
        self.source.iter().position(|source| source.earlier).unwrap_or(self.source.len())
    }

    /// Puts a source for each earlier output behind the others.
    pub(super) fn add_earlier(&mut self) {
        self.source.retain(|source| !source.earlier);
        let Some(first) = self.source.first() else { return };
        let columns = first.columns.clone();
        let sources = (1..).zip(&self.near.against).map(|(number, output)| SourceSpec {
            name: name_of(number),
            slice: Slice::Corpus,
            listing: MANIFEST.to_owned(),
            base: output.clone(),
            on_missing: OnMissing::Fail,
            dump: String::new(),
            columns: columns.clone(),
            select: super::SelectSpec::default(),
            sample: None,
            steps: Some(vec![Step::Near]),
            reader: String::new(),
            commands: Vec::new(),
            earlier: true,
        });
        let sources: Vec<SourceSpec> = sources.collect();
        self.source.extend(sources);
    }

    /// Replaces the locations of earlier outputs, which are no part of a recipe, by the names of
    /// their sources.
    pub(super) fn forget_earlier(&mut self) {
        for (number, output) in (1..).zip(&mut self.near.against) {
            *output = name_of(number);
        }
    }

    /// Returns an error for earlier outputs that nothing is compared with, or that are named twice.
    pub(super) fn check_against(&self) -> Result<(), JobError> {
        let against = &self.near.against;
        if let Some(at) = self.source.iter().position(|source| source.earlier)
            && against.len() + at != self.source.len()
        {
            let problem = "`true`, and only Thresher sets it";
            let hint = "name the earlier output in `near.against`, and remove the source";
            return Err(JobError::invalid(&format!("source[{at}].earlier"), problem, hint));
        }
        for (at, output) in against.iter().enumerate() {
            let key = format!("near.against[{at}]");
            if output.is_empty() {
                let hint = "name the output of a job that had `near.index = true`";
                return Err(JobError::invalid(&key, "empty", hint));
            }
            if against[..at].contains(output) {
                let problem = format!("`{output}` for the second time");
                return Err(JobError::invalid(&key, problem, "name each output once"));
            }
            if output.trim_end_matches('/') == self.output.path.trim_end_matches('/') {
                let problem = format!("`{output}`, the output of this job");
                let hint = "name outputs of earlier jobs; a job compares its own documents anyway";
                return Err(JobError::invalid(&key, problem, hint));
            }
        }
        let is_compared = |source: &SourceSpec| !source.earlier && self.compares_bands(source);
        if !against.is_empty() && !self.source.iter().any(is_compared) {
            let problem = "set, and no source has documents that are compared by bands";
            let hint = "add the step `near` to a source, with any preset but `redpajama-v1`";
            return Err(JobError::invalid("near.against", problem, hint));
        }
        Ok(())
    }
}

fn name_of(number: usize) -> String {
    format!("earlier-{number}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(steps: &str, more: &str) -> Result<JobSpec, String> {
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\nsteps = [{steps}]\n\
             [language]\nmodel = \"none\"\n[output]\npath = \"/out\"\n[near]\n{more}\n"
        );
        JobSpec::parse(&text, Path::new("/jobs")).map_err(|error| error.to_string())
    }

    #[test]
    fn each_earlier_output_is_a_source_behind_the_others() {
        let job = parse("\"near\"", "against = [\"old\", \"s3://b/run\"]").unwrap();
        let whole = job.with_corpora(|_| Ok::<_, JobError>(Vec::new())).unwrap();
        let sources: Vec<(&str, &str)> =
            whole.source.iter().map(|it| (it.name.as_str(), it.base.as_str())).collect();
        let earlier = [("earlier-1", "/jobs/old"), ("earlier-2", "s3://b/run")];
        assert_eq!(sources[1..], earlier);
        assert_eq!(whole.first_earlier(), 1);
        let again = JobSpec::from_resolved(&whole.resolved()).unwrap();
        assert_eq!(again, whole, "a resolved job is read as it was");
        let twice = again.with_corpora(|_| Ok::<_, JobError>(Vec::new())).unwrap();
        assert_eq!(twice, whole, "nothing is added twice");
        let recipe = whole.recipe().resolved();
        assert!(!recipe.contains("s3://"), "a recipe has no locations: {recipe}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_key() {
        for (steps, more, says) in [
            ("\"near\"", "against = [\"\"]", "near.against[0]"),
            ("\"near\"", "against = [\"/a\", \"/a\"]", "`/a` for the second time"),
            ("\"near\"", "against = [\"/out/\"]", "the output of this job"),
            ("\"near\"", "preset = \"redpajama-v1\"\nagainst = [\"/a\"]", "the step `near`"),
        ] {
            let error = parse(steps, more).unwrap_err();
            assert!(error.contains("near.against") && error.contains(says), "{more}: {error}");
        }
        let text = "[job]\nname = \"a\"\n[[source]]\nslice = \"corpus\"\nlisting = \"x\"\n\
                    earlier = true\n[output]\npath = \"/out\"\n";
        let error = JobSpec::parse(text, Path::new("/jobs")).unwrap_err().to_string();
        assert!(error.contains("source[0].earlier"), "{error}");
    }
}
