//! Writes the built guests as `p1_*.wasm`, `p2_*.wasm` and `p3_*.wasm` to one folder, where the crate
//! `wasi-overlay-guest-artifacts` finds them.
//!
//! A guest for WASI 0.1 is a core module, and is copied. A guest for WASI 0.2 or 0.3 is linked for
//! `wasm32-unknown-unknown`, with its type information in a custom section. It is encoded as a component
//! without an adapter, so that it imports only what it calls itself. The module of a guest for 0.2 is also
//! copied to the folder `core`, for making components for other versions of WASI 0.2.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use wit_component::ComponentEncoder;

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [wasi, unknown, out] = &args[..] else {
        anyhow::bail!("usage: guests-componentize WASI-FOLDER UNKNOWN-FOLDER OUT-FOLDER");
    };
    let core = out.join("core");
    fs::create_dir_all(&core).with_context(|| format!("cannot make {}", core.display()))?;
    let mut kept = BTreeSet::new();
    for (folder, prefix) in [(wasi, "p1_"), (unknown, "p2_"), (unknown, "p3_")] {
        let mut count = 0;
        for module in modules(folder, prefix)? {
            let bytes =
                fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
            let name = module
                .file_name()
                .context("a module without a name")?
                .to_owned();
            if prefix == "p2_" {
                write_if_changed(&core.join(&name), &bytes)?;
            }
            let bytes = if prefix == "p1_" {
                bytes
            } else {
                encode(&bytes)
                    .with_context(|| format!("cannot make a component of {}", module.display()))?
            };
            write_if_changed(&out.join(&name), &bytes)?;
            kept.insert(name);
            count += 1;
        }
        ensure!(count > 0, "no {prefix}*.wasm in {}", folder.display());
    }
    remove_others(out, &kept)?;
    remove_others(&core, &kept)
}

/// The modules in `folder` that have a source. Cargo leaves the module of a removed guest in its folder, and
/// that must not be taken for a guest.
fn modules(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let crate_folder = prefix.trim_end_matches('_');
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(crate_folder)
        .join("src/bin");
    let mut modules = Vec::new();
    for entry in
        fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))?
    {
        let source = entry?.path();
        let name = source.file_stem().context("a source without a name")?;
        let name = name.to_str().context("a source whose name is no UTF-8")?;
        ensure!(
            name.starts_with(prefix),
            "{} does not begin with {prefix}",
            source.display()
        );
        modules.push(folder.join(format!("{name}.wasm")));
    }
    Ok(modules)
}

fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
}

/// Does not write equal files, so that the time of a file is that of the guest's last change.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Removes the artifacts of guests that no longer exist.
fn remove_others(out: &Path, kept: &BTreeSet<OsString>) -> Result<()> {
    for entry in fs::read_dir(out)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|it| it == "wasm")
            && !kept.contains(&entry.file_name())
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
