//! The members of one component: in memory, or in scratch files with a cache.
//!
//! Both give a member by its number in the order of survival, so the rule does not know where
//! members are.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::{CompareError, MAX_COMPONENT_KEYS};
use crate::codec::Fields;
use crate::document::Document;
use crate::member::{Evidence, Head, Member};
use crate::scratch::{Scratch, ScratchError, ScratchWriter};

/// Collects the members of a component, which come in the order of survival.
pub(super) struct Component<'a> {
    label: Document,
    memory_bytes: usize,
    scratch_folder: &'a Path,
    held: Vec<(Rc<Head>, Rc<Evidence>)>,
    held_bytes: usize,
    spilled: Option<Spilled>,
    keys: u64,
    members: u64,
}

struct Spilled {
    heads: ScratchWriter,
    evidence: ScratchWriter,
    record: Vec<u8>,
}

impl<'a> Component<'a> {
    pub(super) fn new(label: Document, memory_bytes: usize, scratch_folder: &'a Path) -> Self {
        Self {
            label,
            memory_bytes,
            scratch_folder,
            held: Vec::new(),
            held_bytes: 0,
            spilled: None,
            keys: 0,
            members: 0,
        }
    }

    /// Returns the smallest document of the component.
    pub(super) fn label(&self) -> Document {
        self.label
    }

    /// Adds the next member.
    pub(super) fn push(&mut self, member: Member) -> Result<(), CompareError> {
        let Member { head, evidence, .. } = member;
        self.members += 1;
        self.keys += head.keys.len() as u64;
        if self.keys.max(self.members) > MAX_COMPONENT_KEYS {
            return Err(CompareError::TooLarge { component: self.label });
        }
        if let Some(spilled) = &mut self.spilled {
            return Ok(spilled.push(&head, &evidence)?);
        }
        self.held_bytes += head.memory_bytes() + evidence.memory_bytes();
        self.held.push((Rc::new(head), Rc::new(evidence)));
        if self.held_bytes > self.memory_bytes {
            let spilled = self.spilled.insert(Spilled {
                heads: ScratchWriter::create(self.scratch_folder)?,
                evidence: ScratchWriter::create(self.scratch_folder)?,
                record: Vec::new(),
            });
            for (head, evidence) in std::mem::take(&mut self.held) {
                spilled.push(&head, &evidence)?;
            }
        }
        Ok(())
    }

    /// Returns all members.
    pub(super) fn finish(self) -> Result<Members, ScratchError> {
        let place = match self.spilled {
            None => Place::Memory(self.held),
            Some(Spilled { heads, evidence, .. }) => Place::Scratch(Box::new(Stored {
                heads: heads.finish()?,
                evidence: evidence.finish()?,
                record: Vec::new(),
                recent_heads: Cache::new(self.memory_bytes / 8),
                recent_evidence: Cache::new(self.memory_bytes / 2),
            })),
        };
        // `push` checked that numbers of members have 32 bits.
        let count = self.members as u32;
        Ok(Members { count, keys: self.keys, memory_bytes: self.memory_bytes, place })
    }
}

impl Spilled {
    fn push(&mut self, head: &Head, evidence: &Evidence) -> Result<(), ScratchError> {
        self.record.clear();
        head.put(&mut self.record);
        self.heads.append(&self.record)?;
        self.record.clear();
        evidence.put(&mut self.record);
        self.evidence.append(&self.record)
    }
}

/// All members of a component, numbered in the order of survival.
pub(super) struct Members {
    count: u32,
    keys: u64,
    memory_bytes: usize,
    place: Place,
}

enum Place {
    Memory(Vec<(Rc<Head>, Rc<Evidence>)>),
    Scratch(Box<Stored>),
}

struct Stored {
    heads: Scratch,
    evidence: Scratch,
    record: Vec<u8>,
    recent_heads: Cache<Head>,
    recent_evidence: Cache<Evidence>,
}

