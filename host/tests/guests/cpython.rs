//! A real program that nobody here wrote: CPython 3.12, on its standard library in one lower
//! layer, an application in a second, and a patch of both in a third.
//!
//! What it prints on an overlay has to be what it prints on a plain directory with wasmtime-wasi;
//! what it leaves has to be the same tree; and the layers have to be, byte for byte, what they
//! were. `scripts/fetch-cpython.sh` gets the program.

use crate::program::{Files, Outcome, Program};
use crate::scan::{self, Node, Tree};
use anyhow::{Context as _, Result, ensure};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use wasi_overlay::{FsPerms, Lower, Overlay, OverlayCtx};

const MAIN: &str = include_str!("python/main.py");
const UNPACK: &str = include_str!("python/unpack.py");

/// Where the standard library is shown to the guest.
const LIBRARY: &str = "py/lib/python3.12";

#[test]
fn python_sees_and_leaves_on_layers_what_it_does_on_a_plain_directory() {
    let python = python().expect("python can be compiled");
    let layers = Layers::new(&python).expect("the layers can be made");

    let plain = TempDir::new().expect("a temporary folder can be made");
    write(&scan::merge(&layers.trees), plain.path()).expect("the plain directory can be made");
    let expected = run(&python, Files::Stock(plain.path())).expect("python runs on it");
    let left = scan::scan(plain.path()).expect("it can be read");
    assert!(!expected.stdout.contains("failed:"), "{}", expected.stdout);

    for upper in [Upper::Directory, Upper::Memory] {
        check(&python, &layers, &upper, &expected, &left)
            .unwrap_or_else(|error| panic!("{upper:?}: {error:#}"));
    }
}

/// Where changes go.
#[derive(Debug, PartialEq)]
enum Upper {
    Directory,
    Memory,
}

fn check(
    python: &Program,
    layers: &Layers,
    upper: &Upper,
    expected: &Outcome,
    left: &Tree,
) -> Result<()> {
    let folder = TempDir::new()?;
    let mut builder = Overlay::builder();
    for (index, path) in layers.paths().enumerate() {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        builder = builder.lower(Lower::dir(format!("lower {index}"), dir)?);
    }
    builder = match upper {
        Upper::Directory => builder.upper_dir(
            "upper",
            Dir::open_ambient_dir(folder.path(), ambient_authority())?,
        ),
        Upper::Memory => builder.upper_memory(1 << 28),
    };
    let overlay = builder.build()?;
    let ctx = OverlayCtx::builder()
        .overlay("/", &overlay, FsPerms::ReadWrite)?
        .build();
    let outcome = run(python, Files::Ours(&ctx))?;
    for (line, (expected, found)) in expected
        .stdout
        .lines()
        .zip(outcome.stdout.lines())
        .enumerate()
    {
        ensure!(
            expected == found,
            "line {}: expected {expected:?}, found {found:?}\n{}",
            line + 1,
            outcome.stdout
        );
    }
    ensure!(
        expected.stdout == outcome.stdout,
        "it ended early:\n{}",
        outcome.stdout
    );
    drop(ctx);
    overlay.close()?;

    for (index, (path, tree)) in layers.paths().zip(&layers.trees).enumerate() {
        if let Some(difference) = scan::difference(tree, &scan::scan(&path)?) {
            anyhow::bail!("lower {index} was changed:\n{difference}");
        }
    }
    if *upper == Upper::Directory {
        let merged = scan::merge(layers.trees.iter().chain([&scan::scan(folder.path())?]));
        if let Some(difference) = scan::difference(left, &merged) {
            anyhow::bail!("what is left is another tree:\n{difference}");
        }
    }
    Ok(())
}

/// Runs the script that does what programs do.
fn run(python: &Program, files: Files<'_>) -> Result<Outcome> {
    let outcome = python.run(files, &["python", "/main.py"], &[("PYTHONHOME", "/py")])?;
    ensure!(
        outcome.failure.is_none(),
        "{:?}\n{}\n{}",
        outcome.failure,
        outcome.stderr,
        outcome.stdout
    );
    Ok(outcome)
}

