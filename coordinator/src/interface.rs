//! Finds the address of a network interface by the name in a site profile.

use std::net::{IpAddr, SocketAddr};

use if_addrs::{IfAddr, get_if_addrs};

/// Name that selects the first interface that is up and is not the loopback.
const AUTO: &str = "auto";

/// Why there is no address to listen on.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    #[error("failed to list the network interfaces: {0}")]
    List(#[source] std::io::Error),
    #[error(
        "this node has no interface `{name}` with an address\nhint: it has {known}; choose one by \
         `interface` in the job file's `[site]`"
    )]
    Unknown { name: String, known: String },
}

/// Returns the address on this interface to listen on for other nodes.
pub fn listen_address(name: &str, port: u16) -> Result<SocketAddr, InterfaceError> {
    let interfaces = get_if_addrs().map_err(InterfaceError::List)?;
    let named = interfaces.iter().map(|interface| (interface.name.as_str(), &interface.addr));
    let addresses: Vec<(&str, IpAddr)> = named
        .map(|(name, address)| match address {
            IfAddr::V4(v4) => (name, IpAddr::V4(v4.ip)),
            IfAddr::V6(v6) => (name, IpAddr::V6(v6.ip)),
        })
        .collect();
    match choose(name, &addresses) {
        Some(address) => Ok(SocketAddr::new(address, port)),
        None => {
            let mut known: Vec<String> =
                addresses.iter().map(|(name, _)| format!("`{name}`")).collect();
            known.dedup();
            Err(InterfaceError::Unknown { name: name.to_owned(), known: known.join(", ") })
        }
    }
}

/// Chooses IPv4 first, which every node of every site has, and never an address that needs a scope.
fn choose(name: &str, addresses: &[(&str, IpAddr)]) -> Option<IpAddr> {
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    };
    let fits = |(found, address): &&(&str, IpAddr)| match name {
        AUTO => !address.is_loopback(),
        name => *found == name,
    };
    let mut fitting: Vec<IpAddr> =
        addresses.iter().filter(fits).map(|(_, address)| *address).filter(usable).collect();
    // The sort is stable, so the system's order is kept among equal ones.
    fitting.sort_by_key(IpAddr::is_ipv6);
    match (fitting.first(), name) {
        (Some(address), _) => Some(*address),
        // The machine has no network.
        (None, AUTO) => choose("lo", addresses),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Vec<(&'static str, IpAddr)> {
        [
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("hsn0", "fe80::1"),
            ("hsn0", "fd00::1"),
            ("eth0", "192.0.2.2"),
        ]
        .map(|(name, text)| (name, text.parse().unwrap()))
        .to_vec()
    }

    #[test]
    fn an_interface_is_found_by_its_name_and_never_guessed() {
        let ip = |text: &str| Some(text.parse().unwrap());
        assert_eq!(choose("lo", &addresses()), ip("127.0.0.1"));
        assert_eq!(choose("hsn0", &addresses()), ip("fd00::1"));
        assert_eq!(choose("auto", &addresses()), ip("192.0.2.2"));
        assert_eq!(choose("auto", &addresses()[..2]), ip("127.0.0.1"));
        assert_eq!(choose("hsn1", &addresses()), None);
    }

    #[test]
    fn a_missing_interface_is_reported_with_the_existing_ones() {
        assert_eq!(listen_address("lo", 7).unwrap().port(), 7);
        let error = listen_address("no-such", 0).unwrap_err().to_string();
        assert!(error.contains("`lo`"), "{error}");
    }
}
