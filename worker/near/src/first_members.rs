//! The first members of each group, in little memory: lists in one table.
//!
//! Members come in ascending order. **Invariant:** a group remembers at most its limit of members,
//! whatever its size, and counts the others.

/// The first members of groups that are numbered from zero.
#[derive(Debug, Clone)]
pub(crate) struct FirstMembers {
    limit: u32,
    groups: Vec<Group>,
    links: Vec<Link>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first: u32,
    last: u32,
    /// Number of members, also of those that are not remembered.
    members: u32,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    member: u32,
    next: u32,
}

/// The link after the last one.
const END: u32 = u32::MAX;
const EMPTY: Group = Group { first: END, last: END, members: 0 };

impl FirstMembers {
    /// Starts without groups; each will remember at most `limit` members.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, groups: Vec::new(), links: Vec::new() }
    }

    /// Returns the remembered members of a group, ascending.
    pub(crate) fn of(&self, group: u32) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.group(group).first;
        std::iter::from_fn(move || {
            let link = self.links.get(at as usize)?;
            at = link.next;
            Some(link.member)
        })
    }

    /// Returns whether the group has all the members that it may remember.
    pub(crate) fn is_full(&self, group: u32) -> bool {
        self.group(group).members >= self.limit
    }

    /// Returns whether the group has members that it does not remember.
    pub(crate) fn has_more(&self, group: u32) -> bool {
        self.group(group).members > self.limit
    }

    /// Adds a member, which is not smaller than those before it; a repeated one is ignored.
    pub(crate) fn push(&mut self, group: u32, member: u32) {
        let at = group as usize;
        if self.groups.len() <= at {
            self.groups.resize(at + 1, EMPTY);
        }
        let group = &mut self.groups[at];
        if self.links.get(group.last as usize).is_some_and(|last| last.member == member) {
            return;
        }
        if group.members < self.limit {
            let link = self.links.len() as u32;
            match self.links.get_mut(group.last as usize) {
                Some(last) => last.next = link,
                None => group.first = link,
            }
            group.last = link;
            self.links.push(Link { member, next: END });
        }
        group.members = group.members.saturating_add(1);
    }

    fn group(&self, group: u32) -> Group {
        self.groups.get(group as usize).copied().unwrap_or(EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_remembers_its_first_members_and_counts_the_rest() {
        let mut members = FirstMembers::new(2);
        for (group, member) in [(3, 0), (0, 1), (3, 1), (3, 1), (0, 4)] {
            members.push(group, member);
        }
        assert_eq!(members.of(3).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(members.of(0).collect::<Vec<_>>(), [1, 4]);
        assert!(members.is_full(3) && !members.has_more(3), "a repeated member is not counted");
        members.push(3, 9);
        assert_eq!(members.of(3).collect::<Vec<_>>(), [0, 1]);
        assert!(members.has_more(3) && !members.has_more(0));
        for unknown in [1, 2, 100] {
            assert_eq!(members.of(unknown).count(), 0);
            assert!(!members.is_full(unknown));
        }
    }
}
