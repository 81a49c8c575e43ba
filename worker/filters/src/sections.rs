//! The `[filters]` table of a job: one section for each filter, with every key filled in.
//!
//! A filter declares its thresholds once, in the text that also documents them
//! ([`FilterSettings::DEFAULTS`]). Rules that hold for every filter follow from the kinds and names
//! of its keys and are checked here: numbers are not NaN and not negative, `min_x` is not above
//! `max_x`, and lists have no empty entries.
//!
//! **Invariant:** an unknown key is an error, and no accepted threshold is NaN or negative, so a
//! comparison with it gives the same answer on every machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thresher_settings::{JobError, Written, keys, typed};
use toml::{Table, Value};

use super::by_script::{self, ByScript};
use super::{FILTERS, Filter, FilterError, Script};

/// The key that switches a filter on.
const ENABLED: &str = "enabled";

/// The keys of one filter's section, without `enabled`, which every section has.
pub trait FilterSettings: Serialize + DeserializeOwned {
    /// The name of the section, `[filters.NAME]`, and the first half of every reason.
    const NAME: &'static str;
    /// The section as TOML, with every key, its default and its documentation.
    const DEFAULTS: &'static str;
    /// Keys that have no default. `DEFAULTS` shows them in a comment.
    const OPTIONAL: &'static [&'static str] = &[];
    /// Keys that name a file whose content decides which documents are kept.
    const FILES: &'static [&'static str] = &[];

    /// Refuses settings that the rules for all filters accept.
    fn check(&self) -> Result<(), BadSetting> {
        Ok(())
    }

    /// Builds the filter, and reads the files that it needs.
    fn build(self) -> Result<Box<dyn Filter>, FilterError>;
}

/// What is wrong with one key of a section, and what to write instead.
#[derive(Debug)]
pub struct BadSetting {
    /// The key within the section.
    pub key: String,
    /// What the key's value is, such as ``is `-1` ``.
    pub problem: String,
    /// What to write.
    pub hint: String,
}

/// A filter as the list of all filters knows it.
pub struct Definition {
    name: &'static str,
    defaults: &'static str,
    optional: &'static [&'static str],
    files: &'static [&'static str],
    complete: fn(Table, Written<'_>) -> Result<Table, JobError>,
    build: fn(Table) -> Result<Box<dyn Filter>, FilterError>,
}

impl Definition {
    /// The filter with these settings.
    pub const fn of<S: FilterSettings>() -> Self {
        Self {
            name: S::NAME,
            defaults: S::DEFAULTS,
            optional: S::OPTIONAL,
            files: S::FILES,
            complete: |section, written| Ok(as_table(&read::<S>(section, written)?)),
            build: |section| {
                let written = Written { text: "", under: S::NAME };
                read::<S>(section, written)?.build()
            },
        }
    }

    /// The name of the filter's section.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn default_section(&self) -> Table {
        let all: Table = self.defaults.parse().expect("a test parses the defaults of each filter");
        let section = all.get("filters").and_then(|filters| filters.get(self.name));
        section.and_then(Value::as_table).cloned().expect("a test finds each filter's section")
    }
}

/// Returns the documentation of all filters: every key with its default and its meaning.
pub fn documentation() -> String {
    let sections = FILTERS.iter().map(|filter| filter.defaults.trim());
    let parts: Vec<&str> = [INTRODUCTION.trim()].into_iter().chain(sections).collect();
    parts.join("\n\n") + "\n"
}

const INTRODUCTION: &str = include_str!("introduction.toml");

/// Returns the `[filters]` table with every default.
pub fn default_sections() -> Table {
    let section =
        |filter: &Definition| (filter.name.to_owned(), Value::Table(filter.default_section()));
    FILTERS.iter().map(section).collect()
}

/// Returns the whole keys that have no default, such as `filters.c4_quality.max_page_chars`. For a
/// script they are the keys of the section, except files and the switch.
pub fn keys_without_default() -> Vec<String> {
    let mut keys = Vec::new();
    for filter in FILTERS {
        let section = format!("filters.{}", filter.name);
        keys.extend(filter.optional.iter().map(|key| format!("{section}.{key}")));
        let scripts = format!("{section}.{}", by_script::SCRIPTS);
        keys.push(scripts.clone());
        let defaults = filter.default_section();
        let own = defaults.keys().map(String::as_str).chain(filter.optional.iter().copied());
        let own: Vec<&str> = own
            .filter(|key| ![ENABLED, by_script::SCRIPTS].contains(key))
            .filter(|key| !filter.files.contains(key))
            .collect();
        for script in Script::ALL {
            let script = format!("{scripts}.{}", script.name());
            keys.push(script.clone());
            keys.extend(own.iter().map(|key| format!("{script}.{key}")));
        }
    }
    keys
}

/// The `[filters]` table of a job: a section for each filter, with every key filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FiltersSpec(BTreeMap<String, Table>);

