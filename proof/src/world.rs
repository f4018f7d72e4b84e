//! The execution of a plan: each step is made on a mount and on the reference, and the answers are compared.

use crate::checker::Checker;
use crate::deviations::Deviation;
use crate::kit::{capability, panic_message, scratch};
use crate::layers::Layer;
use crate::merged::Merged;
use crate::mount::{Engine, Held, Mount as _};
use crate::outcome;
use crate::plan::{Line, Plan};
use crate::read_only_layer::ReadOnlyLayer;
use crate::reference::{Id, ROOT, Reference};
use crate::run::Runner;
use crate::setting::{Checks, Counts, Kind};
use crate::split::split_links;
use guests_script::Step;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::by_path::ByPath;
use wasi_overlay_core::tar::TarLayer;
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Errno, Limits, Live, Lower, LowerStack, Overlay, OverlayBuilder};

/// The slots that random plans use.
const HELD: usize = 6;

/// The capacity of a memory upper.
const MEMORY: u64 = 1 << 24;

/// A lower layer, to be opened for each mount.
enum Base {
    Memory(MemoryLayer),
    Archive(TarLayer),
    ReadOnlyLayer(Dir),
    Directory(PathBuf),
}

/// A mount and the reference.
pub struct World {
    kind: Kind,
    tight: bool,
    reference: Runner<Reference>,
    engine: Runner<Engine>,
    root: Dir,
    checker: Checker,
    /// Dropped after its handles.
    overlay: Option<Overlay>,
    bases: Vec<Base>,
    stack: Option<Arc<LowerStack>>,
    upper: Option<MemoryLayer>,
    folder: Option<TempDir>,
    folders: usize,
    counts: Counts,
}

/// Runs a plan.
///
/// # Errors
/// The steps up to a difference or a panic, with their answers.
pub fn check(plan: &Plan, kind: Kind, checks: Checks) -> Result<Counts, String> {
    let mut story = String::new();
    let run = || World::new(&plan.layers, kind, checks.tight).run(&plan.lines, checks, &mut story);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(counts)) => Ok(counts),
        Ok(Err(error)) => Err(format!("{story}{error}")),
        Err(panic) => Err(format!(
            "{story} panicked: {}",
            panic_message(panic.as_ref())
        )),
    }
}

impl World {
    /// Mounts an overlay of `layers`.
    ///
    /// # Panics
    /// If it cannot be mounted.
    pub fn new(layers: &[Layer], kind: Kind, tight: bool) -> Self {
        let folder = kind.is_on_disk().then(scratch);
        let merged = if kind == Kind::Archives {
            Merged::of_archives(layers)
        } else {
            Merged::of(layers)
        };
        let reference = Reference::new(&merged, !kind.is_live() && !kind.is_read_only());
        // Replaced by the first mount.
        let root = nothing();
        let mut world = Self {
            kind,
            tight,
            reference: Runner::on(reference, ROOT),
            engine: Runner::new(root.clone()),
            root,
            checker: Checker::new(true),
            overlay: None,
            bases: Vec::new(),
            stack: None,
            upper: None,
            folder,
            folders: 0,
            counts: Counts::default(),
        };
        if kind.is_live() {
            merged.write(&world.new_folder());
        } else {
            let mut below = Merged::default();
            for (number, layer) in layers.iter().enumerate() {
                let base = if kind == Kind::Archives {
                    let archive = layer.archive(number, &below);
                    below.add(layer, number, true);
                    let archive = TarLayer::scan(archive, &Limits::default());
                    Base::Archive(archive.expect("an archive of ours"))
                } else if kind.is_on_disk() {
                    let path = world.new_folder();
                    layer.write(number, &path);
                    Base::Directory(path)
                } else {
                    Base::Memory(layer.in_memory(number))
                };
                world.bases.push(base);
            }
            if kind == Kind::ReadOnly {
                // An overlay without an upper needs a lower, and an empty one changes nothing.
                world
                    .bases
                    .push(Base::Memory(Layer::default().in_memory(0)));
            }
        }
        world.new_upper();
        world
    }

