//! The table `[near]` of the job file: how near-duplicates are found, and which of them are
//! removed.
//!
//! A preset has the parameters of a published pipeline; keys that are set beside it replace single
//! ones. The crate `thresher-near` knows what the presets are; here they are names.

use serde::{Deserialize, Serialize};

use super::{JobError, JobSpec, KeepBy, Schema, Slice, SourceSpec, Step};

/// Most bands that a signature may have.
const MAX_BANDS: u64 = 512;
/// Most rows that a band may have.
const MAX_ROWS: u64 = 512;
/// Most numbers of a signature: bands times rows. Every shingle is hashed once for each.
const MAX_MINIMA: u64 = 4096;
/// Most words, characters or tokens of a shingle.
const MAX_SHINGLE: u32 = 100;
/// Most kept members of a band group that later ones are compared with.
const MAX_FIRST_KEPT: u64 = 10_000;

/// The table `[near]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearSpec {
    pub preset: NearPreset,
    /// The shingles, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shingles: Option<ShinglesSpec>,
    /// Bands of a signature, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bands: Option<u64>,
    /// Rows of a band, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    pub verify: Verify,
    /// The Jaccard similarity that two documents need, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    pub survivors: Survivors,
    pub first_kept: u64,
    /// Which documents survive, before the order of the job decides.
    pub prefer: Vec<Preference>,
    pub action: NearAction,
    /// Whether the output has an index of its documents, for later jobs.
    #[serde(default, skip_serializing_if = "is_off")]
    pub index: bool,
    /// Earlier outputs, whose documents may remove those of this job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
    /// Share of a source's documents beyond which the job says how many it removed.
    pub max_removed_share: f64,
}

/// A published way to find near-duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NearPreset {
    /// FineWeb.
    Fineweb,
    /// RedPajama-Data v2.
    #[serde(rename = "redpajama-v2")]
    RedpajamaV2,
    /// SlimPajama.
    Slimpajama,
    /// Dolma 3.
    Dolma3,
    /// Nemotron-CC.
    Nemotron,
    /// RedPajama-Data-1T: a SimHash of books, within one source.
    #[serde(rename = "redpajama-v1")]
    RedpajamaV1,
}

/// How candidates are compared before one is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// The exact Jaccard similarity of their shingles reaches the threshold.
    Jaccard,
    /// What is removed says nothing that the kept document does not say.
    Containment,
    /// Not at all.
    None,
}

/// Which documents of a group remain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Survivors {
    /// A document is removed only because of a kept one.
    Witness,
    /// One document of each connected component remains.
    Components,
}

/// What happens to a near-duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NearAction {
    /// It is dropped.
    Drop,
    /// It is published; its columns say what would have been done.
    Annotate,
}

/// A property that decides who survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// Earlier in the job file.
    Source,
    /// The later dump, then the later date.
    Newest,
    /// The earlier dump, then the earlier date.
    Oldest,
    /// More characters.
    Longest,
    /// Fewer characters.
    Shortest,
    /// The lower perplexity; documents without one come last.
    Perplexity,
    /// The higher score of the classifier; documents without one come last.
    Classifier,
}

/// The unit of a shingle, and their number: `5 words`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ShinglesSpec {
    /// That many words.
    Words(u32),
    /// That many characters.
    Characters(u32),
    /// That many tokens of the job's tokenizer.
    Tokens(u32),
}

impl TryFrom<String> for ShinglesSpec {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
        let number = number.parse().ok().filter(|number| (1..=MAX_SHINGLE).contains(number));
        match (number, unit.trim()) {
            (Some(number), "words" | "word") => Some(Self::Words(number)),
            (Some(number), "characters" | "character") => Some(Self::Characters(number)),
            (Some(number), "tokens" | "token") => Some(Self::Tokens(number)),
            _ => None,
        }
        .ok_or_else(|| {
            format!(
                "`{text}` does not describe shingles; write 1 to {MAX_SHINGLE} `words`, \
                 `characters` or `tokens`, such as `5 words`"
            )
        })
    }
}