impl FiltersSpec {
    /// Lays sections as a job file writes them over the defaults.
    pub fn over_defaults(changes: &str) -> Result<Self, JobError> {
        let changes: Table =
            changes.parse().map_err(|error: toml::de::Error| JobError::syntax(&error))?;
        let mut all = default_sections();
        by_script::give_way(&mut all, &changes);
        keys::overlay(&mut all, &changes);
        let written = Written { text: "", under: "" };
        typed::read::<Self>(all, &default_sections(), written)?.completed(written)
    }

    /// Checks every section and writes its values in one way, so that equal thresholds are equal
    /// texts. `written` is the job file that errors point to.
    pub fn completed(mut self, written: Written<'_>) -> Result<Self, JobError> {
        for filter in FILTERS {
            let under = format!("filters.{}", filter.name);
            let written = Written { text: written.text, under: &under };
            let mut section = self.0.remove(filter.name).unwrap_or_default();
            let default = filter.default_section();
            let enabled = take_switch(&mut section, &default, written)?;
            let scripts = by_script::take(&mut section);
            let section = (filter.complete)(section, written)?;
            let scripts = by_script::completed(&section, scripts, written, filter.complete)?;
            let mut complete = Table::from_iter([(ENABLED.to_owned(), Value::Boolean(enabled))]);
            complete.extend(section);
            if !scripts.is_empty() {
                complete.insert(by_script::SCRIPTS.to_owned(), Value::Table(scripts));
            }
            self.0.insert(filter.name.to_owned(), complete);
        }
        Ok(self)
    }

    /// Returns a section with every key, if there is a filter of this name.
    pub fn section(&self, name: &str) -> Option<&Table> {
        self.0.get(name)
    }

    /// Returns whether a filter runs.
    pub fn is_enabled(&self, name: &str) -> bool {
        let switch = self.section(name).and_then(|section| section.get(ENABLED));
        switch.and_then(Value::as_bool).unwrap_or(false)
    }

    /// Changes the paths of all files that filters read.
    pub fn change_files(&mut self, change: impl Fn(&str) -> String) {
        for filter in FILTERS {
            let Some(section) = self.0.get_mut(filter.name) else { continue };
            for key in filter.files {
                if let Some(Value::String(path)) = section.get_mut(*key) {
                    *path = change(path);
                }
            }
        }
    }

    /// Returns the files that enabled filters read, by the key that names them.
    pub fn files(&self) -> Vec<(String, PathBuf)> {
        let mut files = Vec::new();
        for filter in FILTERS.iter().filter(|filter| self.is_enabled(filter.name)) {
            for key in filter.files {
                let path = self.section(filter.name).and_then(|section| section.get(*key));
                if let Some(path) = path.and_then(Value::as_str) {
                    files.push((format!("filters.{}.{key}", filter.name), path.into()));
                }
            }
        }
        files
    }

    /// Builds the enabled filters in the order in which they run.
    pub(crate) fn build(&self) -> Result<Vec<Box<dyn Filter>>, FilterError> {
        let enabled = FILTERS.iter().filter(|filter| self.is_enabled(filter.name));
        let build = |filter: &Definition| {
            let mut section = self.section(filter.name).cloned().unwrap_or_default();
            section.remove(ENABLED);
            let scripts = by_script::take(&mut section);
            ByScript::build(section, &scripts, filter.build)
        };
        enabled.map(build).collect()
    }
}

/// Takes `enabled` out of a section.
fn take_switch(
    section: &mut Table,
    default: &Table,
    written: Written<'_>,
) -> Result<bool, JobError> {
    #[derive(Deserialize)]
    struct Switch {
        enabled: bool,
    }
    let value = section.remove(ENABLED).map(|value| (ENABLED.to_owned(), value));
    typed::read::<Switch>(value.into_iter().collect(), default, written)
        .map(|switch| switch.enabled)
}

/// Reads and checks one section without its switch.
pub(crate) fn read<S: FilterSettings>(section: Table, written: Written<'_>) -> Result<S, JobError> {
    let default = Definition::of::<S>().default_section();
    let settings: S = typed::read(section, &default, written)?;
    let refuse = |bad: BadSetting| typed::refuse(&bad.key, &bad.problem, &bad.hint, written);
    let complete = as_table(&settings);
    check_values(&complete).map_err(refuse)?;
    check_ranges(&complete, written.under).map_err(refuse)?;
    settings.check().map_err(refuse)?;
    Ok(settings)
}

fn as_table<S: FilterSettings>(settings: &S) -> Table {
    Table::try_from(settings).expect("settings are numbers, switches and texts")
}

