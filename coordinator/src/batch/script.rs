//! Renders the batch script: assignments with what differs between sites and jobs, then
//! `script.sh`, which is the same everywhere.
//!
//! **Invariant:** the script holds nothing secret, and no value can be read as shell syntax: each
//! is one quoted word.

use std::path::{Path, PathBuf};

use thresher_site::SiteProfile;
use thresher_site::batch::{Directives, ScriptParts, shell_quoted};

use super::launcher::{launch_on_words, launch_words};

const BODY: &str = include_str!("script.sh");

/// The values from which a script is made.
#[derive(Debug)]
pub(super) struct ScriptValues<'a> {
    /// Name of the job.
    pub job_name: &'a str,
    /// The profile of the site.
    pub site: &'a SiteProfile,
    /// Number of nodes.
    pub nodes: u32,
    /// State directory of the job.
    pub state: &'a Path,
    /// Path of the script itself, which all nodes must be able to read.
    pub script: &'a Path,
    /// Path of the job file, in which every path is absolute.
    pub job: &'a Path,
    /// The program, which is coordinator and worker.
    pub thresher: &'a Path,
    /// The lines that request an allocation.
    pub directives: &'a Directives,
    /// What the script has to know of the batch system.
    pub parts: ScriptParts,
}

/// Why a script cannot be rendered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ScriptError {
    #[error("the path `{}` is not valid UTF-8\nhint: choose another one", .0.display())]
    Path(PathBuf),
    #[error(
        "`{0}` is not a valid `local_dir`\n\
         hint: write an absolute path of letters, digits, `_-./` and names like `$USER`"
    )]
    LocalDir(String),
    #[error(
        "the `gang_launcher` `{0}` has no `{{ranks}}`\n\
         hint: write it where the number of ranks belongs, as in `srun --ntasks={{ranks}}`"
    )]
    GangLauncher(String),
    #[error("`{0}` does not set a variable\nhint: write `NAME=value` in `environment`")]
    Variable(String),
}

/// Renders the whole script.
pub(super) fn render(values: &ScriptValues<'_>) -> Result<String, ScriptError> {
    let ScriptValues { job_name, site, nodes, .. } = values;
    // Flux requires its directives in one block, and all systems read them before any command.
    let mut text = format!(
        "#!/bin/bash\n{}\n# Runs the Thresher job `{job_name}` on {nodes} nodes of `{}`. Written by \
         `thresher submit`.\n\n",
        values.directives, site.name
    );
    let paths = [
        ("state", values.state),
        ("script", values.script),
        ("job", values.job),
        ("thresher", values.thresher),
    ];
    for (name, path) in paths {
        let path = path.to_str().ok_or_else(|| ScriptError::Path(path.to_owned()))?;
        text += &format!("{name}={}\n", shell_quoted(path));
    }
    text += &format!("interface={}\nport={}\n", shell_quoted(&site.interface), site.port);
    text += &format!("local_dir={}\n", local_dir(&site.local_dir)?);
    text += &format!("worker_options=({})\n", words(&worker_options(values)?));
    text += &format!("launch=({})\n", words(&launch_words(site, *nodes)));
    text += &format!("launch_on=({})\n", words(&launch_on_words(site)));
    text += &of_system(values.parts);
    text += &environment(site)?;
    text.push('\n');
    text += BODY;
    Ok(text)
}

fn worker_options(values: &ScriptValues<'_>) -> Result<Vec<String>, ScriptError> {
    let ScriptValues { site, thresher, .. } = values;
    let mut options = Vec::new();
    // Without this option, the worker uses all cores that it finds.
    if site.cores_per_node > 0 {
        options.extend(["--slots".to_owned(), site.cores_per_node.to_string()]);
    }
    if site.gang_launcher.is_empty() {
        return Ok(options);
    }
    if !site.gang_launcher.contains("{ranks}") {
        return Err(ScriptError::GangLauncher(site.gang_launcher.clone()));
    }
    options.extend(["--gang-launcher".to_owned(), site.gang_launcher.clone()]);
    // The worker itself may be a copy on the node's own disk.
    let program = gang_program(thresher);
    let program = program.to_str().ok_or_else(|| ScriptError::Path(program.clone()))?;
    options.extend(["--gang-program".to_owned(), program.to_owned()]);
    if site.gang_ranks > 0 {
        options.extend(["--gang-ranks".to_owned(), site.gang_ranks.to_string()]);
    }
    Ok(options)
}

/// Returns where all nodes find the program of a rank: beside `thresher`.
pub fn gang_program(thresher: &Path) -> PathBuf {
    thresher.with_file_name("thresher-gang")
}

/// Returns the id of the allocation, the log that the script writes itself, if the batch system
/// has a file of its own, how the script asks about its allocation, and how it is run again.
fn of_system(parts: ScriptParts) -> String {
    let ScriptParts { surroundings, requeue, asking, own_log } = parts;
    let log = if own_log.is_some() { "$state/logs/allocation-$id.log" } else { "''" };
    let asking = if asking.is_empty() { String::new() } else { format!("{asking} ") };
    format!(
        "{surroundings}log={log}\nthresher_asks() {{ {asking}\"$thresher\" \"$@\"; }}\n\
         requeue() {{ {requeue}; }}\n"
    )
}

fn environment(site: &SiteProfile) -> Result<String, ScriptError> {
    let mut text = format!("modules=({})\n", words(&site.modules));
    // It is called after the modules are loaded: what the site sets overrides what a module sets.
    text += "environment() {\n";
    let proxies =
        [("http_proxy", &site.proxy), ("https_proxy", &site.proxy), ("no_proxy", &site.no_proxy)];
    for (name, value) in proxies.into_iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("    export {name}={}\n", shell_quoted(value));
    }
    for pair in &site.environment {
        let split = pair.split_once('=').filter(|(name, _)| is_variable(name));
        let (name, value) = split.ok_or_else(|| ScriptError::Variable(pair.clone()))?;
        text += &format!("    export {name}={}\n", shell_quoted(value));
    }
    text += "    return 0\n}\n";
    Ok(text)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Quotes with double quotes, because variables are expanded on the node.
fn local_dir(folder: &str) -> Result<String, ScriptError> {
    let fine = folder.is_empty()
        || folder.starts_with(['/', '$'])
            && folder.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./$".contains(&b));
    if fine { Ok(format!("\"{folder}\"")) } else { Err(ScriptError::LocalDir(folder.to_owned())) }
}

fn words(list: &[String]) -> String {
    list.iter().map(|word| shell_quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
