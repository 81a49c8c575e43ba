//! The `[[command]]`s of a job file: programs of the user, and the files that they consist of.
//!
//! `default.toml` documents each key. This file finds which arguments may name files; it reads
//! none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checks::{check_name, require};
use super::{Bytes, JobError, JobSpec, Slice, Span};

/// What separates words within an argument.
const BETWEEN_WORDS: [char; 14] =
    [' ', '\t', '\n', '=', ';', ',', '"', '\'', '|', '&', '(', ')', '<', '>'];
/// Programs below these folders belong to the system. They may differ between nodes, and their
/// versions are not part of a recipe.
const SYSTEM_FOLDERS: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];

/// A `[[command]]`: a program of the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Name by which sources refer to it.
    pub name: String,
    /// The program and its arguments.
    pub run: Vec<String>,
    /// Working directory.
    pub folder: String,
    /// Longest time without output.
    pub timeout: Span,
    /// Limit of the address space.
    pub memory: Bytes,
    /// Files and folders that it reads beside those that `run` names, relative to `folder`.
    #[serde(default)]
    pub reads: Vec<String>,
    /// blake3 of the files that `run` and `reads` name, by the name of each. The coordinator
    /// fills it in, so that a program that was edited is noticed like a job file that was edited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

impl CommandSpec {
    /// Returns the names that may be those of files of the command, with the path of each:
    /// arguments, words within arguments (`--config=a.json`, `sh -c 'python3 a.py'`), modules
    /// (`-m a.b`) and the program itself, unless it is found by its name or belongs to the system.
    pub fn possible_files(&self) -> Vec<(String, PathBuf)> {
        let path = |name: &str| Path::new(&self.folder).join(name);
        let is_system = |path: &Path| SYSTEM_FOLDERS.iter().any(|place| path.starts_with(place));
        let program = self.run.first().map(String::as_str);
        let own = program.filter(|program| program.contains('/') && !is_system(&path(program)));
        let arguments = || self.run.iter().skip(1).map(String::as_str);
        let words = arguments().flat_map(|argument| argument.split(BETWEEN_WORDS));
        let named = own.into_iter().chain(arguments()).chain(words).map(str::to_owned);
        let modules = self.run.windows(2).filter(|pair| pair[0] == "-m");
        let modules = modules.map(|pair| format!("{}.py", pair[1].replace('.', "/")));
        let names: BTreeSet<String> = named
            .chain(modules)
            .filter(|name| !name.is_empty() && !name.starts_with('-'))
            .collect();
        names.into_iter().map(|name| (name.clone(), path(&name))).collect()
    }
}

impl JobSpec {
    /// Returns the command of this name. A checked job has every command that its sources name.
    pub fn command(&self, name: &str) -> Option<&CommandSpec> {
        self.command.iter().find(|command| command.name == name)
    }

    /// Checks that commands have different names, and that sources name existing commands.
    pub(super) fn check_commands(&self) -> Result<(), JobError> {
        for (index, command) in self.command.iter().enumerate() {
            check_name(&format!("command[{index}].name"), &command.name)?;
            let key = format!("command[{index}].run");
            require(
                &key,
                command.run.first().map_or("", String::as_str),
                "name the program and its arguments",
            )?;
            if command.timeout.0.is_zero() {
                let key = format!("command[{index}].timeout");
                let hint = "set the time without output after which it is killed, such as `60s`";
                return Err(JobError::invalid(&key, "not a valid time", hint));
            }
            if self.command[..index].iter().any(|other| other.name == command.name) {
                let problem = format!("`{}`, like another command's", command.name);
                let key = format!("command[{index}].name");
                return Err(JobError::invalid(&key, problem, "give each command its own name"));
            }
        }
        for (index, source) in self.source.iter().enumerate() {
            if source.slice == Slice::External {
                let hint = "name the `[[command]]` that reads the documents";
                require(&format!("source[{index}].reader"), &source.reader, hint)?;
            }
            let named = source.commands.iter().chain([&source.reader]);
            for name in named.filter(|name| !name.is_empty()) {
                if self.command(name).is_none() {
                    let problem = format!("`{name}`, but the job has no such command");
                    let hint = "add a `[[command]]` of this name";
                    let key = if *name == source.reader { "reader" } else { "commands" };
                    let key = format!("source[{index}].{key}");
                    return Err(JobError::invalid(&key, problem, hint));
                }
            }
            if source.slice != Slice::External && !source.reader.is_empty() {
                let problem =
                    format!("`{}`, and slice `{}` has its own", source.reader, source.slice.name());
                let hint = "only `slice = \"external\"` is read by a command; put a command that \
                            filters documents into `commands`";
                return Err(JobError::invalid(&format!("source[{index}].reader"), problem, hint));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(run: &[&str]) -> Vec<String> {
        let command = CommandSpec {
            name: "mine".to_owned(),
            run: run.iter().map(|word| (*word).to_owned()).collect(),
            folder: "/jobs".to_owned(),
            timeout: Span(std::time::Duration::from_secs(1)),
            memory: Bytes(1),
            reads: Vec::new(),
            files: BTreeMap::new(),
        };
        let paths = command.possible_files().into_iter().map(|(_, path)| path);
        paths.map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn scripts_and_own_programs_are_files_of_a_command_and_interpreters_are_not() {
        for (run, expected) in [
            (vec!["python3", "-u", "filter.py", "en"], vec!["/jobs/en", "/jobs/filter.py"]),
            (vec!["a", "--b=c.json"], vec!["/jobs/c.json"]),
            (vec!["python3", "-m", "a.b"], vec!["/jobs/a.b", "/jobs/a/b.py"]),
            (vec!["/usr/bin/python3", "/opt/filter.py"], vec!["/opt/filter.py"]),
            (vec!["./filter", ""], vec!["/jobs/./filter"]),
            (vec!["/data/filter"], vec!["/data/filter"]),
        ] {
            assert_eq!(files(&run), expected, "{run:?}");
        }
    }
}
