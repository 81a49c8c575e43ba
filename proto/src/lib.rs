//! The contracts: messages, ids, units and job file types that two parts must agree on.

pub mod channel;