    /// Runs lines, and appends each with its answer to `story`.
    ///
    /// # Errors
    /// The first difference.
    pub fn run(
        mut self,
        lines: &[String],
        checks: Checks,
        story: &mut String,
    ) -> Result<Counts, String> {
        let mut touched = BTreeSet::new();
        for (at, line) in lines.iter().enumerate() {
            story.push_str(line);
            match Line::parse(line).ok_or("this is no line of a plan")? {
                Line::Step(step) => {
                    let said = self.step(step)?;
                    story.push_str(" = ");
                    story.push_str(&said);
                }
                Line::Remount => {
                    self.check_tree()?;
                    self.remount();
                    self.check_tree()?;
                }
                Line::Rotate => {
                    self.check_tree()?;
                    self.rotate();
                    self.check_tree()?;
                }
            }
            story.push('\n');
            self.check_slot(at % HELD)?;
            touched.extend(self.reference.mount.take_touched());
            if at % checks.changed_every == 0 {
                let dirs = std::mem::take(&mut touched);
                let reference = &self.reference.mount;
                self.checker.dirs(reference, &self.root, &dirs)?;
            }
            if at % checks.tree_every == checks.tree_every - 1 {
                self.check_tree()?;
            }
        }
        self.check_tree()?;
        self.counts.plans = 1;
        Ok(self.counts)
    }

    /// Makes a step on both, and returns the answer.
    fn step(&mut self, step: Step<'_>) -> Result<String, String> {
        let expected = if self.kind.is_read_only() {
            self.refused(step)
        } else {
            self.reference.try_step(step)
        };
        let succeeded = expected.is_ok();
        let expected = expected.unwrap_or_else(|code| code);
        let found = self.engine.step(step);
        if expected != "-" {
            self.counts.calls += 1;
            self.counts.succeeded += u64::from(succeeded);
        }
        if expected == found || self.may_differ(step, &expected, &found) {
            Ok(found)
        } else {
            Err(format!(" = {found}\nexpected {expected}"))
        }
    }

    /// Makes a step on the reference of a read-only mount, where every change that would succeed fails with
    /// `ReadOnly`.
    fn refused(&mut self, step: Step<'_>) -> Result<String, String> {
        let mut changed = self.reference.clone();
        let answer = changed.try_step(step);
        let changes = match step {
            Step::Open { how, .. } => ['w', 'c', 't'].iter().any(|flag| how.has(*flag)),
            _ => is_change(step),
        };
        // No file can be open for writing there, because the mount is read-only.
        let invalid = Err(outcome::code(Errno::Invalid));
        let is_cut = matches!(step, Step::SetSize { .. }) && answer == invalid;
        if changes && (is_cut || answer.is_ok()) {
            return Err(outcome::code(Errno::ReadOnly));
        }
        self.reference = changed;
        answer
    }

    /// Whether the difference of two answers is a listed deviation.
    fn may_differ(&self, step: Step<'_>, expected: &str, found: &str) -> bool {
        let reference = &self.reference.mount;
        let held = |slot: usize| match self.reference.slot(slot) {
            Some(Held::Dir(id)) => Some(*id),
            Some(Held::File(file)) => Some(file.id),
            None => None,
        };
        let named = |base: usize, path: &str, follow: bool| match self.reference.slot(base) {
            Some(Held::Dir(dir)) => reference.find(*dir, path, follow).ok(),
            Some(Held::File(_)) | None => None,
        };
        let were_one = |one: Option<Id>, other: Option<Id>| match (one, other) {
            (Some(one), Some(other)) => reference.were_one(one, other),
            (None, _) | (_, None) => false,
        };
        let (one, other, is_stat) = match step {
            Step::Stat { slot } => (held(slot), held(slot), true),
            Step::StatAt { base, how, path } => {
                let id = named(base, path, !how.has('n'));
                (id, id, true)
            }
            Step::IsSame { one, other } => (held(one), held(other), false),
            Step::SameHash {
                slot,
                base,
                how,
                path,
            } => (held(slot), named(base, path, !how.has('n')), false),
            _ => return false,
        };
        if !were_one(one, other) || !Deviation::LowerHardLinks.is_listed() {
            return false;
        }
        !is_stat || without_links(expected) == without_links(found)
    }

