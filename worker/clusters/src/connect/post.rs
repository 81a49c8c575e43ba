//! Messages between ranks in batches of bounded size.
//!
//! A batch ends when the message to some rank is full, so that no rank receives more than its
//! share of memory, however unevenly the messages are spread. All ranks take part in batches until
//! none has anything to send. Before each exchange they agree that none has failed.

use thresher_dedup::comm::Communicator;
use thresher_dedup::comm::agreement::{agree, largest};

use super::ConnectError;

/// The smallest message that a rank can fill, so that each batch makes progress.
const MIN_MESSAGE_BYTES: u64 = 256;

/// A part of the work whose messages need not come in any order.
pub(super) trait Step {
    /// Puts messages into the post until one of them has no room, and returns whether there is more
    /// to send.
    fn fill(&mut self, post: &mut Outgoing) -> Result<bool, ConnectError>;

    /// Takes a message; returns `None` if it is not valid.
    fn take(&mut self, message: &[u8]) -> Result<Option<()>, ConnectError>;
}

/// Questions about numbers to their owners, and the answers.
pub(super) trait Inquiry {
    /// Number of questions.
    fn questions(&self) -> usize;

    /// Returns question `at`.
    fn question(&self, at: usize) -> u64;

    /// Returns the answer to a question, if this rank is the owner.
    fn answer(&self, question: u64) -> Option<u64>;

    /// Takes the answer to question `at`. Answers come in the order of questions.
    fn take(&mut self, at: usize, answer: u64) -> Result<(), ConnectError>;
}

/// Which rank owns a document: the one of its group of units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owners {
    pub(super) group_units: u32,
    pub(super) ranks: usize,
}

impl Owners {
    #[inline]
    pub(super) fn rank_of(self, document: u64) -> usize {
        ((document >> 32) as u32 / self.group_units) as usize % self.ranks
    }
}

/// The buffers of all batches, and the number of bytes that went through them.
pub(super) struct Post {
    outgoing: Outgoing,
    receives: Vec<Vec<u8>>,
    received: u64,
}

/// The messages of a batch while they are filled.
pub(super) struct Outgoing {
    messages: Vec<Vec<u8>>,
    message_bytes: usize,
    sent: u64,
}

impl Outgoing {
    /// Returns whether the message to this rank has room for this many bytes.
    #[inline]
    pub(super) fn has_room(&self, to: usize, bytes: usize) -> bool {
        self.messages[to].len() + bytes <= self.message_bytes
    }

    /// Adds to the message to this rank.
    #[inline]
    pub(super) fn put(&mut self, to: usize, bytes: &[u8]) {
        let message = &mut self.messages[to];
        if message.capacity() < self.message_bytes {
            message.reserve_exact(self.message_bytes - message.len());
        }
        message.extend_from_slice(bytes);
    }
}

impl Post {
    /// Creates the post of a rank, which needs at most `budget_bytes` unless there are very many
    /// ranks.
    pub(super) fn new(ranks: usize, budget_bytes: u64) -> Self {
        // A message is in one buffer when it is sent, and in another when it is received.
        let share = (budget_bytes / (2 * ranks as u64)).max(MIN_MESSAGE_BYTES);
        let message_bytes = usize::try_from(share).unwrap_or(usize::MAX);
        let buffers = || vec![Vec::new(); ranks];
        let outgoing = Outgoing { messages: buffers(), message_bytes, sent: 0 };
        Self { outgoing, receives: buffers(), received: 0 }
    }

    /// Goes through the batches of a step.
    pub(super) fn run<C: Communicator + ?Sized>(
        &mut self,
        comm: &mut C,
        step: &mut impl Step,
    ) -> Result<(), ConnectError> {
        let mut taken = Ok(());
        loop {
            let filled = taken.and_then(|()| step.fill(&mut self.outgoing));
            let ((), more) = largest(comm, filled.map(|more| ((), u64::from(more))))?;
            self.exchange(comm)?;
            taken = self.receives.iter().enumerate().try_for_each(|(from, message)| {
                step.take(message)?.ok_or(ConnectError::Message { from })
            });
            if more == 0 {
                return agree(comm, taken);
            }
        }
    }

