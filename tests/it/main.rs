//! Whole-system tests, in one binary. Nobody depends on this package.
#![expect(clippy::unwrap_used, reason = "in a test, what is not there is a failure of the test")]

mod alias;
mod any_system;
mod buckets;
mod faults;
mod hints;
mod operations;
mod oracle;
mod pages;
mod queue;
mod sim;
mod tidy;
