//! The CPython workload: a start with 40 imports, with the standard library in the bottom layer.

use crate::backends::stock;
use crate::trees::Trees;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::{Engine, Module};

/// Command line of the application.
const APPLICATION: [&str; 2] = ["python", "/imports.py"];

/// The file that `scripts/fetch-cpython.sh` writes.
const FILE: &str = "target/cpython/python.wasm";

/// A script that unpacks the standard library, which is built into the program.
const UNPACK: &str = "
import os, zipfile
os.makedirs('/py/lib/python3.12')
zipfile.ZipFile('/usr/local/lib/python312.zip').extractall('/py/lib/python3.12')
";

/// The application: the imports that a typical one begins with.
const IMPORTS: &str = "
import abc, argparse, ast, base64, bisect, calendar, collections, contextlib, copy, csv
import dataclasses, datetime, decimal, difflib, email.message, enum, fnmatch, functools, glob, gzip
import hashlib, heapq, html, inspect, io, itertools, json, logging, operator, pathlib
import pprint, random, re, shutil, statistics, string, tempfile, textwrap, urllib.parse, zipfile
print('imported')
";

/// Reads the program, a core module for WASI 0.1.
pub(crate) fn bytes() -> Result<Vec<u8>> {
    fs::read(FILE).with_context(|| format!("cannot read {FILE}: run scripts/fetch-cpython.sh"))
}

/// The command line of the application.
pub(crate) fn arguments() -> [String; 2] {
    APPLICATION.map(str::to_owned)
}

/// The environment, which tells the application where the library is. The script that unpacks the
/// library uses the built-in one.
pub(crate) fn environment(arguments: &[String]) -> Vec<(&'static str, &'static str)> {
    if arguments == APPLICATION {
        vec![("PYTHONHOME", "/py")]
    } else {
        Vec::new()
    }
}

/// Puts the library into the bottom layer and the application into the top layer, and both into the
/// plain directory.
pub(crate) fn prepare(trees: &Trees) -> Result<()> {
    let folder = trees.root().join("python");
    fs::create_dir(&folder)?;
    fs::write(folder.join("unpack.py"), UNPACK)?;
    let engine = Engine::default();
    let file = trees.compiled("python");
    fs::write(&file, engine.precompile_module(&bytes()?)?)?;
    // SAFETY: this program wrote the file, in its own temporary folder.
    let module = unsafe { Module::deserialize_file(&engine, &file) }?;
    let arguments = ["python", "/unpack.py"].map(str::to_owned);
    stock::p1(&module, &arguments, &stock::as_root(&folder))?;
    for root in [trees.layer(0), trees.plain()] {
        copy(&folder.join("py"), &root.join("py"))?;
    }
    trees.put(trees.layers - 1, "imports.py", IMPORTS.as_bytes())
}

/// Times `iterations` starts.
pub(crate) fn time(
    iterations: u32,
    mut start_one: impl FnMut() -> Result<Vec<u8>>,
) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..iterations {
        let printed = start_one()?;
        ensure!(
            printed == b"imported\n",
            "CPython printed {:?}",
            String::from_utf8_lossy(&printed)
        );
    }
    Ok(start.elapsed())
}

/// Copies a tree. Recursion is safe: a standard library is not deep.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
