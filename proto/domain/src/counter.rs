//! The numbers that units report besides the outcomes of records.
//!
//! A counter is a value and not a name. Code that reads counters matches on all of them without a
//! wildcard, so a new counter does not compile until each reader decides what to do with it.
//!
//! **Invariant:** names exist only where counters are published, and [`Counter::name`] alone makes
//! them. They are part of the format of `status --json`.

/// What a number of a unit's result counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// LIST: inputs that the job reads.
    Inputs,
    /// LIST: inputs that are listed but not read because the job limits their number.
    ExcludedInputs,
    /// LIST: one of the excluded inputs. Only the first ones are named.
    ExcludedInput {
        /// The path of the input as it is listed.
        input: String,
    },
    /// LINES: lines of all pages.
    Lines,
    /// LINES: different keys of lines within a unit.
    LineKeys,
    /// Resolve stages: keys of all units.
    Keys,
    /// Resolve stages: different keys over all units.
    DistinctKeys,
    /// Resolve stages: lines or documents that are duplicates.
    Duplicates,
    /// PREPARE: lines of the pages that are split into lines.
    LinesIn,
    /// PREPARE: lines that were removed as duplicates.
    DuplicateLines,
    /// PREPARE: lines, or parts of lines, that a filter removed from documents.
    RemovedLines {
        /// The rule of the filter, as `filter/rule`.
        rule: String,
    },
    /// PREPARE: files to which documents refer, and which their inputs do not contain.
    MissingFiles,
    /// PREPARE: references to files that documents would contain too often.
    OmittedFiles,
    /// PREPARE: damaged sequences in the UTF-8 of documents, which U+FFFD replaces.
    DamagedCharacters,
    /// PREPARE: inputs, or pieces of them, that end early or are damaged.
    DamagedInputs,
    /// PREPARE: the first of the unit's damaged inputs.
    DamagedInput {
        /// The path of the input as it is listed.
        input: String,
    },
    /// PREPARE: size of the staged documents as JSON lines.
    StagedJsonBytes,
    /// PREPARE: scored documents, whether or not they are kept.
    Bucket {
        /// The language whose model scored the documents.
        language: String,
        /// The part of the language's documents.
        bucket: Bucket,
    },
    /// PREPARE and PUBLISH: documents of a language.
    Language {
        /// The label of the language.
        language: String,
        /// What is counted of the documents.
        measure: Measure,
    },
    /// SIGN: documents that are compared.
    Signed,
    /// SIGN: documents too short to have a shingle, which are not compared.
    Unsigned,
    /// RESOLVE-BANDS: groups of documents that have a band in common.
    BandGroups,
    /// CONNECT: documents that have a band in common with another one.
    Connected,
    /// CONNECT: groups of documents that are connected by common bands.
    Components,
    /// COMPARE: pairs of documents that were compared.
    Compared,
    /// COMPARE: compared pairs that are not similar enough.
    Dissimilar,
    /// COMPARE: documents that are near-duplicates of a kept one.
    NearDuplicates,
    /// COMPARE: kept documents that have near-duplicates.
    Clusters,
    /// LAYOUT: shards to publish.
    Shards,
    /// PUBLISH: documents of a slice.
    Slice {
        /// The name of the slice.
        slice: String,
        /// What is counted of the documents.
        measure: Measure,
    },
    /// Counters that were added up because there were too many of them, or because their names were
    /// too long.
    OtherNames,
}

/// What is counted of a group of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Number of documents.
    Documents,
    /// Size of the texts in bytes.
    TextBytes,
    /// Size of the JSON lines in bytes, before compression.
    JsonBytes,
    /// Number of tokens of the texts.
    Tokens,
}

/// A part of the documents of a language, by perplexity, with CCNet's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// The documents with the lowest perplexity, 30 % of a dump.
    Head,
    /// The next 30 %.
    Middle,
    /// The rest.
    Tail,
    /// All documents of a language that has no model, or no place in CCNet's table.
    All,
}

/// A counter with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterValue {
    /// What was counted.
    pub counter: Counter,
    /// How much.
    pub value: u64,
}

impl Counter {
    /// Returns the counter with its number.
    pub const fn with(self, value: u64) -> CounterValue {
        CounterValue { counter: self, value }
    }

