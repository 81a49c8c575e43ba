//! `thresher`: the program that people run. The library of this crate has all that it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    thresher_cli::main()
}
