//! Values of a filter's keys for texts in one script, `[filters.NAME.scripts.SCRIPT]`.
//!
//! A filter does not know of these tables: it is built once with the section's values, and once
//! more for each script that changes some, and `ByScript` chooses by the text. A value of a script
//! applies in place of the section's own. If a job file gives a key in the section itself, the
//! *default* values of scripts for this key no longer apply, so that one line switches off a rule
//! for every text.
//!
//! **Invariant:** a text that is in none of the scripts never meets their values.

use std::collections::BTreeMap;

use thresher_settings::{JobError, Written, keys, typed};
use toml::{Table, Value};

use super::{DocumentView, Filter, Script, Verdict, Workspace};

/// The key of a section that has the tables of scripts.
pub(crate) const SCRIPTS: &str = "scripts";

/// One filter with different values for some scripts.
pub(crate) struct ByScript {
    general: Box<dyn Filter>,
    scripts: BTreeMap<Script, Box<dyn Filter>>,
}

impl ByScript {
    /// Builds a filter from its section, of which `scripts` was taken out.
    pub(crate) fn build<E>(
        section: Table,
        scripts: &Table,
        build: impl Fn(Table) -> Result<Box<dyn Filter>, E>,
    ) -> Result<Box<dyn Filter>, E> {
        let mut built = BTreeMap::new();
        for script in Script::ALL {
            let values = scripts.get(script.name()).and_then(Value::as_table);
            let Some(values) = values.filter(|values| !values.is_empty()) else { continue };
            built.insert(script, build(over(&section, values))?);
        }
        let general = build(section)?;
        if built.is_empty() {
            return Ok(general);
        }
        Ok(Box::new(Self { general, scripts: built }))
    }
}

impl Filter for ByScript {
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict {
        let own = view.script.and_then(|script| self.scripts.get(&script));
        own.unwrap_or(&self.general).check(view, work)
    }
}

/// Takes the tables of scripts out of a section.
pub(crate) fn take(section: &mut Table) -> Table {
    match section.remove(SCRIPTS) {
        Some(Value::Table(scripts)) => scripts,
        Some(_) | None => Table::new(),
    }
}

