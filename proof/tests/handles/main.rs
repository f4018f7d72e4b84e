//! Open handles, and every change of the names by which they were opened. A handle must keep its file.
//!
//! The oracle is a live mount of a plain directory, which runs the same scripts.

#[rustfmt::skip]
mod table;

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use table::{DIR_CALLS, EVENTS, FILE_CALLS, HOLDS, NAMES, STATES};
use tempfile::TempDir;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::plain::{HostDir, by_path::ByPath};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Limits, Live, Lower, LowerStack, Opened, Overlay};
use wasi_overlay_proof::kit::{Report, capability, panic_message, scratch};
use wasi_overlay_proof::script::mtime;
use wasi_overlay_proof::{Script, outcome, view};

/// Failed cells that are printed in full.
const SHOWN: usize = 12;

/// A kind of mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mount {
    Directory,
    /// A directory, with almost empty caches.
    SmallCaches,
    ByPath,
    Memory,
    /// A directory with the whole tree, in which directories cannot be renamed, as on the kernel's overlayfs: after a
    /// move, handles refer to another directory.
    Image,
    /// The same, with almost empty caches.
    ImageSmallCaches,
}

impl Mount {
    fn has_small_caches(self) -> bool {
        matches!(self, Self::SmallCaches | Self::ImageSmallCaches)
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

/// Every directory of the lower layer, after the directories in it.
const DIRS: [&str; 6] = ["p/q/d/s", "p/q/d", "p/q", "p", "other", "e"];

const OLD: i64 = 1_000_000_000;

fn lower() -> Lower {
    let mut layer = MemoryLayer::build();
    for (path, data) in FILES {
        layer = layer.file(path, data);
    }
    for dir in DIRS {
        layer = layer.dir(dir);
    }
    for path in FILES.iter().map(|(path, _)| *path).chain(DIRS).chain([""]) {
        layer = layer.times(path, mtime(OLD));
    }
    Lower::new("lower", layer.finish().unwrap())
}

/// Two directories that each cell reuses.
struct Scratch {
    temp: TempDir,
    stack: std::sync::Arc<LowerStack>,
}

impl Scratch {
    fn new() -> Self {
        Self {
            temp: scratch(),
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

    /// A host directory with the tree.
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
            root.set_times_at(path, true, mtime(OLD)).unwrap();
        }
        root.set_times(mtime(OLD)).unwrap();
        (path, root)
    }

    /// An upper with the tree, which refuses renames of directories as the kernel's overlayfs does.
    fn image(&self) -> Faulty<HostDir> {
        let (path, _) = self.filled("upper");
        let inode = |dir: &&str| fs::metadata(path.join(dir)).unwrap().ino();
        let dirs: Vec<_> = DIRS.iter().map(inode).collect();
        let plain = HostDir::new(capability(&path), "upper");
        Faulty::new(plain, &Faults::default()).with_fixed_dirs(dirs)
    }

    fn overlay(&self, mount: Mount) -> Overlay {
        let mut builder = Overlay::builder().volatile(true);
        if mount.has_small_caches() {
            let mut limits = Limits::default();
            (limits.kept_nodes, limits.table_entries) = (4, 2);
            (limits.kept_handles, limits.kept_listings) = (1, 1);
            limits.recent_dirs = 1;
            builder = builder.limits(limits);
        }
        let builder = match mount {
            Mount::Image | Mount::ImageSmallCaches => builder,
            Mount::Memory | Mount::Directory | Mount::ByPath => {
                builder.stack(std::sync::Arc::clone(&self.stack))
            }
            Mount::SmallCaches => builder.lower(lower()),
        };
        let upper = || capability(&self.fresh("upper"));
        match mount {
            Mount::Directory | Mount::SmallCaches => builder.upper_dir("upper", upper()),
            Mount::Image | Mount::ImageSmallCaches => {
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

/// One of the two trees that must agree, and the answers of its calls.
struct Side {
    root: Dir,
    script: Script,
    log: Vec<String>,
}

impl Side {
    fn new(root: Dir) -> Self {
        Self {
            script: Script::new(&root, "."),
            root,
            log: Vec::new(),
        }
    }

    /// Runs a cell.
    fn run(&mut self, state: &[&str], hold: &[&str], event: &[&str]) {
        for call in state.iter().chain(hold) {
            self.call(call);
        }
        self.identities();
        for call in event {
            self.call(call);
        }
        self.identities();
        for (slot, handle) in self.handles() {
            let calls = match handle {
                Opened::File(_) => FILE_CALLS,
                Opened::Dir(_) => DIR_CALLS,
            };
            for call in calls {
                self.call(&call.replace('@', &format!("#{slot}")));
                for (slot, handle) in self.handles() {
                    let line = format!("  #{slot} shows {}", outcome::handle_brief(&handle));
                    self.log.push(line);
                }
            }
        }
        self.identities();
        self.log.extend(view::tree(&self.root));
    }

    fn handles(&self) -> Vec<(usize, Opened)> {
        self.script.handles().collect()
    }

    fn call(&mut self, call: &str) {
        let answer = self.script.call(call);
        self.log.push(format!("{call}: {answer}"));
    }

    /// Logs the names of each open file, and the handles of the same file.
    fn identities(&mut self) {
        let handles = self.handles();
        for (slot, handle) in &handles {
            let identity = handle.identity().ok();
            let is_named = |name: &&&str| {
                let named = self.root.identity_at(name, false).ok();
                named.is_some() && named == identity
            };
            let names: Vec<_> = NAMES.iter().filter(is_named).collect();
            let others = handles
                .iter()
                .filter(|(_, other)| handle.is_same_object(other).unwrap_or(false));
            let slots: Vec<_> = others.map(|(slot, _)| slot).collect();
            self.log.push(format!("#{slot} is {names:?} {slots:?}"));
        }
    }
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
            "  plain logged {} lines, overlay {}",
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
    for (where_, state) in STATES {
        for (held, hold) in HOLDS {
            for (what, event) in EVENTS {
                let name = format!("{where_} | {held} | {what}");
                if !name.contains(&only) {
                    continue;
                }
                let mut plain = Side::new(scratch.plain());
                plain.run(state, hold, event);
                let overlay = scratch.overlay(mount);
                // Mounting changes the time of the upper's root.
                overlay.root().set_times(mtime(OLD)).unwrap();
                let mut seen = Side::new(overlay.root());
                let ran = catch_unwind(AssertUnwindSafe(|| {
                    seen.run(state, hold, event);
                }));
                let mut complaint = differences(&plain.log, &seen.log);
                if let Err(panic) = ran {
                    write!(complaint, "  panicked: {}", panic_message(panic.as_ref())).unwrap();
                }
                drop(seen);
                if let Err(error) = overlay.close() {
                    writeln!(complaint, "  closing it fails: {error}").unwrap();
                }
                report.cell(&name, &complaint);
            }
        }
    }
    report.end(mount);
}

macro_rules! on_each_mount {
    ($($name:ident $mount:ident)*) => {$(
        #[test]
        fn $name() {
            run(Mount::$mount);
        }
    )*};
}

on_each_mount! {
    on_an_upper_directory Directory
    on_an_upper_directory_with_small_caches SmallCaches
    on_an_upper_whose_handles_are_paths ByPath
    on_an_upper_in_memory Memory
    on_an_upper_whose_directories_cannot_be_renamed Image
    on_an_upper_whose_directories_cannot_be_renamed_with_small_caches ImageSmallCaches
}

/// Shows that the events succeed, so that equal answers are not just equal errors.
#[test]
fn every_event_of_the_table_takes_effect() {
    let scratch = Scratch::new();
    for (what, event) in EVENTS {
        let mut side = Side::new(scratch.plain());
        side.run(&[], &["hold.rw p/q/x", "hold p/q/d", "hold p/q"], event);
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