    /// Asks all questions, and gives the answers back in their order.
    pub(super) fn ask<C: Communicator + ?Sized>(
        &mut self,
        comm: &mut C,
        owners: Owners,
        inquiry: &mut impl Inquiry,
    ) -> Result<(), ConnectError> {
        let (rank, mut begin) = (comm.rank(), 0);
        let mut taken = Ok(());
        loop {
            let end = self.fill_questions(rank, owners, inquiry, begin);
            let more = u64::from(end < inquiry.questions());
            let ((), more) = largest(comm, taken.map(|()| ((), more)))?;
            self.exchange(comm)?;
            let answered = self.answer(inquiry);
            agree(comm, answered)?;
            self.exchange(comm)?;
            taken = self.take_answers(rank, owners, inquiry, begin..end);
            if more == 0 {
                return agree(comm, taken);
            }
            begin = end;
        }
    }

    /// Checks that every byte that any rank has sent has arrived.
    pub(super) fn check<C: Communicator + ?Sized>(&self, comm: &mut C) -> Result<(), ConnectError> {
        let sent = comm.all_reduce_sum(self.outgoing.sent)?;
        let received = comm.all_reduce_sum(self.received)?;
        if sent == received { Ok(()) } else { Err(ConnectError::Lost { sent, received }) }
    }

    fn exchange<C: Communicator + ?Sized>(&mut self, comm: &mut C) -> Result<(), ConnectError> {
        let bytes = |messages: &[Vec<u8>]| messages.iter().map(|m| m.len() as u64).sum::<u64>();
        self.outgoing.sent += bytes(&self.outgoing.messages);
        comm.all_to_all(&mut self.outgoing.messages, &mut self.receives)?;
        self.received += bytes(&self.receives);
        Ok(())
    }

    /// Puts questions to other ranks into the messages from `begin` on; returns where it stopped.
    fn fill_questions(
        &mut self,
        rank: usize,
        owners: Owners,
        inquiry: &impl Inquiry,
        begin: usize,
    ) -> usize {
        for at in begin..inquiry.questions() {
            let question = inquiry.question(at);
            let owner = owners.rank_of(question);
            if owner == rank {
                continue;
            }
            if !self.outgoing.has_room(owner, size_of::<u64>()) {
                return at;
            }
            self.outgoing.put(owner, &question.to_le_bytes());
        }
        inquiry.questions()
    }

    /// Puts the answers into the messages back, in the order of the questions.
    fn answer(&mut self, inquiry: &impl Inquiry) -> Result<(), ConnectError> {
        for (from, message) in self.receives.iter().enumerate() {
            let (questions, odd) = message.as_chunks::<8>();
            if !odd.is_empty() {
                return Err(ConnectError::Message { from });
            }
            for question in questions {
                let answer = inquiry.answer(u64::from_le_bytes(*question));
                let answer = answer.ok_or(ConnectError::Message { from })?;
                self.outgoing.put(from, &answer.to_le_bytes());
            }
        }
        Ok(())
    }

    fn take_answers(
        &self,
        rank: usize,
        owners: Owners,
        inquiry: &mut impl Inquiry,
        questions: std::ops::Range<usize>,
    ) -> Result<(), ConnectError> {
        let mut answers: Vec<_> =
            self.receives.iter().map(|message| message.as_chunks::<8>().0.iter()).collect();
        for at in questions {
            let question = inquiry.question(at);
            let from = owners.rank_of(question);
            let answer = if from == rank {
                inquiry.answer(question)
            } else {
                answers[from].next().map(|answer| u64::from_le_bytes(*answer))
            };
            inquiry.take(at, answer.ok_or(ConnectError::Message { from })?)?;
        }
        match answers.iter().position(|answers| answers.len() > 0) {
            Some(from) => Err(ConnectError::Message { from }),
            None => Ok(()),
        }
    }
}
