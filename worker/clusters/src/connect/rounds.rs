//! The rounds of FastSV over the vertices and neighbours of all ranks, until nothing changes.
//!
//! The state of a rank and the rules of a round are those of `thresher_near::components::Forest`.
//! This file moves its messages: what a rank says to itself is taken at once, the rest goes through
//! the post.

use thresher_dedup::comm::Communicator;
use thresher_near::components::{Forest, Offer};

use super::ConnectError;
use super::neighbours::{Cursor, Neighbours};
use super::post::{Inquiry, Outgoing, Owners, Post, Step};
use crate::pairs::{PAIR_BYTES, decode, encode};

/// Goes through rounds until no vertex of any rank has news; returns their number, which is the
/// same in every world.
pub(super) fn settle<C: Communicator + ?Sized>(
    comm: &mut C,
    post: &mut Post,
    owners: Owners,
    (forest, neighbours): (&mut Forest, &Neighbours),
) -> Result<u32, ConnectError> {
    let here = Here { rank: comm.rank(), owners };
    let mut rounds = 0;
    while comm.all_reduce_max(u64::from(forest.has_news()))? > 0 {
        let (cursor, at) = (neighbours.cursor(), 0);
        post.run(comm, &mut Offers { forest: &mut *forest, here, cursor, at })?;
        forest.end_offers();
        post.run(comm, &mut Hooks { forest: &mut *forest, here, at: 0 })?;
        forest.shortcut();
        post.ask(comm, owners, &mut Parents(&mut *forest))?;
        rounds += 1;
    }
    Ok(rounds)
}

/// Which rank this is, and which vertices it owns.
#[derive(Debug, Clone, Copy)]
struct Here {
    rank: usize,
    owners: Owners,
}

/// Each vertex with news offers its grandparent to its neighbours.
struct Offers<'a> {
    forest: &'a mut Forest,
    here: Here,
    cursor: Cursor<'a>,
    at: usize,
}

impl Step for Offers<'_> {
    fn fill(&mut self, post: &mut Outgoing) -> Result<bool, ConnectError> {
        while self.at < self.forest.len() {
            if let Some(label) = self.forest.news(self.at) {
                let vertex = self.forest.vertex(self.at);
                self.cursor.seek(vertex);
                while let Some((_, neighbour)) =
                    self.cursor.peek()?.filter(|(document, _)| *document == vertex)
                {
                    // A vertex never has a parent above itself.
                    if label < neighbour && !self.offer(post, Offer { vertex: neighbour, label }) {
                        return Ok(true);
                    }
                    self.cursor.skip();
                }
            }
            self.at += 1;
        }
        Ok(false)
    }

    fn take(&mut self, message: &[u8]) -> Result<Option<()>, ConnectError> {
        Ok(take_offers(message, self.here, |offer| self.forest.offer(offer)))
    }
}

impl Offers<'_> {
    /// Returns whether there was room for the offer.
    fn offer(&mut self, post: &mut Outgoing, offer: Offer) -> bool {
        let owner = self.here.owners.rank_of(offer.vertex);
        if owner == self.here.rank {
            self.forest.offer(offer);
            return true;
        }
        put_offer(post, owner, offer)
    }
}

/// Each vertex passes the least offer to its parent.
struct Hooks<'a> {
    forest: &'a mut Forest,
    here: Here,
    at: usize,
}

impl Step for Hooks<'_> {
    fn fill(&mut self, post: &mut Outgoing) -> Result<bool, ConnectError> {
        while self.at < self.forest.len() {
            if let Some(hook) = self.forest.hook_of(self.at) {
                let owner = self.here.owners.rank_of(hook.vertex);
                if owner == self.here.rank {
                    self.forest.hook(hook);
                } else if !put_offer(post, owner, hook) {
                    return Ok(true);
                }
            }
            self.at += 1;
        }
        Ok(false)
    }

    fn take(&mut self, message: &[u8]) -> Result<Option<()>, ConnectError> {
        Ok(take_offers(message, self.here, |hook| self.forest.hook(hook)))
    }
}

/// Puts an offer into the message to the owner of its vertex; returns whether there was room.
fn put_offer(post: &mut Outgoing, owner: usize, offer: Offer) -> bool {
    let has_room = post.has_room(owner, PAIR_BYTES);
    if has_room {
        post.put(owner, &encode((offer.vertex, offer.label)));
    }
    has_room
}

/// Returns `None` if the message is not made of offers to vertices of this rank.
fn take_offers(message: &[u8], here: Here, mut take: impl FnMut(Offer)) -> Option<()> {
    if !message.len().is_multiple_of(PAIR_BYTES) {
        return None;
    }
    for (vertex, label) in decode(message) {
        if here.owners.rank_of(vertex) != here.rank {
            return None;
        }
        take(Offer { vertex, label });
    }
    Some(())
}

/// Each vertex asks its parent for the parent above it.
struct Parents<'a>(&'a mut Forest);

impl Inquiry for Parents<'_> {
    fn questions(&self) -> usize {
        self.0.len()
    }

    fn question(&self, at: usize) -> u64 {
        self.0.parent_at(at)
    }

    fn answer(&self, question: u64) -> Option<u64> {
        self.0.parent(question)
    }

    fn take(&mut self, at: usize, answer: u64) -> Result<(), ConnectError> {
        self.0.set_grandparent(at, answer);
        Ok(())
    }
}
