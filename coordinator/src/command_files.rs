//! Hashes the files of the user's commands, so that a script that was edited is noticed like a job
//! file that was edited.

use std::path::Path;

use anyhow::Context;
use thresher_job::JobSpec;

/// Fills in the hashes of the files that commands name among their arguments. A file that does not
/// exist is only a word for its program.
pub(crate) fn with_hashes(mut job: JobSpec) -> anyhow::Result<JobSpec> {
    for command in &mut job.command {
        let mut files = std::collections::BTreeMap::new();
        for (argument, path) in command.possible_files() {
            if path.is_file() {
                files.insert(argument.to_owned(), hash(&command.name, &path)?);
            }
        }
        command.files = files;
    }
    Ok(job)
}

fn hash(command: &str, path: &Path) -> anyhow::Result<String> {
    let read = || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(path)?)?;
        Ok::<_, std::io::Error>(hasher.finalize().to_hex().to_string())
    };
    read().with_context(|| {
        format!("failed to read `{}`, a file of the command `{command}`", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_script_changes_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n\
                    commands = [\"mine\"]\n[[command]]\nname = \"mine\"\n\
                    run = [\"python3\", \"-u\", \"mine.py\", \"en\"]\n[language]\nmodel = \"none\"\n\
                    [output]\npath = \"out\"\n";
        let script = folder.path().join("mine.py");
        let job = |content: &str| {
            std::fs::write(&script, content).unwrap();
            with_hashes(JobSpec::parse(text, folder.path()).unwrap()).unwrap()
        };
        let (first, second) = (job("print(1)"), job("print(2)"));
        assert_eq!(first.command[0].files.keys().collect::<Vec<_>>(), ["mine.py"]);
        assert_ne!(first.command[0].files, second.command[0].files);
        assert_eq!(JobSpec::from_resolved(&first.resolved()).unwrap(), first);
        std::fs::remove_file(&script).unwrap();
        let without = with_hashes(JobSpec::parse(text, folder.path()).unwrap()).unwrap();
        assert!(without.command[0].files.is_empty());
    }
}