fn check_values(section: &Table) -> Result<(), BadSetting> {
    for (key, value) in section {
        let number = value.as_float().filter(|number| number.is_nan() || *number < 0.0);
        if let Some(number) = number {
            return Err(BadSetting {
                key: key.clone(),
                problem: format!("is `{number}`"),
                hint: "give a number of 0 or more; `inf` switches an upper bound off".to_owned(),
            });
        }
        let mut entries = value.as_array().into_iter().flatten();
        if entries.any(|entry| entry.as_str() == Some("")) {
            return Err(BadSetting {
                key: key.clone(),
                problem: "has an empty entry".to_owned(),
                hint: "an empty text is found everywhere".to_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses a lower bound above the upper bound of the same name.
fn check_ranges(section: &Table, under: &str) -> Result<(), BadSetting> {
    for (key, low) in section {
        let Some(name) = key.strip_prefix("min_") else { continue };
        let other = format!("max_{name}");
        let above = match (low, section.get(&other)) {
            (Value::Integer(low), Some(Value::Integer(high))) => low > high,
            (low, Some(high)) => number(low) > number(high),
            (_, None) => false,
        };
        if above {
            return Err(BadSetting {
                key: key.clone(),
                problem: format!("is above `{under}.{other}`"),
                hint: "every document would be dropped".to_owned(),
            });
        }
    }
    Ok(())
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(changes: &str) -> String {
        FiltersSpec::over_defaults(changes).unwrap_err().to_string()
    }

    #[test]
    fn every_filter_documents_every_key_and_its_defaults_are_valid() {
        let spec = FiltersSpec::over_defaults("").unwrap();
        let documentation = documentation();
        assert!(documentation.parse::<Table>().is_ok());
        for filter in FILTERS {
            let section = spec.section(filter.name()).unwrap();
            assert!(filter.defaults.contains(&format!("\n[filters.{}]\n", filter.name())));
            for key in section.keys().filter(|key| *key != by_script::SCRIPTS) {
                let documented =
                    filter.defaults.lines().any(|line| line.starts_with(&format!("{key} = ")));
                assert!(documented, "`{}.{key}` is missing from its section", filter.name());
            }
            for key in filter.optional.iter().chain(filter.files) {
                assert!(filter.defaults.contains(&format!("\n# {key} = ")), "{key}");
            }
        }
    }

    #[test]
    fn absent_keys_keep_their_defaults_and_an_infinite_bound_switches_a_rule_off() {
        let spec = FiltersSpec::over_defaults("[fineweb_quality]\nmax_short_lines = inf").unwrap();
        let section = spec.section("fineweb_quality").unwrap();
        assert_eq!(section["max_short_lines"].as_float(), Some(f64::INFINITY));
        assert_eq!(section["min_terminal_lines"].as_float(), Some(0.12));
    }

    #[test]
    fn thresholds_that_mean_nothing_are_refused_by_their_key() {
        for (changes, words) in [
            (
                "[gopher_quality]\nmax_bullet_lines = nan",
                "`filters.gopher_quality.max_bullet_lines` is `NaN`",
            ),
            ("[gopher_quality]\nmax_bullet_lines = -1", "max_bullet_lines` is `-1`"),
            (
                "[fineweb_quality]\nmin_terminal_lines = -0.1",
                "is `-0.1`\nhint: give a number of 0 or more",
            ),
            (
                "[length]\nmin_chars = 9\nmax_chars = 8",
                "`filters.length.min_chars` is above `filters.length.max_chars`\nhint: every",
            ),
            ("[gopher_quality]\nmin_mean_word_chars = 11", "is above"),
            (
                "[c4_quality]\npolicy_phrases = [\"\"]",
                "`filters.c4_quality.policy_phrases` has an empty entry",
            ),
            (
                "[length]\nenabled = 3",
                "`filters.length.enabled` is the integer `3`, and must be `true`",
            ),
            ("[length]\nmin_chars = 2.5", "write it like `min_chars = 200`"),
        ] {
            let error = refusal(changes);
            assert!(error.contains(words), "{error}\nlacks {words}");
        }
        let many = format!("[gopher_quality]\nstop_words = {:?}", vec!["a"; 65]);
        assert!(refusal(&many).contains("stop_words` has `65` entries\nhint: give at most 64"));
    }

    #[test]
    fn equal_thresholds_are_equal_texts() {
        let whole = FiltersSpec::over_defaults("[fineweb_quality]\nmax_short_lines = 1").unwrap();
        let float = FiltersSpec::over_defaults("[fineweb_quality]\nmax_short_lines = 1.0").unwrap();
        assert_eq!(whole, float);
    }

    #[test]
    fn files_are_those_of_enabled_filters() {
        let spec = "[c4_quality]\nbad_words_file = \"lists/en.txt\"";
        let mut spec = FiltersSpec::over_defaults(spec).unwrap();
        spec.change_files(|path| format!("/jobs/{path}"));
        let key = "filters.c4_quality.bad_words_file".to_owned();
        assert_eq!(spec.files(), [(key, PathBuf::from("/jobs/lists/en.txt"))]);
        let off = "[c4_quality]\nenabled = false\nbad_words_file = \"lists/en.txt\"";
        assert!(FiltersSpec::over_defaults(off).unwrap().files().is_empty());
    }
}
