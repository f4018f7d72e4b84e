//! Generates a constant for each guest's source file, and the macros `foreach_p1!`, `foreach_p2!` and
//! `foreach_p3!`.
//!
//! The list of guests comes from their sources, so that a host's tests compile before the guests are built,
//! and fail to compile if no test runs one of the guests.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let guests = manifest
        .parent()
        .expect("the crate lies in guest-tests")
        .to_owned();
    let artifacts = guests
        .parent()
        .expect("guest-tests lies in the repository")
        .join("target/guests");
    let mut code = String::new();
    for version in ["p1", "p2", "p3"] {
        add(
            &mut code,
            version,
            &names(&guests.join(version).join("src/bin")),
            &artifacts,
        )
        .expect("a string takes all");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("guests.rs");
    fs::write(&out, code).expect("OUT_DIR is writable");
}

/// Adds the macro and the constants of one WASI version.
fn add(code: &mut String, version: &str, names: &[String], artifacts: &Path) -> std::fmt::Result {
    writeln!(
        code,
        "/// Calls `$each!(name CONSTANT)` for each guest of its WASI version."
    )?;
    writeln!(code, "#[macro_export]\nmacro_rules! foreach_{version} {{")?;
    writeln!(code, "    ($each:ident) => {{")?;
    for name in names {
        writeln!(code, "        $each!({name} {});", name.to_uppercase())?;
    }
    writeln!(code, "    }};\n}}")?;
    for name in names {
        let path = artifacts.join(format!("{name}.wasm"));
        let constant = name.to_uppercase();
        writeln!(code, "/// The guest `{name}`.")?;
        writeln!(
            code,
            "pub const {constant}: Guest = Guest {{ name: {name:?}, path: {path:?} }};"
        )?;
    }
    Ok(())
}

/// The names of the guests with sources in `folder`, sorted.
fn names(folder: &Path) -> Vec<String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be listed to its end").path())
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .map(|path| {
            path.file_stem()
                .expect("it has an extension")
                .to_str()
                .expect("guests have ASCII names")
                .to_owned()
        })
        .collect();
    names.sort();
    names
}
