//! The same random plans on a plain directory, on our engine, and on a mount of the kernel's overlayfs. Our engine
//! answers as the directory does; every difference of the kernel is in a short list (`kernel.toml`).
//!
//! One difference would make all later states differ, too. So a step at which the kernel differs is removed, and the
//! plan starts again on all three. The remaining plan has equal answers and trees on all three.
//!
//! `OVERLAY_OPERATIONS` is the minimum number of calls, `OVERLAY_SEED` the first plan, and `OVERLAY_PLAN` a file with
//! a plan to run instead.

use guests_script::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use wasi_overlay_core::{Dir, Kind, Live, Lower, Overlay};
use wasi_overlay_proof::kit::capability;
use wasi_overlay_proof::layers::{self, What};
use wasi_overlay_proof::machine::{Mount, Need, Scratch, has, set_attribute};
use wasi_overlay_proof::mount::Held;
use wasi_overlay_proof::{Choices, Layer, Line, Merged, Plan, Runner, Shape, merged, snapshot};

const SHAPE: Shape = Shape {
    layers: 4,
    lines: 120,
    remount_every: 40,
    rotate_every: 0,
};
const OPERATIONS: u64 = 20_000;

/// A step at which one of the three differs.
struct Difference {
    line: usize,
    /// Its name in `kernel.toml`, if any.
    reason: Option<&'static str>,
    story: String,
}

#[derive(Default)]
struct Counts {
    plans: u64,
    with_difference: u64,
    calls: u64,
    reasons: BTreeMap<&'static str, u64>,
}

#[test]
fn kernel_differs_from_a_plain_directory_as_listed_and_ours_does_not() {
    if !has("kernel differential", &[Need::KernelOverlay]) {
        return;
    }
    let mut counts = Counts::default();
    if let Some(plan) = Plan::to_replay() {
        check(&plan, &mut counts).unwrap_or_else(|story| panic!("{story}"));
        println!("{}", counts.shown());
        return;
    }
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a number"))
    };
    let mut seed = number("OVERLAY_SEED").unwrap_or(0);
    let operations = number("OVERLAY_OPERATIONS").unwrap_or(OPERATIONS);
    while counts.calls < operations {
        let plan = draw(seed);
        if check(&plan, &mut counts).is_err() {
            let fails = |plan: &Plan| check(plan, &mut Counts::default()).is_err();
            let plan = plan.shrink(fails);
            let story = check(&plan, &mut Counts::default());
            panic!("seed {seed}:\n{}\nthe plan:\n{plan}", story.unwrap_err());
        }
        seed += 1;
    }
    println!("{}", counts.shown());
    if operations >= OPERATIONS {
        let listed: BTreeSet<_> = listed().into_iter().collect();
        let met: BTreeSet<_> = counts.reasons.keys().map(ToString::to_string).collect();
        assert_eq!(met, listed, "differences met, and those in kernel.toml");
    }
}

/// A random plan with a sequence that is rarely drawn: a lower file is opened, changed through another handle, and
/// read through the first.
fn draw(seed: u64) -> Plan {
    let mut choices = Choices::of_seed(seed);
    let mut plan = Plan::draw(&mut choices, SHAPE);
    let merged = Merged::of(&plan.layers).0;
    let mut files = merged
        .iter()
        .filter(|(_, node)| matches!(node.kind, merged::Kind::File(_)));
    // Slots that random steps do not use.
    if let Some((file, _)) = files.nth(choices.next(4)) {
        let middle = choices.next(plan.lines.len().min(SHAPE.remount_every));
        let changed = [
            format!("open 6 0 w {file}"),
            "write 6 0 new".into(),
            "read 5 0 20".into(),
            "stat 5".into(),
            "is-same 5 6".into(),
            "set-times 5 77".into(),
            "read-stream 5 1 20".into(),
        ];
        plan.lines.splice(middle..middle, changed);
        plan.lines.insert(0, format!("open 5 0 r {file}"));
    }
    plan
}

/// The names in `kernel.toml`.
fn listed() -> Vec<String> {
    let table: toml::Table = include_str!("../kernel.toml").parse().expect("TOML");
    let all = table["difference"].as_array().expect("a list");
    let text = |entry: &toml::Value, key: &str| entry[key].as_str().expect("a text").to_owned();
    let named = all.iter().map(|entry| {
        assert!(!text(entry, "what").is_empty() && !text(entry, "why").is_empty());
        text(entry, "name")
    });
    named.collect()
}

impl Counts {
    fn shown(&self) -> String {
        let share = 100 * self.with_difference / self.plans.max(1);
        let mut line = format!(
            "kernel: {} plans, {} operations on each of three; in {share} % of the plans the kernel \
             differs:",
            self.plans, self.calls
        );
        for (reason, count) in &self.reasons {
            let _ = write!(line, " {reason} {count}");
        }
        line
    }
}