    /// Compares the handle in a slot, whose file may have been removed.
    fn check_slot(&mut self, slot: usize) -> Result<(), String> {
        let (Some(engine), Some(reference)) = (self.engine.slot(slot), self.reference.slot(slot))
        else {
            return Ok(());
        };
        let id = match reference {
            Held::Dir(id) => *id,
            Held::File(file) => file.id,
        };
        let fail = |error: String| format!("in slot {slot}: {error}");
        let tree = &self.reference.mount;
        let stat = Engine.stat(engine);
        let found = stat.and_then(|stat| Ok((stat, Engine.identity(engine)?)));
        let found = found.map_err(|error| fail(format!("{error:?}")))?;
        self.checker.stat(tree, id, &found).map_err(fail)?;
        match engine {
            Held::File(file) if file.is_readable() => {
                self.checker.file(tree, id, file).map_err(fail)
            }
            Held::File(_) | Held::Dir(_) => Ok(()),
        }
    }

    fn check_tree(&mut self) -> Result<(), String> {
        self.checker.tree(&self.reference.mount, &self.root)
    }

    /// Closes the overlay, and mounts the same layers again.
    fn remount(&mut self) {
        self.counts.remounts += 1;
        self.let_go();
        if self.kind != Kind::Memory {
            self.mount();
        } else {
            self.restart();
        }
    }

    /// The upper becomes a layer.
    fn rotate(&mut self) {
        self.counts.rotations += 1;
        self.let_go();
        if self.kind.is_read_only() {
            self.mount();
            return;
        }
        self.reference.mount.rotate();
        match self.kind {
            Kind::Memory => self.bases = vec![Base::ReadOnlyLayer(self.root.clone())],
            Kind::Lasting | Kind::Archives => {
                self.bases.extend(self.upper.take().map(Base::Memory))
            }
            Kind::Directory | Kind::ByPath => {
                let path = self.folder();
                self.bases.push(Base::Directory(path));
            }
            Kind::Live | Kind::ReadOnly | Kind::ReadOnlyLive => {
                split_links(&self.folder());
                self.mount();
                return;
            }
        }
        self.new_upper();
    }

    fn let_go(&mut self) {
        self.reference.restart(ROOT);
        self.engine.restart(self.root.clone());
        if let Some(overlay) = self.overlay.take()
            && self.kind != Kind::Memory
        {
            overlay.close().expect("a clean end");
        }
    }

    /// Mounts a new upper on the current layers.
    fn new_upper(&mut self) {
        match self.kind {
            Kind::Lasting | Kind::Archives => {
                self.upper = Some(MemoryLayer::with_capacity(MEMORY));
            }
            Kind::Directory | Kind::ByPath => {
                self.new_folder();
            }
            Kind::Memory | Kind::ReadOnly | Kind::Live | Kind::ReadOnlyLive => {}
        }
        let lowers = self.bases.iter().map(|base| lower(base, self.kind));
        let stack = LowerStack::new(lowers, &self.limits()).expect("layers");
        self.stack = Some(stack);
        self.mount();
    }

