//! Compiles the contract with `protox` (no protoc to install) and keeps the descriptors for reflection and JSON.

use prost::Message;
use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 12] = [
    "vidstream/v1/video.proto",
    "vidstream/v1/upload.proto",
    "vidstream/v1/playback.proto",
    "vidstream/v1/source.proto",
    "vidstream/v1/job.proto",
    "vidstream/v1/garbage.proto",
    "vidstream/v1/diagnosis.proto",
    "vidstream/v1/explanation.proto",
    "vidstream/v1/lease.proto",
    "vidstream/v1/catalog.proto",
    "vidstream/v1/transcoder.proto",
    "vidstream/v1/gateway.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let descriptors = compiler.file_descriptor_set();
    // Comments become Rust docs; at run time nobody reads them.
    let mut lean = descriptors.clone();
    lean.file.iter_mut().for_each(|file| file.source_code_info = None);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("vidstream.v1.bin"), lean.encode_to_vec())?;
    tonic_prost_build::configure()
        // Piece data is sliced out of the received message instead of being copied.
        .bytes(".vidstream.v1.Piece.data")
        .bytes(".vidstream.v1.PutChunkRequest.data")
        .bytes(".vidstream.v1.Extent.tree")
        .compile_fds(descriptors)?;
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    Ok(())
}
