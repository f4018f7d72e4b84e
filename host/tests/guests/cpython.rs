//! Tests with a third-party program: CPython 3.12, with its standard library in one lower layer, an
//! application in a second, and a patch of both in a third.
//!
//! On an overlay it has to print what it prints on a plain directory with wasmtime-wasi, and to leave the
//! same tree; the layers must not change by a single byte. `scripts/fetch-cpython.sh` downloads the program.

use crate::composed::Setup;
use crate::program::{Files, Outcome, Preopen, Program};
use crate::scan::{self, Node, Tree};
use anyhow::{Context as _, Result, ensure};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use wasi_overlay::{FsPerms, Lower, Overlay, OverlayCtx};

const MAIN: &str = include_str!("python/main.py");
const UNPACK: &str = include_str!("python/unpack.py");

/// The guest path of the standard library.
const LIBRARY: &str = "py/lib/python3.12";

/// The program, its layers, and its output and tree on a plain directory.
struct Prepared {
    python: Program,
    layers: Layers,
    expected: Outcome,
    left: Tree,
}

static PREPARED: LazyLock<Prepared> = LazyLock::new(|| {
    let python = Program::new(&module().expect("python was fetched"));
    let python = python.expect("python can be compiled");
    let layers = Layers::new(&python).expect("the layers can be made");
    let plain = TempDir::new().expect("a temporary folder can be made");
    write(&scan::merge(&layers.trees), plain.path()).expect("the plain directory can be made");
    let expected = run(&python, Files::Stock(plain.path())).expect("python runs on it");
    let left = scan::scan(plain.path()).expect("it can be read");
    assert!(!expected.stdout.contains("failed:"), "{}", expected.stdout);
    Prepared {
        python,
        layers,
        expected,
        left,
    }
});

#[test]
fn python_on_layers_prints_and_leaves_the_same_as_on_a_plain_directory() {
    for upper in [Upper::Directory, Upper::Memory] {
        PREPARED
            .check_on(&upper)
            .unwrap_or_else(|error| panic!("{upper:?}: {error:#}"));
    }
}

/// The program is composed with the adapter and the overlay.
#[test]
fn composed_python_prints_and_leaves_the_same_as_on_a_plain_directory() {
    PREPARED
        .check_composed()
        .unwrap_or_else(|error| panic!("{error:#}"));
}

/// The kind of upper.
#[derive(Debug, PartialEq)]
enum Upper {
    Directory,
    Memory,
}

impl Prepared {
    fn check_on(&self, upper: &Upper) -> Result<()> {
        let folder = TempDir::new()?;
        let mut builder = Overlay::builder();
        for (index, path) in self.layers.paths().enumerate() {
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
            .overlay(&overlay, "/", FsPerms::ReadWrite)?
            .build();
        let outcome = run(&self.python, Files::Ours(&ctx))?;
        drop(ctx);
        overlay.close()?;
        self.compare(
            &outcome,
            (*upper == Upper::Directory).then(|| folder.path()),
        )
    }

    fn check_composed(&self) -> Result<()> {
        let upper = TempDir::new()?;
        let composed = Setup::ByName.compose(&module()?)?;
        let mut preopens: Vec<_> = self
            .layers
            .paths()
            .enumerate()
            .map(|(index, path)| Preopen::new(path, format!("/lower{index}")))
            .collect();
        preopens.push(Preopen::new(upper.path(), "/upper"));
        let outcome = run(&Program::new(&composed)?, Files::Preopens(&preopens))?;
        self.compare(&outcome, Some(upper.path()))
    }

    /// Compares the output with that on the plain directory, and also the tree if it is on disk.
    fn compare(&self, outcome: &Outcome, upper: Option<&Path>) -> Result<()> {
        let (expected, found) = (&self.expected.stdout, &outcome.stdout);
        for (line, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
            ensure!(
                expected == found,
                "line {}: expected {expected:?}, found {found:?}\n{}",
                line + 1,
                outcome.stdout
            );
        }
        ensure!(expected == found, "it ended early:\n{found}");
        let layers = &self.layers;
        for (index, (path, tree)) in layers.paths().zip(&layers.trees).enumerate() {
            if let Some(difference) = scan::difference(tree, &scan::scan(&path)?) {
                anyhow::bail!("lower {index} was changed:\n{difference}");
            }
        }
        if let Some(upper) = upper {
            let merged = scan::merge(layers.trees.iter().chain([&scan::scan(upper)?]));
            if let Some(difference) = scan::difference(&self.left, &merged) {
                anyhow::bail!("the tree on disk differs:\n{difference}");
            }
        }
        Ok(())
    }
}

/// Runs `python/main.py`, which exercises the filesystem as typical programs do.
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

/// The program, a core module of WASI 0.1.
fn module() -> Result<Vec<u8>> {
    let path = folder().join("python.wasm");
    ensure!(
        path.exists(),
        "{} is missing: run scripts/fetch-cpython.sh",
        path.display()
    );
    Ok(fs::read(path)?)
}

/// The folder that the fetch script downloads to.
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

/// Has the program unpack its embedded library, and make a database.
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

/// The layer with an application that uses the library.
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

/// The layer with a patch of both: files replaced and removed, and a directory replaced as a whole.
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

/// Puts a file in a layer, with its parent directories.
fn put(tree: &mut Tree, path: &str, data: &[u8]) {
    for (at, _) in path.match_indices('/') {
        tree.insert(path[..at].to_owned(), Node::Dir);
    }
    tree.insert(path.to_owned(), Node::File(data.to_owned()));
}

/// Writes a tree with the same modification time for every file, because byte code records that of its
/// source.
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
