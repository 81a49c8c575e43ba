//! `completions` and `man`: what shells and `man` need to know of the command line, made from its
//! definition, so that a package never has another version of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

use super::{Exit, print};

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thresher completions bash > \
                        ~/.local/share/bash-completion/completions/thresher\n  \
                        thresher completions zsh > \"${fpath[1]}/_thresher\"")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// Write the manual pages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thresher man ~/.local/share/man/man1\n  \
                        man thresher-run")]
pub(crate) struct ManArgs {
    /// Directory for `thresher.1` and one page for each verb; it is made if it is missing
    pub(crate) folder: PathBuf,
}

/// Prints the completion script.
pub(crate) fn completions(
    mut command: Command,
    args: &CompletionsArgs,
) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "thresher", &mut script);
    let script = String::from_utf8_lossy(&script);
    // It is text of ours, and has control characters of the shell, so it is not escaped.
    print::verbatim(&script)?;
    Ok(Exit::Done.into())
}

/// Writes the pages.
pub(crate) fn man(command: Command, args: &ManArgs) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    write_pages(command, folder)
        .with_context(|| format!("failed to write manual pages into `{}`", folder.display()))?;
    Ok(Exit::Done.into())
}

fn write_pages(command: Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // Only a built command knows the full names of its verbs.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut waiting = vec![command];
    while let Some(command) = waiting.pop() {
        waiting.extend(command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned());
        let page = clap_mangen::Man::new(command);
        let mut text = Vec::new();
        page.render(&mut text)?;
        std::fs::write(folder.join(page.get_filename()), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;

    #[test]
    fn every_verb_has_a_page_that_lists_its_options() {
        let folder = tempfile::tempdir().unwrap();
        write_pages(crate::Cli::command(), folder.path()).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("thresher.1").contains("thresher\\-submit(1)"));
        assert!(page("thresher-submit.1").contains("\\-\\-dry\\-run"));
        let pages = std::fs::read_dir(folder.path()).unwrap().count();
        let verbs = crate::Cli::command().get_subcommands().filter(|it| !it.is_hide_set()).count();
        assert!(pages > verbs, "{pages} pages of {verbs} verbs");
        assert!(
            !folder.path().join("thresher-allocation.1").try_exists().unwrap(),
            "it is not for people"
        );
    }

    #[test]
    fn every_shell_completes_verbs_and_options() {
        for shell in Shell::value_variants().iter().copied() {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut crate::Cli::command(), "thresher", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("default-job") && script.contains("dry-run"), "{shell}");
        }
    }
}