/// Runs a plan, without the steps at which the kernel differs as listed.
///
/// # Errors
/// The steps up to another difference.
fn check(plan: &Plan, counts: &mut Counts) -> Result<(), String> {
    let listed = listed();
    let mut left_out = BTreeSet::new();
    loop {
        let difference = match Sides::new(&plan.layers).run(&plan.lines, &left_out) {
            Ok(calls) => {
                counts.plans += 1;
                counts.with_difference += u64::from(!left_out.is_empty());
                counts.calls += calls;
                return Ok(());
            }
            Err(difference) => difference,
        };
        let reason = difference
            .reason
            .filter(|reason| listed.iter().any(|listed| listed == reason));
        match reason {
            Some(reason) => *counts.reasons.entry(reason).or_default() += 1,
            None => return Err(difference.story),
        }
        left_out.insert(difference.line);
    }
}

/// A plain directory, our overlay and the kernel's, of the same tree. Handles are dropped before their mounts.
struct Sides {
    plain: Runner,
    ours: Runner,
    kernel: Runner,
    /// None between mounts.
    mounted: Option<(Overlay, Mount)>,
    layers: usize,
    scratch: Scratch,
}

impl Sides {
    fn new(layers: &[Layer]) -> Self {
        let scratch = Scratch::new();
        let plain = scratch.dir("plain");
        Merged::of(layers).write(&plain);
        for (number, layer) in layers.iter().enumerate() {
            layer.write(number, &scratch.dir(&format!("oci {number}")));
            let form = scratch.dir(&format!("kernel {number}"));
            write_for_kernel(layer, number, &Merged::of(&layers[..number]), &form);
        }
        // The kernel requires a lower layer.
        scratch.dir("kernel none");
        for name in ["oci upper", "kernel upper", "kernel work", "merged"] {
            scratch.dir(name);
        }
        let root = live(&plain);
        let mut sides = Self {
            plain: Runner::new(root.clone()),
            ours: Runner::new(root.clone()),
            kernel: Runner::new(root),
            mounted: None,
            layers: layers.len(),
            scratch,
        };
        sides.mount();
        sides
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Closes all handles, and mounts or remounts both overlays.
    fn mount(&mut self) {
        let plain = live(&self.path("plain"));
        for side in [&mut self.plain, &mut self.ours, &mut self.kernel] {
            side.restart(plain.clone());
        }
        if let Some((overlay, mount)) = self.mounted.take() {
            overlay.close().expect("a clean end");
            drop(mount);
        }
        let mut overlay = Overlay::builder().volatile(true);
        let mut lowers = vec![self.path("kernel none")];
        for number in 0..self.layers {
            let path = self.path(&format!("oci {number}"));
            let lower = Lower::dir(format!("layer {number}"), capability(&path));
            overlay = overlay.lower(lower.expect("a layer"));
            lowers.push(self.path(&format!("kernel {number}")));
        }
        let overlay = overlay.upper_dir("upper", capability(&self.path("oci upper")));
        let overlay = overlay.build().expect("an overlay");
        let (upper, work) = (self.path("kernel upper"), self.path("kernel work"));
        let at = self.path("merged");
        let mount = Mount::overlay(&at, &lowers, Some((&upper, &work)), "").expect("a mount");
        self.ours.restart(overlay.root());
        self.kernel.restart(live(mount.path()));
        self.mounted = Some((overlay, mount));
    }

    /// Runs the lines that are not in `left_out`. Returns the number of calls.
    fn run(mut self, lines: &[String], left_out: &BTreeSet<usize>) -> Result<u64, Difference> {
        let mut story = String::new();
        let mut calls = 0;
        for (at, line) in lines.iter().enumerate() {
            // Only our engine reserves these names, which is a listed deviation.
            if left_out.contains(&at) || line.contains(".wh.") {
                continue;
            }
            let fail = |story: &str, reason, what: String| Difference {
                line: at,
                reason,
                story: format!("{story}{line}\n{what}"),
            };
            match Line::parse(line).expect("a line of a plan") {
                Line::Remount | Line::Rotate => self.mount(),
                Line::Step(step) => {
                    let suspect = self.suspect(step);
                    let plain = self.plain.step(step);
                    let ours = self.ours.step(step);
                    let kernel = self.kernel.step(step);
                    if plain != ours {
                        let what = format!("plain: {plain}\nours: {ours}\n");
                        return Err(fail(&story, None, what));
                    }
                    if plain != kernel {
                        let reason = suspect.reason(&plain, &kernel);
                        let what = format!("plain: {plain}\nkernel: {kernel}\n");
                        return Err(fail(&story, reason, what));
                    }
                    calls += u64::from(plain != "-");
                    let _ = writeln!(story, "{line} = {plain}");
                }
            }
            let plain = host_tree(&self.path("plain"));
            let kernel = host_tree(&self.path("merged"));
            if plain != kernel {
                let what = format!("plain tree:\n{plain}kernel tree:\n{kernel}");
                return Err(fail(&story, None, what));
            }
        }
        let root = self.mounted.as_ref().map(|(overlay, _)| overlay.root());
        let ours = snapshot::tree(&root.expect("a mount"));
        let plain = snapshot::tree(&live(&self.path("plain")));
        if plain != ours {
            return Err(Difference {
                line: lines.len(),
                reason: None,
                story: format!("{story}plain tree:\n{plain:#?}\nour tree:\n{ours:#?}\n"),
            });
        }
        Ok(calls)
    }

    /// Why the kernel may differ at a step, by the state before it.
    fn suspect(&self, step: Step<'_>) -> Suspect {
        let is_dir = |base: usize, path: &str| match self.plain.slot(base) {
            Some(Held::Dir(dir)) => {
                let path = path.trim_end_matches('/');
                dir.stat_at(path, false)
                    .is_ok_and(|stat| stat.kind == Kind::Dir)
            }
            _ => false,
        };
        let is_removed = |slot: usize| match self.plain.slot(slot) {
            Some(Held::File(file)) => file.stat().is_ok_and(|stat| stat.links == 0),
            _ => false,
        };
        match step {
            Step::Stat { slot } | Step::SetTimes { slot, .. } if is_removed(slot) => {
                Suspect::RemovedFile
            }
            Step::Rename { base, path, .. } if is_dir(base, path) => Suspect::RenameDirectory,
            _ => Suspect::Nothing,
        }
    }
}

enum Suspect {
    Nothing,
    RenameDirectory,
    RemovedFile,
}

impl Suspect {
    fn reason(&self, plain: &str, kernel: &str) -> Option<&'static str> {
        match self {
            Self::RenameDirectory if kernel == "CrossDevice" => Some("rename-directory"),
            Self::RemovedFile if kernel == "Exist" || plain.contains(" x0 ") => {
                Some("removed-file")
            }
            Self::Nothing | Self::RenameDirectory | Self::RemovedFile => None,
        }
    }
}

