//! A handle stays what it is, whatever happens to the name by which it was opened: every way to
//! hold a file or a directory, wherever it lives, through every thing that can happen to its name.
//!
//! The oracle is a live mount of a plain directory, driven by the same words ([`side`]).
#![cfg(all(feature = "conformance", feature = "dir"))]

#[path = "../cells/mod.rs"]
mod cells;
mod side;
#[rustfmt::skip]
mod table;

use cap_std::{ambient_authority, fs::Dir as CapDir};
use cells::{Report, words};
use side::{Side, at};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use table::{DIR_STEPS, EVENTS, FILE_STEPS, HOLDS, NAMES, PLACES};
use tempfile::TempDir;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::plain::{HostDir, by_path::ByPath};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Limits, Live, Lower, LowerStack, Overlay};

/// Cells that are told in full; the rest is counted.
const SHOWN: usize = 12;

/// Where changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mount {
    Directory,
    /// A directory of which next to nothing is kept in mind.
    Forgetful,
    ByPath,
    Memory,
    /// A directory that holds everything, and in which directories cannot be renamed.
    Image,
    /// The same, of which next to nothing is kept in mind.
    ForgetfulImage,
}

impl Mount {
    fn is_forgetful(self) -> bool {
        matches!(self, Self::Forgetful | Self::ForgetfulImage)
    }
}

const FILES: [(&str, &str); 6] = [
    ("p/q/x", "lower!"),
    ("p/q/sib", "sibling"),
    ("p/q/d/c", "content"),
    ("p/q/d/s/f", "below"),
    ("o", "other"),
    ("other/z0", "z"),
];

/// Every name of the lower layer, a directory after what is in it.
const DIRS: [&str; 6] = ["p/q/d/s", "p/q/d", "p/q", "p", "other", "e"];

const OLD: i64 = 1_000_000_000;

fn capability(path: &Path) -> CapDir {
    CapDir::open_ambient_dir(path, ambient_authority()).unwrap()
}

fn lower() -> Lower {
    let mut layer = MemoryLayer::build();
    for (path, data) in FILES {
        layer = layer.file(path, data);
    }
    for dir in DIRS {
        layer = layer.dir(dir);
    }
    for path in FILES.iter().map(|(path, _)| *path).chain(DIRS).chain([""]) {
        layer = layer.times(path, at(OLD));
    }
    Lower::new("lower", layer.finish().unwrap())
}

/// Two empty directories that are used for one cell after the other.
struct Scratch {
    temp: TempDir,
    stack: std::sync::Arc<LowerStack>,
}

impl Scratch {
    fn new() -> Self {
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self {
            temp: temp.unwrap(),
            stack: LowerStack::new([lower()], &Limits::default()).unwrap(),
        }
    }

    fn fresh(&self, name: &str) -> std::path::PathBuf {
        let path = self.temp.path().join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir(&path).unwrap();
        path
    }

    fn plain(&self) -> Dir {
        self.filled("plain").1
    }

    /// A directory that holds the tree.
    fn filled(&self, name: &str) -> (std::path::PathBuf, Dir) {
        let path = self.fresh(name);
        for dir in DIRS {
            fs::create_dir_all(path.join(dir)).unwrap();
        }
        for (file, data) in FILES {
            fs::write(path.join(file), data).unwrap();
        }
        let root = Live::new(capability(&path)).root();
        for path in FILES.iter().map(|(path, _)| *path).chain(DIRS) {
            root.set_times_at(path, true, at(OLD)).unwrap();
        }
        root.set_times(at(OLD)).unwrap();
        (path, root)
    }

    /// An upper that holds the tree, on the kernel's overlayfs as far as renames are concerned.
    fn image(&self) -> Faulty<HostDir> {
        let (path, _) = self.filled("upper");
        let inode = |dir: &&str| fs::metadata(path.join(dir)).unwrap().ino();
        let dirs: Vec<_> = DIRS.iter().map(inode).collect();
        let plain = HostDir::new(capability(&path), "upper");
        Faulty::new(plain, &Faults::default()).with_fixed_dirs(dirs)
    }

    fn overlay(&self, mount: Mount) -> Overlay {
        let mut builder = Overlay::builder().volatile(true);
        if mount.is_forgetful() {
            let mut limits = Limits::default();
            (limits.kept_nodes, limits.table_entries) = (4, 2);
            (limits.kept_handles, limits.kept_listings) = (1, 1);
            limits.recent_dirs = 1;
            builder = builder.limits(limits);
        }
        let builder = match mount {
            Mount::Image | Mount::ForgetfulImage => builder,
            Mount::Memory | Mount::Directory | Mount::ByPath => {
                builder.stack(std::sync::Arc::clone(&self.stack))
            }
            Mount::Forgetful => builder.lower(lower()),
        };
        let upper = || capability(&self.fresh("upper"));
        match mount {
            Mount::Directory | Mount::Forgetful => builder.upper_dir("upper", upper()),
            Mount::Image | Mount::ForgetfulImage => {
                builder.upper("upper", Marked::upper(self.image()))
            }
            Mount::ByPath => {
                let plain = ByPath::new(HostDir::new(upper(), "upper"));
                builder.upper("upper", Marked::upper(plain))
            }
            Mount::Memory => builder.upper_memory(1 << 20),
        }
        .build()
        .unwrap()
    }
}