impl Members {
    /// Returns the number of members.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Returns the number of band keys of all members.
    pub(super) fn keys(&self) -> u64 {
        self.keys
    }

    /// Returns the memory that the component may use.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Returns the head of a member.
    pub(super) fn head(&mut self, at: u32) -> Result<Rc<Head>, ScratchError> {
        match &mut self.place {
            Place::Memory(members) => Ok(Rc::clone(&members[at as usize].0)),
            Place::Scratch(stored) => stored.head(at),
        }
    }

    /// Returns the evidence of a member.
    pub(super) fn evidence(&mut self, at: u32) -> Result<Rc<Evidence>, ScratchError> {
        match &mut self.place {
            Place::Memory(members) => Ok(Rc::clone(&members[at as usize].1)),
            Place::Scratch(stored) => stored.evidence(at),
        }
    }
}

impl Stored {
    fn head(&mut self, at: u32) -> Result<Rc<Head>, ScratchError> {
        if let Some(head) = self.recent_heads.get(at) {
            return Ok(head);
        }
        self.heads.read(at as usize, &mut self.record)?;
        let head = Head::take(&mut Fields(&self.record));
        let head = Rc::new(head.ok_or_else(|| self.heads.damaged(at as usize))?);
        self.recent_heads.insert(at, &head, head.memory_bytes());
        Ok(head)
    }

    fn evidence(&mut self, at: u32) -> Result<Rc<Evidence>, ScratchError> {
        if let Some(evidence) = self.recent_evidence.get(at) {
            return Ok(evidence);
        }
        self.evidence.read(at as usize, &mut self.record)?;
        let evidence = Evidence::take(&mut Fields(&self.record));
        let evidence = Rc::new(evidence.ok_or_else(|| self.evidence.damaged(at as usize))?);
        self.recent_evidence.insert(at, &evidence, evidence.memory_bytes());
        Ok(evidence)
    }
}

/// What was used recently, in two generations: when the young one is full, the old one is
/// forgotten, except for what was used since.
struct Cache<T> {
    generation_bytes: usize,
    young_bytes: usize,
    young: HashMap<u32, (Rc<T>, usize)>,
    old: HashMap<u32, (Rc<T>, usize)>,
}

impl<T> Cache<T> {
    fn new(memory_bytes: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { generation_bytes: memory_bytes / 2, young_bytes: 0, young, old }
    }

    fn get(&mut self, at: u32) -> Option<Rc<T>> {
        if let Some((value, _)) = self.young.get(&at) {
            return Some(Rc::clone(value));
        }
        let (value, bytes) = self.old.remove(&at)?;
        self.insert(at, &value, bytes);
        Some(value)
    }

    fn insert(&mut self, at: u32, value: &Rc<T>, bytes: usize) {
        if self.young_bytes + bytes > self.generation_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(at, (Rc::clone(value), bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_with_too_many_keys_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let label = Document { unit: 4, place: 2 };
        let mut component = Component::new(label, 1 << 20, folder.path());
        let (dump, id) = (String::new(), String::new());
        let head = Head { document: label, source: 0, dump, id, keys: vec![1] };
        let rank = Vec::new();
        let member = Member { component: label, rank, head, evidence: Evidence::None };
        component.keys = MAX_COMPONENT_KEYS - 1;
        component.push(member.clone()).unwrap();
        let error = component.push(member).unwrap_err();
        assert!(error.to_string().contains("`4:2`"), "{error}");
    }

    #[test]
    fn a_cache_forgets_what_was_not_used_for_two_generations() {
        let mut cache = Cache::new(8);
        for at in 0..100 {
            cache.insert(at, &Rc::new(at), 1);
            assert!(cache.get(0).is_some(), "what is used all the time stays");
            assert!(cache.young.len() + cache.old.len() <= 8);
        }
        assert!(cache.get(50).is_none());
        assert_eq!(cache.get(99).as_deref(), Some(&99));
    }
}