impl From<ShinglesSpec> for String {
    fn from(shingles: ShinglesSpec) -> Self {
        match shingles {
            ShinglesSpec::Words(number) => format!("{number} words"),
            ShinglesSpec::Characters(number) => format!("{number} characters"),
            ShinglesSpec::Tokens(number) => format!("{number} tokens"),
        }
    }
}

/// A switch that is off is not written, so that a recipe without it stays what it was.
pub(super) fn is_off(switch: &bool) -> bool {
    !switch
}

impl NearSpec {
    /// Returns whether shingles are tokens, so that the job needs a tokenizer.
    pub fn needs_tokenizer(&self) -> bool {
        match self.shingles {
            Some(shingles) => matches!(shingles, ShinglesSpec::Tokens(_)),
            None => self.preset == NearPreset::Dolma3,
        }
    }
}

impl JobSpec {
    /// Returns whether a source's documents are compared with those of all sources by the bands of
    /// their signatures.
    pub fn compares_bands(&self, source: &SourceSpec) -> bool {
        self.near.preset != NearPreset::RedpajamaV1 && self.has_step(source, Step::Near)
    }

    /// Returns whether any source has the step `near`.
    pub fn compares_near(&self) -> bool {
        self.source.iter().any(|source| self.has_step(source, Step::Near))
    }

    /// Returns whether any source's documents are compared by bands.
    pub fn finds_near_duplicates(&self) -> bool {
        self.source.iter().any(|source| self.compares_bands(source))
    }

