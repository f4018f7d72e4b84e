//! Embeds the component, where it was built. Without it the crate builds as well, and what needs
//! the component says which command makes it.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let artifacts = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("artifact");
    // The folder, not the files: of a file that is not there cargo thinks that it changed.
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
