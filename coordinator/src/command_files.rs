//! Hashes the files of the user's commands, so that a script that was edited is noticed like a job
//! file that was edited.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use thresher_job::JobSpec;

/// Most modules beside one script that are looked at.
const MAX_MODULES: usize = 1000;

/// Fills in the hashes of the files that commands name among their arguments, and of the Python
/// modules beside them, which they may import. A file that does not exist is only a word for its
/// program.
pub(crate) fn with_hashes(mut job: JobSpec) -> anyhow::Result<JobSpec> {
    for command in &mut job.command {
        let mut files = BTreeMap::new();
        for (name, path) in command.possible_files() {
            if !path.is_file() {
                continue;
            }
            for module in modules_beside(&path) {
                let hash = hash(&command.name, &module)?;
                let place = Path::new(&command.folder);
                let name = module.strip_prefix(place).unwrap_or(&module).to_string_lossy();
                files.insert(name.into_owned(), hash);
            }
            files.insert(name, hash(&command.name, &path)?);
        }
        command.files = files;
    }
    Ok(job)
}

/// Returns the other Python files in the folder of a Python script, sorted.
fn modules_beside(script: &Path) -> Vec<PathBuf> {
    let is_python = |path: &Path| path.extension().is_some_and(|end| end == "py");
    let Some(folder) = script.parent().filter(|_| is_python(script)) else { return Vec::new() };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let others = entries.map(|entry| entry.path()).filter(|path| path != script);
    let mut modules: Vec<PathBuf> =
        others.filter(|path| is_python(path) && path.is_file()).collect();
    modules.sort_unstable();
    modules.truncate(MAX_MODULES);
    modules
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
    fn files_are_found_in_every_form_of_a_command() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f.py", "helper.py", "conf.json"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        for (run, expected) in [
            (r#"["python3", "f.py", "--config=conf.json"]"#, 3),
            (r#"["sh", "-c", "exec python3 'f.py' <conf.json"]"#, 3),
            (r#"["python3", "-m", "f"]"#, 2),
            (r#"["python3", "-u", "none.py"]"#, 0),
        ] {
            let text = format!(
                "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n\
                 commands = [\"mine\"]\n[[command]]\nname = \"mine\"\nrun = {run}\n\
                 [language]\nmodel = \"none\"\n[output]\npath = \"out\"\n"
            );
            let job = with_hashes(JobSpec::parse(&text, folder.path()).unwrap()).unwrap();
            assert_eq!(job.command[0].files.len(), expected, "{run}");
        }
    }

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
        let helper = folder.path().join("helper.py");
        std::fs::write(&helper, "x = 1").unwrap();
        let with_helper = job("print(2)");
        assert_eq!(with_helper.command[0].files.len(), 2, "a module beside it may be imported");
        std::fs::remove_file(&helper).unwrap();
        std::fs::remove_file(&script).unwrap();
        let without = with_hashes(JobSpec::parse(text, folder.path()).unwrap()).unwrap();
        assert!(without.command[0].files.is_empty());
    }
}
