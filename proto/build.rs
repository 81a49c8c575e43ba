//! Compiles the .proto files with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["control", "coordination", "journal", "units", "work"]
        .map(|name| format!("thresher/v1/{name}.proto"));
    println!("cargo::rerun-if-changed=thresher");
    let descriptors = protox::compile(files, ["."])?;
    let out_dir = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    // gRPC reflection serves these.
    std::fs::write(out_dir.join("descriptors.bin"), prost_encode(&descriptors))?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}

fn prost_encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