    /// Returns the name under which the counter is published.
    pub fn name(&self) -> String {
        match self {
            Self::Inputs => "inputs".to_owned(),
            Self::ExcludedInputs => "left_out".to_owned(),
            Self::ExcludedInput { input } => format!("left_out/{input}"),
            Self::Lines => "lines".to_owned(),
            Self::LineKeys => "line_keys".to_owned(),
            Self::Keys => "keys".to_owned(),
            Self::DistinctKeys => "distinct".to_owned(),
            Self::Duplicates => "duplicates".to_owned(),
            Self::LinesIn => "lines/in".to_owned(),
            Self::DuplicateLines => "lines/duplicate".to_owned(),
            Self::RemovedLines { rule } => format!("lines/removed/{rule}"),
            Self::MissingFiles => "files/missing".to_owned(),
            Self::OmittedFiles => "files/omitted".to_owned(),
            Self::DamagedCharacters => "characters/damaged".to_owned(),
            Self::DamagedInputs => "inputs/damaged".to_owned(),
            Self::DamagedInput { input } => format!("inputs/damaged/{input}"),
            Self::StagedJsonBytes => "documents/json_bytes".to_owned(),
            Self::Bucket { language, bucket } => format!("bucket/{language}/{}", bucket.name()),
            Self::Language { language, measure } => {
                format!("language/{language}/{}", measure.name())
            }
            Self::Signed => "documents/signed".to_owned(),
            Self::Unsigned => "documents/unsigned".to_owned(),
            Self::BandGroups => "groups".to_owned(),
            Self::Connected => "connected".to_owned(),
            Self::Components => "components".to_owned(),
            Self::Compared => "pairs/compared".to_owned(),
            Self::Dissimilar => "pairs/dissimilar".to_owned(),
            Self::NearDuplicates => "near_duplicates".to_owned(),
            Self::Clusters => "clusters".to_owned(),
            Self::Shards => "shards".to_owned(),
            Self::Slice { slice, measure } => format!("slice/{slice}/{}", measure.name()),
            Self::OtherNames => "other_names".to_owned(),
        }
    }
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 4] = [Self::Documents, Self::TextBytes, Self::JsonBytes, Self::Tokens];

    /// Returns the last part of the name of a counter with this measure.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::TextBytes => "bytes",
            Self::JsonBytes => "json_bytes",
            Self::Tokens => "tokens",
        }
    }
}

impl Bucket {
    /// Every bucket, in the order in which people read them.
    pub const ALL: [Self; 4] = [Self::Head, Self::Middle, Self::Tail, Self::All];

    /// Returns the bucket's name in the job file, in documents and in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Middle => "middle",
            Self::Tail => "tail",
            Self::All => "all",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_of_counters_do_not_change() {
        let language = |measure| Counter::Language { language: "de".to_owned(), measure };
        let slice = |measure| Counter::Slice { slice: "c4".to_owned(), measure };
        let bucket = |bucket| Counter::Bucket { language: "en".to_owned(), bucket };
        let rule = "c4_quality/no_terminal_punctuation".to_owned();
        for (counter, name) in [
            (Counter::Inputs, "inputs"),
            (Counter::ExcludedInputs, "left_out"),
            (Counter::ExcludedInput { input: "a.example".to_owned() }, "left_out/a.example"),
            (Counter::Lines, "lines"),
            (Counter::LineKeys, "line_keys"),
            (Counter::Keys, "keys"),
            (Counter::DistinctKeys, "distinct"),
            (Counter::Duplicates, "duplicates"),
            (Counter::LinesIn, "lines/in"),
            (Counter::DuplicateLines, "lines/duplicate"),
            (Counter::RemovedLines { rule }, "lines/removed/c4_quality/no_terminal_punctuation"),
            (Counter::MissingFiles, "files/missing"),
            (Counter::OmittedFiles, "files/omitted"),
            (Counter::DamagedCharacters, "characters/damaged"),
            (Counter::DamagedInputs, "inputs/damaged"),
            (Counter::DamagedInput { input: "a.gz".to_owned() }, "inputs/damaged/a.gz"),
            (Counter::StagedJsonBytes, "documents/json_bytes"),
            (bucket(Bucket::Head), "bucket/en/head"),
            (bucket(Bucket::Middle), "bucket/en/middle"),
            (bucket(Bucket::Tail), "bucket/en/tail"),
            (bucket(Bucket::All), "bucket/en/all"),
            (language(Measure::Documents), "language/de/documents"),
            (language(Measure::TextBytes), "language/de/bytes"),
            (language(Measure::JsonBytes), "language/de/json_bytes"),
            (language(Measure::Tokens), "language/de/tokens"),
            (Counter::Signed, "documents/signed"),
            (Counter::Unsigned, "documents/unsigned"),
            (Counter::BandGroups, "groups"),
            (Counter::Connected, "connected"),
            (Counter::Components, "components"),
            (Counter::Compared, "pairs/compared"),
            (Counter::Dissimilar, "pairs/dissimilar"),
            (Counter::NearDuplicates, "near_duplicates"),
            (Counter::Clusters, "clusters"),
            (Counter::Shards, "shards"),
            (slice(Measure::Documents), "slice/c4/documents"),
            (slice(Measure::TextBytes), "slice/c4/bytes"),
            (slice(Measure::JsonBytes), "slice/c4/json_bytes"),
            (slice(Measure::Tokens), "slice/c4/tokens"),
            (Counter::OtherNames, "other_names"),
        ] {
            assert_eq!(counter.name(), name);
        }
    }
}
