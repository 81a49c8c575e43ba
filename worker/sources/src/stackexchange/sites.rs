//! Derives sites from the names of inputs, and selects the largest of them.
//!
//! RedPajama took the 28 sites with the most posts. A listing contains no numbers of posts, so here
//! the largest sites are those whose posts have the most bytes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::Selected;
use thresher_unit::UnitError;
use thresher_unit::staging::InputRow;

/// Name endings of a large site's other archives, which contain no posts.
const OTHERS: [&str; 7] =
    ["-Badges", "-Comments", "-PostHistory", "-PostLinks", "-Tags", "-Users", "-Votes"];

/// Endings of the names of packed files.
const PACKINGS: [&str; 5] = [".7z", ".gz", ".bz2", ".xz", ".zst"];

/// Returns the name of an input without the ending of its packing.
fn unpacked(path: &str) -> &str {
    PACKINGS.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path)
}

/// Returns the site of an input: `a.stackexchange.com` for `a.stackexchange.com.7z`,
/// `a.stackexchange.com-Posts.7z` or `a.stackexchange.com/Posts.xml`, also if that is packed. It is
/// empty for a `Posts.xml` without a folder.
pub(super) fn site_of(path: &str) -> &str {
    let path = unpacked(path).trim_end_matches("Posts.xml").trim_end_matches(['/', '_', '-', '.']);
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix("-Posts").unwrap_or(name)
}

/// Selects the inputs of the `sites` largest sites, in the order of the listing, and returns the
/// names of the others. For 0, or if there are no more sites, all inputs are selected.
pub(super) fn largest(inputs: Vec<InputRow>, sites: u32) -> Result<Selected, UnitError> {
    let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut unknown = None;
    for row in inputs.iter().filter(|row| has_posts(&row.path)) {
        *bytes.entry(site_of(&row.path)).or_default() += row.bytes.unwrap_or_default();
        if row.bytes.is_none() && !row.missing {
            unknown = Some(&row.path);
        }
    }
    if sites == 0 || bytes.len() <= sites as usize {
        return Ok(Selected::from(inputs));
    }
    if let Some(path) = unknown {
        return Err(UnitError::JobFile(format!(
            "`stackexchange.largest_sites = {sites}`, but `{path}` and others are listed without \
             their sizes\nhint: list only the sites to read and write `largest_sites = 0`, or \
             copy them to a directory"
        )));
    }
    let mut sizes: Vec<(Reverse<u64>, &str)> =
        bytes.iter().map(|(site, bytes)| (Reverse(*bytes), *site)).collect();
    sizes.sort_unstable();
    let mut chosen: Vec<String> = sizes.into_iter().map(|(_, site)| site.to_owned()).collect();
    let mut left_out = chosen.split_off(sites as usize);
    left_out.sort_unstable();
    let keep = |row: &InputRow| chosen.iter().any(|site| site == site_of(&row.path));
    let inputs = inputs.into_iter().filter(|row| has_posts(&row.path) && keep(row)).collect();
    Ok(Selected { inputs, left_out })
}

fn has_posts(path: &str) -> bool {
    let stem = unpacked(path);
    !OTHERS.iter().any(|other| stem.ends_with(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_named_by_their_archives() {
        assert_eq!(site_of("x/stackoverflow.com-Posts.7z"), "stackoverflow.com");
        assert_eq!(site_of("x/a.stackexchange.com.7z"), "a.stackexchange.com");
        for packing in ["", ".gz", ".bz2", ".xz", ".zst", ".7z"] {
            for name in ["x/b.com/Posts.xml", "b.com-Posts.xml", "x/b.com_Posts.xml"] {
                assert_eq!(site_of(&format!("{name}{packing}")), "b.com", "{name}{packing}");
            }
            assert_eq!(site_of(&format!("Posts.xml{packing}")), "");
        }
    }

    fn row(path: &str, bytes: u64) -> InputRow {
        InputRow { bytes: Some(bytes), ..InputRow::named(path.to_owned()) }
    }

    #[test]
    fn the_largest_sites_stay_in_the_order_of_the_listing() {
        let all = [
            row("a.stackexchange.com.7z", 5),
            row("b.stackexchange.com.7z", 9),
            row("c.stackexchange.com/Posts.xml", 7),
            row("d.stackexchange.com.7z", 7),
            row("stackoverflow.com-Comments.7z", 90),
            row("stackoverflow.com-Posts.7z", 50),
        ];
        let chosen = |sites| -> Vec<String> {
            let selected = largest(all.to_vec(), sites).unwrap();
            selected.inputs.into_iter().map(|row| row.path).collect()
        };
        let left_out = |sites| largest(all.to_vec(), sites).unwrap().left_out;
        assert_eq!(chosen(0).len(), 6);
        // The listing has five sites.
        assert_eq!(chosen(5).len(), 6);
        // Of two sites with equal size, the first by name is selected.
        let three = [
            "b.stackexchange.com.7z",
            "c.stackexchange.com/Posts.xml",
            "stackoverflow.com-Posts.7z",
        ];
        assert_eq!(chosen(3), three);
        assert_eq!(left_out(3), ["a.stackexchange.com", "d.stackexchange.com"]);
        assert!(left_out(5).is_empty() && left_out(0).is_empty());
        let unknown = vec![InputRow::named("e.7z".to_owned()), row("f.7z", 1)];
        assert!(largest(unknown.clone(), 1).unwrap_err().to_string().contains("`e.7z`"));
        assert_eq!(largest(unknown, 2).unwrap().inputs.len(), 2);
    }
}