/// Writes a layer as the kernel would write it on `below`: without whiteouts that hide nothing.
fn write_for_kernel(layer: &Layer, number: usize, below: &Merged, dir: &Path) {
    let all = layer.all(number);
    let is_in_opaque = |path: &str| {
        all.iter().any(|(at, what, _)| {
            matches!(what, What::Dir { opaque: true }) && path.starts_with(&format!("{at}/"))
        })
    };
    for (path, what, _) in &all {
        let at = dir.join(path);
        match what {
            What::Whiteout if !below.0.contains_key(*path) || is_in_opaque(path) => {}
            What::Whiteout => {
                let kind = rustix::fs::FileType::CharacterDevice;
                let mode = rustix::fs::Mode::empty();
                rustix::fs::mknodat(rustix::fs::CWD, &at, kind, mode, 0).expect("a whiteout");
            }
            What::Dir { opaque } => {
                std::fs::create_dir(&at).expect("a directory");
                if *opaque {
                    set_attribute(&at, "trusted.overlay.opaque", b"y").expect("an attribute");
                }
            }
            What::File(text) => std::fs::write(&at, text).expect("a file"),
            What::Link(target) => std::os::unix::fs::symlink(target, &at).expect("a link"),
        }
    }
    for (path, what, time) in all.iter().rev() {
        if **what != What::Whiteout {
            layers::set_time(&dir.join(path), *time);
        }
    }
}

/// A host tree as text, with the times that were set.
fn host_tree(root: &Path) -> String {
    let mut lines = BTreeSet::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(root.join(&dir)).expect("a listing") {
            let path = dir.join(entry.expect("an entry").file_name());
            let at = root.join(&path);
            let meta = at.symlink_metadata().expect("a listed name");
            let kind = meta.file_type();
            let what = if kind.is_dir() {
                dirs.push(path.clone());
                "directory".to_owned()
            } else if kind.is_file() {
                let data = std::fs::read(&at).expect("data");
                format!(
                    "file {:?} links {}",
                    String::from_utf8_lossy(&data),
                    meta.nlink()
                )
            } else if kind.is_symlink() {
                format!(
                    "-> {}",
                    std::fs::read_link(&at).expect("a target").display()
                )
            } else {
                format!("device: {}", kind.is_char_device())
            };
            let is_set = meta.mtime_nsec() == i64::from(layers::SET);
            let time = if is_set { meta.mtime() } else { 0 };
            lines.insert(format!("  {} {what} at {time}\n", path.display()));
        }
    }
    lines.into_iter().collect()
}

fn live(path: &Path) -> Dir {
    Live::new(capability(path)).root()
}
