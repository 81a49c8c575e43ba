//! `--recover`: continues a job whose journal is damaged in its middle.

use std::path::Path;

use clap::Args;
use thresher_coordinator::amounts::count;
use thresher_coordinator::journal::Recovery;
use thresher_coordinator::run::recover;

use super::print;

/// The option of verbs that start a coordinator.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct RecoverArgs {
    /// If the journal is damaged, continue from the last whole record before the damage
    #[arg(long)]
    recover: bool,
}

impl RecoverArgs {
    /// Recovers the journal if that is asked for, and says what was lost.
    pub(super) fn run(self, state: &Path) -> anyhow::Result<()> {
        if !self.recover {
            return Ok(());
        }
        match recover(state)? {
            Some(recovery) => print::note(&words(&recovery)),
            None => print::note("the journal is not damaged; `--recover` changes nothing"),
        }
        Ok(())
    }
}

fn words(recovery: &Recovery) -> String {
    let Recovery { damage, lost_records, lost_results } = recovery;
    format!(
        "warning: the journal `{}` is damaged at byte {}: {}\n\
         the job continues from the last whole record before that; {} later records can be read \
         but not used\nthe results of at least {} units are lost, and these units run again; the \
         damaged file is kept",
        damage.path.display(),
        damage.offset,
        damage.what,
        count(*lost_records),
        count(*lost_results)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_coordinator::journal::Damage;

    #[test]
    fn a_recovery_says_what_is_lost() {
        let what = "a frame is not whole".to_owned();
        let damage = Damage { path: "/s/journal/00000002.journal".into(), offset: 77, what };
        let text = words(&Recovery { damage, lost_records: 1234, lost_results: 56 });
        for part in ["`/s/journal/00000002.journal` is damaged at byte 77", "1,234", "56 units"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
