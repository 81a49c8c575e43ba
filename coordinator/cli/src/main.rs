//! `thresher`: the program that people run. Everything it does stands in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    thresher_cli::main()
}
