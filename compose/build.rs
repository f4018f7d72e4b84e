//! Embeds the overlay's core modules if they have been built. Without them the crate still builds,
//! and functions that need them return an error that names the command to build them.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let artifacts = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("artifact");
    // The folder, not the files: cargo considers a missing file changed.
    println!("cargo::rerun-if-changed={}", artifacts.display());
    let mut code = String::new();
    for (constant, name) in [
        ("OVERLAY", "overlay.wasm"),
        ("CONFIGURED", "overlay-configured.wasm"),
    ] {
        let path = artifacts.join(name);
        let value = match fs::metadata(&path) {
            Ok(_) => format!("Some(include_bytes!({path:?}))"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "None".to_owned(),
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        };
        writeln!(
            code,
            "pub(super) const {constant}: Option<&[u8]> = {value};"
        )?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("artifact.rs"), code)?;
    Ok(())
}
