//! Slurm's compressed lists of nodes: `n[001-010,020],m3`, also with several brackets in a name.
//!
//! The length of the result is bounded, whatever the text says; the order is Slurm's.

use thresher_site::batch::ParseError;

/// Limit of nodes, seven times the largest machine that we know of.
const NODES_MAX: usize = 65_536;
const NAME_BYTES_MAX: usize = 255;

/// Returns the names one by one; an empty text is an empty list.
pub fn expand_hostlist(text: &str) -> Result<Vec<String>, ParseError> {
    let mut nodes = Vec::new();
    if text.is_empty() {
        return Ok(nodes);
    }
    for pattern in split_outside_brackets(text) {
        let room = NODES_MAX - nodes.len();
        nodes.append(&mut expand_name(pattern, room, text)?);
    }
    Ok(nodes)
}

/// Splits at the commas that are not in brackets.
fn split_outside_brackets(text: &str) -> impl Iterator<Item = &str> {
    let mut in_brackets = false;
    text.split(move |c| {
        match c {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
        c == ',' && !in_brackets
    })
}

/// Returns all names of one pattern: every bracket multiplies them, and the last one counts
/// fastest.
fn expand_name(pattern: &str, room: usize, whole: &str) -> Result<Vec<String>, ParseError> {
    let wrong = || ParseError::bad("node list", whole);
    let too_many = || ParseError::too_many("nodes", NODES_MAX, whole);
    if pattern.is_empty() || room == 0 {
        return Err(if room == 0 { too_many() } else { wrong() });
    }
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while !rest.is_empty() {
        let (plain, bracket) = match rest.split_once('[') {
            Some((plain, after)) => {
                let (inside, after) = after.split_once(']').ok_or_else(wrong)?;
                rest = after;
                (plain, Some(inside))
            }
            None => (std::mem::take(&mut rest), None),
        };
        if plain.len() > NAME_BYTES_MAX || !plain.chars().all(is_name) {
            return Err(wrong());
        }
        names.iter_mut().for_each(|name| name.push_str(plain));
        if let Some(inside) = bracket {
            let room = room / names.len();
            let numbers = expand_bracket(inside, room).ok_or_else(wrong)?.ok_or_else(too_many)?;
            names = names.iter().flat_map(|n| numbers.iter().map(move |d| n.clone() + d)).collect();
        }
        if names.first().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            return Err(wrong());
        }
    }
    Ok(names)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.".contains(c)
}

/// Returns `001-010,020` as digits with their zeros. The outer `None` means that it is not such a
/// list, the inner one that it has more than `room` items.
fn expand_bracket(inside: &str, room: usize) -> Option<Option<Vec<String>>> {
    let mut numbers = Vec::new();
    for range in inside.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (number(low)?, number(high)?);
        if to < from {
            return None;
        }
        if to - from >= (room - numbers.len()) as u64 {
            return Some(None);
        }
        let width = low.len();
        numbers.extend((from..=to).map(|n| format!("{n:0width$}")));
    }
    Some(Some(numbers))
}

fn number(text: &str) -> Option<u64> {
    let fine = (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand_hostlist(text).unwrap().join(" ")
    }

    #[test]
    fn ranges_keep_their_zeros_and_their_order() {
        assert_eq!(expanded("n[008-010,020],m3"), "n008 n009 n010 n020 m3");
        assert_eq!(expanded("n[8-10]"), "n8 n9 n10");
        assert_eq!(expanded("n[3,1]"), "n3 n1");
        assert_eq!(expanded(""), "");
    }

    #[test]
    fn several_brackets_multiply_and_a_suffix_stays() {
        assert_eq!(
            expanded("r[1-2]n[01-02]-hsn0,x"),
            "r1n01-hsn0 r1n02-hsn0 r2n01-hsn0 r2n02-hsn0 x"
        );
    }

    #[test]
    fn the_largest_machine_fits() {
        let nodes = expand_hostlist("frontier[00001-09472]").unwrap();
        assert_eq!(nodes.len(), 9472);
        assert_eq!(nodes.last().unwrap(), "frontier09472");
    }

    #[test]
    fn a_huge_list_is_refused_before_it_fills_the_memory() {
        for text in [
            "n[0-999999999999999999]",
            "n[0-65536]",
            "a[0-9999]b[0-9999]",
            "a[0-999]b[0-999]c[0-999]d[0-999]",
            "n[0-65535],m",
        ] {
            let error = expand_hostlist(text).unwrap_err();
            assert!(error.to_string().contains("more than 65536 nodes"), "{text}: {error}");
        }
        assert_eq!(expand_hostlist("n[0-65535]").unwrap().len(), NODES_MAX);
    }

    #[test]
    fn invalid_node_lists_are_refused() {
        for text in [
            ",", "n1,", "n[", "n]", "n[1", "n[]", "n[a]", "n[1-]", "n[-1]", "n[2-1]", "n[[1]]",
            "n[1,]", "n 1", "n[1-2-3]", "$(id)", "n[1 ]",
        ] {
            assert!(expand_hostlist(text).is_err(), "{text:?}");
        }
    }
}
