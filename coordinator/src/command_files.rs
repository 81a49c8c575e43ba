//! Hashes the files of the user's commands, so that a script that was edited is noticed like a job
//! file that was edited.
//!
//! ```text
//! words of `run` that name files → the file, and the Python modules and packages beside it ┐
//! `reads` → the file, or all files of the folder ──────────────────────────────────────────┴→ hash
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use thresher_job::{CommandSpec, JobSpec};

/// Most files of one command. More are those of a dataset or of a home directory.
const MAX_FILES: usize = 10_000;
/// Most folders within each other.
const MAX_DEPTH: usize = 32;
/// Folders with files that programs make, not people.
const CACHES: [&str; 4] = ["__pycache__", "node_modules", "target", "venv"];

/// Fills in the hashes of the files that commands name among their arguments, of the Python modules
/// beside them, which they may import, and of what `reads` names. A word of `run` that names no
/// file is only a word for its program.
pub fn with_hashes(mut job: JobSpec) -> anyhow::Result<JobSpec> {
    for command in &mut job.command {
        let mut files = BTreeMap::new();
        for path in files_of(command)? {
            let name = path.strip_prefix(&command.folder).unwrap_or(&path);
            files.insert(name.to_string_lossy().into_owned(), hash(&command.name, &path)?);
        }
        command.files = files;
    }
    Ok(job)
}

/// Returns the paths of the command's files.
fn files_of(command: &CommandSpec) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let named = command.possible_files().into_iter().map(|(_, path)| path);
    for script in named.filter(|path| path.is_file()) {
        if let Some(folder) = script.parent().filter(|_| is_python(&script)) {
            // Beside the script there may be anything.
            let _ = add_files(Wanted::PythonModules, folder, 0, &mut files);
        }
        files.insert(script);
    }
    let CommandSpec { name, folder, .. } = command;
    for read in &command.reads {
        let path = Path::new(folder).join(read);
        if path.is_dir() {
            add_files(Wanted::Everything, &path, 0, &mut files).with_context(|| {
                format!(
                    "failed to read the folder `{read}`, which `reads` of command `{name}` names"
                )
            })?;
        } else if path.is_file() {
            files.insert(path);
        } else {
            bail!(
                "`reads` of command `{name}` names `{read}`, which is neither a file nor a folder\n\
                 hint: write it as seen from `{folder}`, the command's `folder`"
            );
        }
    }
    Ok(files)
}

/// Which files of a folder belong to a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Python modules, and those of packages.
    PythonModules,
    /// All but caches and hidden files.
    Everything,
}

/// Adds the files of a folder that is `depth` folders deep.
fn add_files(
    wanted: Wanted,
    folder: &Path,
    depth: usize,
    files: &mut BTreeSet<PathBuf>,
) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_unstable();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || CACHES.contains(&&*name) {
            continue;
        }
        let all = wanted == Wanted::Everything;
        if path.is_dir() {
            let is_part = all || path.join("__init__.py").is_file();
            if is_part && depth < MAX_DEPTH {
                add_files(wanted, &path, depth + 1, files)?;
            }
        } else if path.is_file() && (all || is_python(&path)) {
            files.insert(path);
            if files.len() > MAX_FILES {
                bail!(
                    "the command has more than {MAX_FILES} files\nhint: name only those it needs"
                );
            }
        }
    }
    Ok(())
}

fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "py")
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
    fn packages_and_what_a_command_reads_are_its_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "f.py",
            "rules/__init__.py",
            "rules/deep/__init__.py",
            "rules/deep/a.py",
            "rules/__pycache__/a.py",
            "data/a.py",
            "data/b.txt",
            "data/.hidden",
            "words.json",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let job = |reads: &str| {
            let text = format!(
                "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n\
                 commands = [\"mine\"]\n[[command]]\nname = \"mine\"\n\
                 run = [\"python3\", \"f.py\"]\nreads = {reads}\n\
                 [language]\nmodel = \"none\"\n[output]\npath = \"out\"\n"
            );
            with_hashes(JobSpec::parse(&text, folder.path()).unwrap())
        };
        let files = |reads| job(reads).unwrap().command[0].files.clone().into_keys();
        let script = ["f.py", "rules/__init__.py", "rules/deep/__init__.py", "rules/deep/a.py"];
        assert!(files("[]").eq(script));
        assert!(files(r#"["words.json"]"#).eq(script.into_iter().chain(["words.json"])));
        let with_data = ["data/a.py", "data/b.txt"].into_iter().chain(script);
        assert!(files(r#"["data"]"#).eq(with_data));
        let error = job(r#"["none.json"]"#).unwrap_err().to_string();
        assert!(error.contains("`none.json`") && error.contains("hint: "), "{error}");
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
