//! Compiles only the messages, because the product's crate of messages includes gRPC.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../../proto/thresher");
    let descriptors = protox::compile(["thresher/v1/journal.proto"], ["../../proto"])?;
    prost_build::compile_fds(descriptors)?;
    Ok(())
}
