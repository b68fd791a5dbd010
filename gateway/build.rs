//! Makes the folder of the built web app, so that the gateway builds without it; `web.rs` then says what is missing.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let dist = Path::new("../web/dist");
    std::fs::create_dir_all(dist)?;
    // The files themselves are embedded, and followed, by `rust-embed`; this notices new ones.
    println!("cargo:rerun-if-changed={}", dist.display());
    Ok(())
}
