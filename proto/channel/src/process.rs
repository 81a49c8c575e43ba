//! What `/proc` says about processes of this host: whether a process still lives, and which signals
//! this process was started to ignore.
//!
//! **Invariant:** a process id that was given to another process is not taken for the first one,
//! because a process is named by the boot, its id and the time at which it started.

use std::fs;

const HANGUP: u32 = 1;

/// Returns a name of a process of this host that no other process ever has, or `None` if it does
/// not exist or has ended.
pub fn process_name(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let started = start_ticks(&stat)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{}/{pid}/{started}", boot.trim()))
}

/// Returns the start time in the text of a `stat` file, in clock ticks since the boot; `None` for a
/// process that has ended and that its parent has not waited for.
fn start_ticks(stat: &str) -> Option<&str> {
    // The program's name before it may have blanks and parentheses.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then_some(started)
}

/// Returns whether this process was started to survive the end of its terminal, as by `nohup`.
pub fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_ignored(&status, HANGUP)
}

fn is_ignored(status: &str, signal: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_has_a_name_until_it_ends() {
        let own = process_name(std::process::id());
        assert!(own.is_some() && own == process_name(std::process::id()));
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let name = process_name(child.id());
        assert!(name.is_some() && name != own);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(process_name(child.id()), None);
    }

    #[test]
    fn a_killed_process_that_nobody_waited_for_has_ended() {
        let fields: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let stat = |state: &str| format!("7 (a) b) {state} {}", fields.join(" "));
        assert_eq!(start_ticks(&stat("S")), Some("22"));
        assert_eq!(start_ticks(&stat("T")), Some("22"), "a suspended process lives");
        assert_eq!(start_ticks(&stat("Z")), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn an_ignored_hangup_is_recognised_among_other_signals() {
        assert!(is_ignored("SigBlk:\t00\nSigIgn:\t0000000000000001\n", HANGUP));
        assert!(is_ignored("SigIgn:\t0000000000001007\n", HANGUP));
        assert!(!is_ignored("SigIgn:\t0000000000001006\nSigCgt:\t01\n", HANGUP));
        assert!(!is_ignored("", HANGUP));
    }
}
