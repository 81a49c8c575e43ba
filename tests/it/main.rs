//! Whole-system tests: fixtures, simulation, faults. Nobody depends on this package.

mod sim;
mod tidy;