    fn mount(&mut self) {
        self.checker = Checker::new(self.kind != Kind::ByPath);
        if self.kind.is_live() {
            let dir = capability(&self.folder());
            let live = if self.kind.is_read_only() {
                Live::read_only(dir)
            } else {
                Live::new(dir)
            };
            self.root = live.root();
            self.restart();
            return;
        }
        let builder = Overlay::builder().volatile(true).limits(self.limits());
        let builder = builder.stack(self.stack.clone().expect("a stack"));
        let overlay = self.upper(builder).build().expect("an overlay");
        self.root = overlay.root();
        self.overlay = Some(overlay);
        self.restart();
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if self.tight {
            limits.table_entries = 1;
            limits.kept_handles = 2;
            limits.kept_nodes = 4;
            limits.kept_listings = 2;
            limits.recent_dirs = 1;
        }
        limits
    }

    fn upper(&self, builder: OverlayBuilder) -> OverlayBuilder {
        match self.kind {
            Kind::Memory => builder.upper_memory(MEMORY),
            Kind::Lasting | Kind::Archives => {
                builder.upper("lasting", self.upper.clone().expect("an upper"))
            }
            Kind::Directory => builder.upper_dir("upper", capability(&self.folder())),
            Kind::ByPath => {
                let plain = HostDir::new(capability(&self.folder()), "upper");
                builder.upper("upper", Marked::upper_on_demand(ByPath::new(plain)))
            }
            Kind::ReadOnly | Kind::Live | Kind::ReadOnlyLive => builder,
        }
    }

    fn restart(&mut self) {
        self.reference.restart(ROOT);
        self.engine.restart(self.root.clone());
    }

    fn folder(&self) -> PathBuf {
        let folder = self.folder.as_ref().expect("a folder");
        folder.path().join(self.folders.to_string())
    }

    fn new_folder(&mut self) -> PathBuf {
        self.folders += 1;
        let path = self.folder();
        std::fs::create_dir(&path).expect("a directory");
        path
    }
}

fn lower(base: &Base, kind: Kind) -> Lower {
    match base {
        Base::Memory(layer) => Lower::new("memory", layer.clone()),
        Base::Archive(layer) => Lower::new("archive", layer.clone()),
        Base::ReadOnlyLayer(root) => Lower::new("overlay", ReadOnlyLayer(root.clone())),
        Base::Directory(path) if kind == Kind::ByPath => {
            let plain = HostDir::new(capability(path), "layer");
            Lower::new("layer", Marked::lower(ByPath::new(plain)))
        }
        Base::Directory(path) => Lower::dir("layer", capability(path)).expect("a layer"),
    }
}

/// Whether a step other than `open` changes the tree or the metadata.
fn is_change(step: Step<'_>) -> bool {
    match step {
        Step::SetTimes { .. }
        | Step::SetTimesAt { .. }
        | Step::SetSize { .. }
        | Step::Mkdir { .. }
        | Step::Rmdir { .. }
        | Step::Unlink { .. }
        | Step::Symlink { .. }
        | Step::Link { .. }
        | Step::Rename { .. } => true,
        // A handle either refuses to write, or was opened for it.
        Step::Open { .. }
        | Step::Close { .. }
        | Step::Preopen { .. }
        | Step::Read { .. }
        | Step::Write { .. }
        | Step::Append { .. }
        | Step::ReadStream { .. }
        | Step::WriteStream { .. }
        | Step::KeepInput { .. }
        | Step::ReadKept { .. }
        | Step::KeepOutput { .. }
        | Step::WriteKept { .. }
        | Step::Sync { .. }
        | Step::Stat { .. }
        | Step::StatAt { .. }
        | Step::List { .. }
        | Step::Readlink { .. }
        | Step::IsSame { .. }
        | Step::SameHash { .. } => false,
    }
}

/// An empty overlay's root.
fn nothing() -> Dir {
    let overlay = Overlay::builder().upper_memory(0).build();
    overlay.expect("an empty overlay").root()
}

/// The answer of a `stat`, without the link count.
fn without_links(line: &str) -> String {
    let is_count = |word: &&str| {
        word.strip_prefix('x')
            .is_some_and(|n| n.parse::<u64>().is_ok())
    };
    let words: Vec<_> = line.split(' ').filter(|word| !is_count(word)).collect();
    words.join(" ")
}