/// Checks the tables of scripts, and writes their values as `complete` does. `section` is the
/// completed section without them.
pub(crate) fn completed(
    section: &Table,
    scripts: Table,
    written: Written<'_>,
    complete: impl Fn(Table, Written<'_>) -> Result<Table, JobError>,
) -> Result<Table, JobError> {
    let mut all = Table::new();
    for (name, values) in scripts {
        let Value::Table(values) = values else { return Err(refused(&name, &values, written)) };
        if !Script::ALL.iter().any(|script| script.name() == name) {
            return Err(refused(&name, &Value::Table(values), written));
        }
        let under = format!("{}.{SCRIPTS}.{name}", written.under);
        let whole =
            complete(over(section, &values), Written { text: written.text, under: &under })?;
        let kept = whole.into_iter().filter(|(key, _)| values.contains_key(key));
        let kept: Table = kept.collect();
        if !kept.is_empty() {
            all.insert(name, Value::Table(kept));
        }
    }
    Ok(all)
}

/// Returns the error for an entry that is not the table of a script.
fn refused(name: &str, value: &Value, written: Written<'_>) -> JobError {
    let names = Script::ALL.map(|script| format!("`{}`", script.name())).join(", ");
    let problem = match value.is_table() {
        true => "is not the name of a script".to_owned(),
        false => format!("is the {} `{value}`", value.type_str()),
    };
    let hint = format!("give a table for one of {names}");
    let under = format!("{}.{SCRIPTS}", written.under);
    typed::refuse(name, &problem, &hint, Written { text: written.text, under: &under })
}

/// Removes from default `[filters]` the values of scripts for each key that `changes` gives in the
/// section itself.
pub fn give_way(defaults: &mut Table, changes: &Table) {
    for (name, changed) in changes {
        let scripts = defaults.get_mut(name).and_then(|section| section.get_mut(SCRIPTS));
        let scripts = scripts.and_then(Value::as_table_mut);
        let (Some(scripts), Some(changed)) = (scripts, changed.as_table()) else { continue };
        for values in scripts.iter_mut().filter_map(|(_, values)| values.as_table_mut()) {
            values.retain(|key, _| !changed.contains_key(key));
        }
    }
}

fn over(section: &Table, values: &Table) -> Table {
    let mut all = section.clone();
    keys::overlay(&mut all, values);
    all
}

#[cfg(test)]
mod tests {
    use crate::{Document, FilterChain, FiltersSpec, Outcome, Scratch};

    const OTHERS: &str = "[gopher_repetition]\nenabled = false\n[c4_quality]\nenabled = false\n\
        [fineweb_quality]\nenabled = false\n[gopher_quality]\nmin_stop_words = 0\n";
    const CHINESE: &str = "清晨的渔港里，渔民们陆续归来。市场上的人们忙着摆放新鲜的鱼。";
    const ENGLISH: &str = "Early in the morning the fishermen return to the harbour.";

    fn verdicts(changes: &str) -> [Option<&'static str>; 2] {
        let spec = FiltersSpec::over_defaults(&format!("{OTHERS}{changes}")).unwrap();
        let chain = FilterChain::new(&spec).unwrap();
        [CHINESE, ENGLISH].map(|text| {
            match chain.evaluate(Document::of_text(text), &mut Scratch::default()) {
                Outcome::Drop(reason, _) => Some(reason),
                Outcome::Keep | Outcome::Rewritten(_) => None,
            }
        })
    }

    #[test]
    fn values_of_a_script_apply_to_its_texts_only() {
        let few = Some("gopher_quality/too_few_words");
        assert_eq!(verdicts("min_words = 5\n"), [None, None]);
        assert_eq!(
            verdicts("min_words = 5\n[gopher_quality.scripts.chinese]\nmin_words = 99\n"),
            [few, None]
        );
        assert_eq!(
            verdicts("min_words = 99\n[gopher_quality.scripts.chinese]\nmin_words = 5\n"),
            [None, few]
        );
        assert_eq!(
            verdicts("min_words = 5\n[gopher_quality.scripts.thai]\nmin_words = 99\n"),
            [None, None]
        );
    }

    #[test]
    fn a_key_that_a_job_gives_for_all_texts_replaces_the_defaults_of_scripts() {
        let short = Some("gopher_quality/short_mean_word");
        assert_eq!(verdicts("min_words = 5\nmin_mean_word_chars = 4.0\n"), [short, None]);
        assert_eq!(
            verdicts(
                "min_words = 5\nmin_mean_word_chars = 4.0\n\
                 [gopher_quality.scripts.chinese]\nmin_mean_word_chars = 1.0\n"
            ),
            [None, None]
        );
    }

    #[test]
    fn values_of_a_script_are_checked_like_those_of_the_section() {
        let refusal = |changes| FiltersSpec::over_defaults(changes).unwrap_err().to_string();
        let error = refusal("[gopher_quality.scripts.lao]\nmin_mean_word_chars = -1.0");
        assert!(error.contains("`filters.gopher_quality.scripts.lao.min_mean_word_chars` is `-1`"));
        let error = refusal("[gopher_quality.scripts.lao]\nmin_words = 200_000");
        assert!(error.contains("min_words` is above"), "{error}");
        let error = refusal("[gopher_quality.scripts.lao]\nmin_words = \"many\"");
        assert!(error.contains("scripts.lao.min_words"), "{error}");
        for (changes, words) in [
            ("[length.scripts.klingon]\nmin_chars = 1", "`filters.length.scripts.klingon` is not"),
            ("[length.scripts]\nthai = 1", "`filters.length.scripts.thai` is the integer `1`"),
            ("[length.scripts.thai]\nmin_char = 1", "min_char"),
        ] {
            let error = refusal(changes);
            assert!(error.contains(words), "{error}\nlacks {words}");
        }
    }

    #[test]
    fn what_is_written_out_gives_the_same_filters() {
        let changes = "[gopher_quality]\nmin_alphabetic_words = 0.5\n\
            [gopher_quality.scripts.thai]\nmin_words = 9\nmin_mean_word_chars = 2\n";
        let spec = FiltersSpec::over_defaults(changes).unwrap();
        let section = spec.section("gopher_quality").unwrap();
        let of = |script: &str| section["scripts"].get(script).cloned();
        assert!(of("thai").is_some_and(|thai| thai["min_words"].as_integer() == Some(9)));
        assert!(of("lao").is_none_or(|lao| lao.get("min_alphabetic_words").is_none()));
        let text = toml::to_string(&spec).unwrap();
        assert_eq!(FiltersSpec::over_defaults(&text).unwrap(), spec);
    }
}