    /// Returns an error for numbers and combinations that make no sense.
    pub(super) fn check_near(&self) -> Result<(), JobError> {
        let near = &self.near;
        let within = |key: &str, value: Option<u64>, most: u64| match value {
            Some(value) if !(1..=most).contains(&value) => {
                let key = format!("near.{key}");
                Err(JobError::invalid(&key, format!("`{value}`"), format!("choose 1 to {most}")))
            }
            Some(_) | None => Ok(()),
        };
        within("bands", near.bands, MAX_BANDS)?;
        within("rows", near.rows, MAX_ROWS)?;
        within("first_kept", Some(near.first_kept), MAX_FIRST_KEPT)?;
        let shares =
            [("threshold", near.threshold), ("max_removed_share", Some(near.max_removed_share))];
        for (key, share) in shares {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                let key = format!("near.{key}");
                return Err(JobError::invalid(&key, format!("`{share}`"), "choose 0.0 to 1.0"));
            }
        }
        if near.threshold == Some(0.0) {
            let problem = "`0`, with which every candidate is a near-duplicate";
            let hint = "choose a share above 0.0, or `verify = \"none\"` to compare nothing";
            return Err(JobError::invalid("near.threshold", problem, hint));
        }
        if let (Some(bands), Some(rows)) = (near.bands, near.rows)
            && bands * rows > MAX_MINIMA
        {
            let problem = format!("`{bands}` bands of `{rows}` rows");
            let hint = format!("choose bands and rows whose product is at most {MAX_MINIMA}");
            return Err(JobError::invalid("near.bands", problem, hint));
        }
        if near.threshold.is_some() && near.verify != Verify::Jaccard {
            let hint = "only `verify = \"jaccard\"` has a threshold";
            return Err(JobError::invalid("near.threshold", "set, and nothing uses it", hint));
        }
        if let Some((at, twice)) = near
            .prefer
            .iter()
            .enumerate()
            .find_map(|(at, one)| near.prefer[..at].contains(one).then_some((at, one)))
        {
            let key = format!("near.prefer[{at}]");
            let problem = format!("`{}` for the second time", format!("{twice:?}").to_lowercase());
            return Err(JobError::invalid(&key, problem, "name each property once"));
        }
        if !self.finds_near_duplicates() {
            self.check_against()?;
            self.refuse_index()?;
            return self.check_signatures();
        }
        self.check_against()?;
        self.check_preferences()?;
        if near.needs_tokenizer() && self.tokens.tokenizer.path().is_none() {
            let hint = "name the `tokenizer.json` of the model, or choose shingles of words";
            let problem = "not set, and the shingles of `[near]` are tokens";
            return Err(JobError::invalid("tokens.tokenizer", problem, hint));
        }
        if self.dedup.documents.keep == KeepBy::Url {
            let hint = "compare documents by `keep = \"document\"`, or remove the step `near`";
            let problem = "`url`, with which near-duplicates cannot be found";
            return Err(JobError::invalid("dedup.documents.keep", problem, hint));
        }
        self.check_near_columns()
    }

    /// Returns an error for keys that have no effect on what a SimHash finds.
    fn check_signatures(&self) -> Result<(), JobError> {
        if self.compares_near() && self.near.action == NearAction::Annotate {
            let problem = "`annotate`, and the preset `redpajama-v1` only drops";
            let hint = "choose another `near.preset`, or `near.action = \"drop\"`";
            return Err(JobError::invalid("near.action", problem, hint));
        }
        Ok(())
    }

    /// Returns an error for a preference that no document has, or that cannot decide.
    fn check_preferences(&self) -> Result<(), JobError> {
        let prefer = &self.near.prefer;
        for (at, preference) in prefer.iter().enumerate() {
            let key = format!("near.prefer[{at}]");
            let (table, has_model) = match preference {
                Preference::Perplexity => ("perplexity", self.perplexity.models.path().is_some()),
                Preference::Classifier => ("classifier", self.classifier.model.path().is_some()),
                Preference::Source
                | Preference::Newest
                | Preference::Oldest
                | Preference::Longest
                | Preference::Shortest => ("", true),
            };
            let is_known = self.source.iter().any(|source| {
                source.slice == Slice::Corpus
                    || (has_model && self.has_step(source, Step::Quality))
                    || table.is_empty()
            });
            if !is_known {
                let problem = format!("`{table}`, which no document of this job has");
                let hint =
                    format!("set the model of `[{table}]` and give sources the step `quality`");
                return Err(JobError::invalid(&key, problem, hint));
            }
            let opposite = match preference {
                Preference::Newest => Preference::Oldest,
                Preference::Oldest => Preference::Newest,
                Preference::Longest => Preference::Shortest,
                Preference::Shortest => Preference::Longest,
                Preference::Source | Preference::Perplexity | Preference::Classifier => continue,
            };
            if prefer[..at].contains(&opposite) {
                let problem = "the opposite of an earlier one, so it never decides";
                return Err(JobError::invalid(&key, problem, "name one of the two"));
            }
        }
        Ok(())
    }

    /// Returns an error for an index of documents that nothing compares by bands.
    fn refuse_index(&self) -> Result<(), JobError> {
        if !self.near.index {
            return Ok(());
        }
        let problem = "`true`, and no source has documents that are compared by bands";
        let hint = "add the step `near` to a source, with any preset but `redpajama-v1`";
        Err(JobError::invalid("near.index", problem, hint))
    }

    /// Returns an error for a schema that has no columns for what is annotated.
    fn check_near_columns(&self) -> Result<(), JobError> {
        if self.near.action == NearAction::Annotate && self.output.schema == Schema::RedpajamaV1 {
            let hint = "choose `output.schema = \"uniform\"`, or `near.action = \"drop\"`";
            let problem = "`annotate`, and the schema `redpajama-v1` has no columns for it";
            return Err(JobError::invalid("near.action", problem, hint));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn job(more: &str) -> Result<JobSpec, String> {
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"*.gz\"\n\
             steps = [\"documents\", \"near\"]\n[[source]]\nname = \"b\"\nslice = \"books\"\n\
             listing = \"b\"\nsteps = [\"documents\"]\n[language]\nmodel = \"none\"\n\
             [output]\npath = \"out\"\n{more}"
        );
        JobSpec::parse(&text, Path::new("/jobs")).map_err(|error| error.to_string())
    }

    #[test]
    fn shingles_are_a_number_and_a_unit() {
        let read = |text: &str| ShinglesSpec::try_from(text.to_owned());
        assert_eq!(read("5 words"), Ok(ShinglesSpec::Words(5)));
        assert_eq!(read("1 character"), Ok(ShinglesSpec::Characters(1)));
        assert_eq!(read("13 tokens").map(String::from), Ok("13 tokens".to_owned()));
        for wrong in ["", "5", "words", "0 words", "101 words", "5 bytes", "-1 words"] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(&format!("`{wrong}`")) && error.contains("5 words"), "{error}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_key() {
        for (near, key, says) in [
            ("bands = 0", "near.bands", "choose 1 to 512"),
            ("first_kept = 0", "near.first_kept", "choose 1 to 10000"),
            ("threshold = 1.5", "near.threshold", "choose 0.0 to 1.0"),
            ("verify = \"none\"\nthreshold = 0.8", "near.threshold", "nothing uses it"),
            ("prefer = [\"newest\", \"newest\"]", "near.prefer[1]", "`newest`"),
            ("preset = \"dolma3\"", "tokens.tokenizer", "shingles of `[near]` are tokens"),
            ("preset = \"fineweb2\"", "near.preset", "fineweb"),
            ("threshold = 0", "near.threshold", "`verify = \"none\"`"),
            ("bands = 512\nrows = 512", "near.bands", "at most 4096"),
            ("prefer = [\"longest\", \"shortest\"]", "near.prefer[1]", "opposite"),
            ("prefer = [\"perplexity\"]", "near.prefer[0]", "`[perplexity]`"),
            ("prefer = [\"source\", \"classifier\"]", "near.prefer[1]", "`quality`"),
            ("preset = \"redpajama-v1\"\naction = \"annotate\"", "near.action", "only drops"),
        ] {
            let error = job(&format!("[near]\n{near}\n")).unwrap_err();
            assert!(error.contains(key) && error.contains(says), "{near}: {error}");
        }
        let published = "schema = \"redpajama-v1\"\n[near]\naction = \"annotate\"\n";
        assert!(job(published).unwrap_err().contains("near.action"));
        let unused = job("[near]\npreset = \"redpajama-v1\"\nindex = true\n").unwrap_err();
        assert!(unused.contains("near.index") && unused.contains("the step `near`"), "{unused}");
        let by_url = "[dedup.documents]\nkeep = \"url\"\n";
        assert!(job(by_url).unwrap_err().contains("dedup.documents.keep"));
    }

    #[test]
    fn what_no_source_uses_is_refused_unless_it_is_the_default() {
        let text = |near: &str| {
            format!(
                "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n\
                 [language]\nmodel = \"none\"\n[output]\npath = \"out\"\n{near}"
            )
        };
        let read = |text: &str| JobSpec::parse(text, Path::new("/jobs"));
        let error = read(&text("[near]\nthreshold = 0.8\n")).unwrap_err().to_string();
        assert!(error.contains("no source has the step `near`"), "{error}");
        // `submit` writes the resolved job down, which is read as a job file again.
        let resolved = read(&text("")).unwrap().resolved();
        assert!(resolved.contains("[near]") && read(&resolved).is_ok(), "{resolved}");
    }

    #[test]
    fn a_source_is_compared_if_it_has_the_step_and_a_preset_of_bands() {
        let own = job("[near]\nshingles = \"3 words\"\n").unwrap();
        assert_eq!(
            own.source.iter().map(|it| own.compares_bands(it)).collect::<Vec<_>>(),
            [true, false]
        );
        assert_eq!(JobSpec::from_resolved(&own.resolved()).unwrap(), own);
        let published = job("[near]\npreset = \"redpajama-v1\"\n").unwrap();
        assert!(published.compares_near() && !published.finds_near_duplicates());
    }
}