/// The program, compiled: once, and then from wasmtime's cache.
fn python() -> Result<Program> {
    let path = folder().join("python.wasm");
    ensure!(
        path.exists(),
        "{} is missing: run scripts/fetch-cpython.sh",
        path.display()
    );
    Program::load(&path)
}

/// Where the fetch script puts things.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cpython")
}

/// The lower layers, the bottom one first.
struct Layers {
    folder: TempDir,
    trees: Vec<Tree>,
}

impl Layers {
    fn new(python: &Program) -> Result<Self> {
        let (library, database) = unpack(python)?;
        let trees = vec![library, application(database), patch()];
        let folder = TempDir::new()?;
        for (index, tree) in trees.iter().enumerate() {
            write(tree, &folder.path().join(index.to_string()))?;
        }
        Ok(Self { folder, trees })
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        (0..self.trees.len()).map(|index| self.folder.path().join(index.to_string()))
    }
}

/// Lets the program unpack the library that is baked into it, and make a database.
fn unpack(python: &Program) -> Result<(Tree, Vec<u8>)> {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("unpack.py"), UNPACK)?;
    let outcome = python.run(Files::Stock(folder.path()), &["python", "/unpack.py"], &[])?;
    ensure!(
        outcome.failure.is_none(),
        "{:?}\n{}",
        outcome.failure,
        outcome.stderr
    );
    let database =
        fs::read(folder.path().join("shop.db")).context("the program made no database")?;
    let mut library = scan::scan(folder.path())?;
    library.retain(|path, _| path == "py" || path.starts_with("py/"));
    ensure!(
        library.len() > 400,
        "the library has {} names",
        library.len()
    );
    Ok((library, database))
}

/// An application that stands on the library.
fn application(database: Vec<u8>) -> Tree {
    let mut tree = Tree::new();
    for (path, text) in [
        ("main.py", MAIN),
        ("app/__init__.py", ""),
        (
            "app/greeting.py",
            "def hello():\n    return 'hello from the application'\n",
        ),
        ("app/config.py", "LEVEL = 'as shipped'\n"),
        ("app/plugins/__init__.py", ""),
        ("app/plugins/fine.py", "SAYS = 'fine'\n"),
        (
            "app/plugins/broken.py",
            "raise RuntimeError('never to be imported')\n",
        ),
        ("app/static/old.css", "old\n"),
        ("app/static/older/older.css", "older\n"),
        ("app/data/deep/er/file", "deep\n"),
        ("app/data/flat", "flat\n"),
        (
            "app/main.txt",
            "some text, with more than one line\nthat is the second\n",
        ),
        ("app/log.txt", "first\n"),
    ] {
        put(&mut tree, path, text.as_bytes());
    }
    put(&mut tree, "app/shop.db", &database);
    tree
}

/// A patch of both: files replaced and removed, a directory replaced as a whole.
fn patch() -> Tree {
    let mut tree = Tree::new();
    for (path, text) in [
        ("app/config.py", "LEVEL = 'patched'\n"),
        ("app/plugins/.wh.broken.py", ""),
        ("app/static/.wh..wh..opq", ""),
        ("app/static/new.css", "new\n"),
    ] {
        put(&mut tree, path, text.as_bytes());
    }
    put(&mut tree, &format!("{LIBRARY}/.wh.mailbox.pyc"), b"");
    put(&mut tree, &format!("{LIBRARY}/.wh.this.pyc"), b"");
    put(
        &mut tree,
        &format!("{LIBRARY}/this.py"),
        b"SAYS = 'patched'\n",
    );
    tree
}

/// Puts a file in a layer, with the directories that lead there.
fn put(tree: &mut Tree, path: &str, data: &[u8]) {
    for (at, _) in path.match_indices('/') {
        tree.insert(path[..at].to_owned(), Node::Dir);
    }
    tree.insert(path.to_owned(), Node::File(data.to_owned()));
}

/// Writes a tree in which every file is of one time: byte code records that of its source.
fn write(tree: &Tree, root: &Path) -> Result<()> {
    scan::write(tree, root)?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (path, node) in tree {
        if matches!(node, Node::File(_)) {
            fs::File::options()
                .write(true)
                .open(root.join(path))?
                .set_modified(time)?;
        }
    }
    Ok(())
}