/// Runs one cell on one side.
fn cell(side: &mut Side, place: &[&str], hold: &[&str], event: &[&str]) {
    for step in place {
        side.step(step);
    }
    for step in hold {
        side.hold(step);
    }
    side.identities(NAMES);
    for step in event {
        side.step(step);
    }
    side.identities(NAMES);
    for handle in 0..side.held() {
        let steps = if side.is_file(handle) {
            FILE_STEPS
        } else {
            DIR_STEPS
        };
        for step in steps {
            side.held_step(handle, step);
        }
    }
    side.identities(NAMES);
    side.tree();
}

fn differences(plain: &[String], overlay: &[String]) -> String {
    let mut text = String::new();
    let mut context = "";
    for (plain, overlay) in plain.iter().zip(overlay) {
        if plain != overlay {
            writeln!(
                text,
                "  after   {context}\n  plain   {plain}\n  overlay {overlay}"
            )
            .unwrap();
            if text.lines().count() > 12 {
                break;
            }
        }
        if !plain.starts_with("  ") {
            context = plain;
        }
    }
    if plain.len() != overlay.len() {
        writeln!(
            text,
            "  plain said {} lines, overlay {}",
            plain.len(),
            overlay.len()
        )
        .unwrap();
    }
    text
}

fn run(mount: Mount) {
    let only = std::env::var("HANDLES").unwrap_or_default();
    let scratch = Scratch::new();
    let mut report = Report::new(SHOWN);
    for (where_, place) in PLACES {
        for (held, hold) in HOLDS {
            for (what, event) in EVENTS {
                let name = format!("{where_} | {held} | {what}");
                if !name.contains(&only) {
                    continue;
                }
                let mut plain = Side::new(scratch.plain());
                cell(&mut plain, place, hold, event);
                let overlay = scratch.overlay(mount);
                // Mounting makes and removes a name in the upper's root.
                overlay.root().set_times(at(OLD)).unwrap();
                let mut seen = Side::new(overlay.root());
                let ran = catch_unwind(AssertUnwindSafe(|| {
                    cell(&mut seen, place, hold, event);
                }));
                let mut complaint = differences(&plain.log, &seen.log);
                if let Err(panic) = ran {
                    write!(complaint, "  panicked: {}", words(panic.as_ref())).unwrap();
                }
                drop(seen);
                if let Err(error) = overlay.close() {
                    writeln!(complaint, "  it cannot be closed: {error}").unwrap();
                }
                report.cell(&name, &complaint);
            }
        }
    }
    report.end(mount);
}

#[test]
fn on_an_upper_directory() {
    run(Mount::Directory);
}

#[test]
fn on_an_upper_directory_with_a_short_memory() {
    run(Mount::Forgetful);
}

#[test]
fn on_an_upper_whose_handles_are_paths() {
    run(Mount::ByPath);
}

#[test]
fn on_an_upper_in_memory() {
    run(Mount::Memory);
}

/// As on the kernel's overlayfs: handles of a directory lead to another one when it was moved.
#[test]
fn on_an_upper_whose_directories_cannot_be_renamed() {
    run(Mount::Image);
}

#[test]
fn on_an_upper_whose_directories_cannot_be_renamed_with_a_short_memory() {
    run(Mount::ForgetfulImage);
}

/// Otherwise that nothing differs would mean little.
#[test]
fn every_event_of_the_table_happens() {
    let scratch = Scratch::new();
    for (what, event) in EVENTS {
        let mut side = Side::new(scratch.plain());
        cell(
            &mut side,
            &[],
            &["open.rw p/q/x", "open p/q/d", "open p/q"],
            event,
        );
        for step in *event {
            let line = side.log.iter().find(|line| line.starts_with(step)).unwrap();
            let errors = [
                "NoEntry",
                "Exist",
                "NotEmpty",
                "NotDirectory",
                "IsDirectory",
                "Invalid",
            ];
            let failed = errors
                .iter()
                .any(|error| line.ends_with(&format!(": {error}")));
            assert!(
                !failed || *what == "directory over another",
                "{what}: {line}"
            );
        }
    }
}
