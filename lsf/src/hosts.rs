//! Reads the hosts of an allocation from `LSB_MCPU_HOSTS` and the file that `LSB_DJOB_HOSTFILE`
//! names, and removes the launch node.
//!
//! If nodes are assigned whole, LSF lists the node that runs the script first, with one slot. That
//! node is shared with the scripts of other users, and no worker may run there.

use std::collections::BTreeSet;

use thresher_site::batch::ParseError;

use crate::Layout;

/// Limit of hosts, many times the largest machine that ran LSF.
const HOSTS_MAX: usize = 65_536;
const NAME_BYTES_MAX: usize = 255;

/// How names of launch nodes start at the sites that we know.
const LAUNCH_NAMES: [&str; 2] = ["batch", "login"];

/// A host, and the number of its slots that belong to the allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSlots {
    /// Name of the host, as LSF writes it.
    pub name: String,
    /// Number of slots, usually cores.
    pub slots: u32,
}

/// Reads a text such as `batch2 1 a01n01 42 a01n02 42`; an empty text is an empty list.
pub fn parse_mcpu_hosts(text: &str) -> Result<Vec<HostSlots>, ParseError> {
    let mut hosts = Vec::new();
    let mut words = text.split_ascii_whitespace();
    while let Some(name) = words.next() {
        let slots = words.next().unwrap_or_default();
        let slots = slots.parse().map_err(|_| ParseError::bad("list of hosts", text))?;
        add(&mut hosts, name, slots, text)?;
    }
    Ok(hosts)
}

/// Reads a file that has the name of a host in a line for each of its slots.
pub fn parse_hostfile(text: &str) -> Result<Vec<HostSlots>, ParseError> {
    let mut hosts = Vec::new();
    for name in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        add(&mut hosts, name, 1, name)?;
    }
    Ok(hosts)
}

/// Returns the names of the hosts that workers may use, each once, in LSF's order.
pub fn compute_nodes(layout: Layout, hosts: Vec<HostSlots>) -> Vec<String> {
    let skipped = match layout {
        Layout::WholeNodes => usize::from(starts_with_launch_node(&hosts)),
        // With this layout, a first host with a single slot is a compute node like any other.
        Layout::Slots { .. } => 0,
    };
    let mut seen = BTreeSet::new();
    let names = hosts.into_iter().skip(skipped).map(|host| host.name);
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// Returns whether the first host is a launch node: it has one slot and the others have more, or it
/// has a launch node's name.
fn starts_with_launch_node(hosts: &[HostSlots]) -> bool {
    match hosts {
        [first, rest @ ..] if first.slots == 1 && !rest.is_empty() => {
            let named = LAUNCH_NAMES.iter().any(|name| first.name.starts_with(name));
            named || rest.iter().all(|host| host.slots > 1)
        }
        _ => false,
    }
}

/// Adds slots of a host. LSF lists most slots of a host together, so only the last host is
/// compared.
fn add(hosts: &mut Vec<HostSlots>, name: &str, slots: u32, text: &str) -> Result<(), ParseError> {
    let fine = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !fine || slots == 0 {
        return Err(ParseError::bad("list of hosts", text));
    }
    let full = hosts.len() == HOSTS_MAX;
    match hosts.last_mut() {
        Some(last) if last.name == name => last.slots = last.slots.saturating_add(slots),
        Some(_) if full => return Err(ParseError::too_many("hosts", HOSTS_MAX, text)),
        Some(_) | None => hosts.push(HostSlots { name: name.to_owned(), slots }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: Layout = Layout::Slots { per_node: std::num::NonZeroU32::MIN };

    fn nodes(layout: Layout, text: &str) -> String {
        compute_nodes(layout, parse_mcpu_hosts(text).unwrap()).join(" ")
    }

    #[test]
    fn the_launch_node_is_not_part_of_the_allocation() {
        let whole = Layout::WholeNodes;
        assert_eq!(nodes(whole, "batch2 1 a01n01 42 a01n02 42"), "a01n01 a01n02");
        // Another site's name for it, and nodes of which one core each was given.
        assert_eq!(nodes(whole, "launch7 1 a01n01 42"), "a01n01");
        assert_eq!(nodes(whole, "batch2 1 a01n01 1 a01n02 1"), "a01n01 a01n02");
        assert_eq!(nodes(whole, "a01n01 1 a01n02 1"), "a01n01 a01n02");
        assert_eq!(nodes(whole, "a01n01 42 a01n02 42"), "a01n01 a01n02");
        assert_eq!(nodes(whole, "a01n01 1"), "a01n01");
        assert_eq!(nodes(whole, ""), "");
    }

    #[test]
    fn with_the_layout_of_slots_every_host_works() {
        assert_eq!(nodes(SLOTS, "h1 1 h2 4"), "h1 h2");
        assert_eq!(nodes(SLOTS, "batch2 1 h2 4"), "batch2 h2");
        assert_eq!(nodes(SLOTS, "h1 1 h2 4 h1 3"), "h1 h2");
    }

    #[test]
    fn a_hostfile_says_the_same_as_the_variable() {
        let file = format!("batch2\n{}{}", "a01n01\n".repeat(42), "a01n02\n".repeat(42));
        let hosts = parse_hostfile(&file).unwrap();
        assert_eq!(hosts, parse_mcpu_hosts("batch2 1 a01n01 42 a01n02 42").unwrap());
        assert_eq!(parse_hostfile("\n"), Ok(vec![]));
    }

    #[test]
    fn the_largest_machine_fits_and_every_list_is_bounded() {
        let list = |n: usize| (0..n).map(|i| format!("h{i:05} 42 ")).collect::<String>();
        assert_eq!(parse_mcpu_hosts(&list(4608)).unwrap().len(), 4608);
        let error = parse_mcpu_hosts(&list(HOSTS_MAX + 1)).unwrap_err();
        assert!(matches!(error, ParseError::TooMany { .. }), "{error}");
    }

    #[test]
    fn invalid_lists_of_hosts_are_refused() {
        for text in ["h1", "h1 x", "h1 0", "h1 -1", "1 h1 2", "-h 1", "h;1 2", "h1 99999999999"] {
            assert!(parse_mcpu_hosts(text).is_err(), "{text:?}");
        }
        assert!(parse_hostfile("h1\nh 2\n").is_err());
    }
}
