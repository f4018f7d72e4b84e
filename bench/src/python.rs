//! CPython on its standard library in the bottom layer: a start with 40 imports.

use crate::sides::stock;
use crate::trees::Trees;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::{Engine, Module};

/// What the application is called with.
const APPLICATION: [&str; 2] = ["python", "/imports.py"];

/// Where `scripts/fetch-cpython.sh` puts it.
const FILE: &str = "target/cpython/python.wasm";

/// The library is baked into the program.
const UNPACK: &str = "
import os, zipfile
os.makedirs('/py/lib/python3.12')
zipfile.ZipFile('/usr/local/lib/python312.zip').extractall('/py/lib/python3.12')
";

/// What an application begins with.
const IMPORTS: &str = "
import abc, argparse, ast, base64, bisect, calendar, collections, contextlib, copy, csv
import dataclasses, datetime, decimal, difflib, email.message, enum, fnmatch, functools, glob, gzip
import hashlib, heapq, html, inspect, io, itertools, json, logging, operator, pathlib
import pprint, random, re, shutil, statistics, string, tempfile, textwrap, urllib.parse, zipfile
print('imported')
";

/// The program, a core module of WASI 0.1.
pub(crate) fn bytes() -> Result<Vec<u8>> {
    fs::read(FILE).with_context(|| format!("cannot read {FILE}: run scripts/fetch-cpython.sh"))
}

/// What it is called with.
pub(crate) fn arguments() -> [String; 2] {
    APPLICATION.map(str::to_owned)
}

/// Where the application finds the library. The program that unpacks it has one of its own.
pub(crate) fn environment(arguments: &[String]) -> Vec<(&'static str, &'static str)> {
    match arguments == APPLICATION {
        true => vec![("PYTHONHOME", "/py")],
        false => Vec::new(),
    }
}

/// Puts the library in the bottom layer and the plain directory, and the application in the top
/// one.
pub(crate) fn prepare(trees: &Trees) -> Result<()> {
    let folder = trees.root().join("python");
    fs::create_dir(&folder)?;
    fs::write(folder.join("unpack.py"), UNPACK)?;
    let engine = Engine::default();
    let file = trees.compiled("python");
    fs::write(&file, engine.precompile_module(&bytes()?)?)?;
    // SAFETY: this program wrote the file, in a folder that is its own.
    let module = unsafe { Module::deserialize_file(&engine, &file) }?;
    let arguments = ["python", "/unpack.py"].map(str::to_owned);
    stock::p1(&module, &arguments, &stock::whole(&folder))?;
    for root in [trees.layer(0), trees.plain()] {
        copy(&folder.join("py"), &root.join("py"))?;
    }
    trees.put(trees.layers - 1, "imports.py", IMPORTS.as_bytes())
}

/// Starts it `turns` times.
pub(crate) fn time(turns: u32, mut start_one: impl FnMut() -> Result<Vec<u8>>) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..turns {
        let printed = start_one()?;
        ensure!(
            printed == b"imported\n",
            "it printed {:?}",
            String::from_utf8_lossy(&printed)
        );
    }
    Ok(start.elapsed())
}

/// Copies a tree. It is a library's: not deep.
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
