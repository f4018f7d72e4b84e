//! Short random plans that are cut at each step: the tree is that before the last call or that after it.
//!
//! Short plans over few names, so that they collide, are made on a real directory; then the last
//! call of each is cut after its first step, its second, and so on, and the upper is mounted
//! again. What one call does in several visible steps on a plain directory too (writing data
//! after opening a file) is two calls here.

use crate::random::Random;
use std::collections::BTreeMap;
use std::path::Path;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::{Marked, MarkedUpper};
use wasi_overlay_core::{Dir, Lower, OpenHow, Opened, Overlay, Result};
use wasi_overlay_proof::kit::capability;

/// More steps than any call here has.
const MANY: u64 = 200;

#[derive(Clone, Copy, Debug)]
enum Call {
    Create(&'static str),
    Truncate(&'static str),
    OpenWrite(&'static str),
    MakeDir(&'static str),
    Unlink(&'static str),
    RemoveDir(&'static str),
    Symlink(&'static str),
    Link(&'static str, &'static str),
    Rename(&'static str, &'static str),
}

const PATHS: [&str; 9] = ["a", "b", "d", "e", "d/a", "d/s", "d/s/b", "e/a", "d/s/new"];

fn call(root: &Dir, call: Call) -> Result<()> {
    let write = OpenHow {
        write: true,
        ..OpenHow::default()
    };
    let create = OpenHow {
        create: true,
        exclusive: true,
        ..write
    };
    let truncate = OpenHow {
        truncate: true,
        ..write
    };
    match call {
        Call::Create(path) => root.open_at(path, create).map(drop),
        Call::Truncate(path) => root.open_at(path, truncate).map(drop),
        Call::OpenWrite(path) => root.open_at(path, write).map(drop),
        Call::MakeDir(path) => root.create_directory_at(path),
        Call::Unlink(path) => root.unlink_file_at(path),
        Call::RemoveDir(path) => root.remove_directory_at(path),
        Call::Symlink(path) => root.symlink_at("a", path),
        Call::Link(old, new) => root.link_at(old, root, new),
        Call::Rename(old, new) => root.rename_at(old, root, new),
    }
}

/// Path to content of everything there is.
type View = BTreeMap<String, String>;

fn view(root: &Dir) -> View {
    let mut seen = View::new();
    visit(root, "", &mut seen);
    seen
}

fn visit(dir: &Dir, above: &str, seen: &mut View) {
    for entry in dir.list().unwrap().iter() {
        let name = entry.name.to_str().unwrap();
        let path = format!("{above}{name}");
        if let Ok(target) = dir.readlink_at(name) {
            seen.insert(path, format!("-> {target}"));
            continue;
        }
        match dir.open_at(name, OpenHow::default()).unwrap() {
            Opened::Dir(inner) => {
                visit(&inner, &format!("{path}/"), seen);
                seen.insert(path, "directory".into());
            }
            Opened::File(file) => {
                let mut buffer = [0; 64];
                let length = file.read_at(&mut buffer, 0).unwrap();
                seen.insert(path, String::from_utf8_lossy(&buffer[..length]).into());
            }
        }
    }
}

/// Makes an upper, of one of the two kinds.
type Make = fn(Faulty<HostDir>) -> MarkedUpper<Faulty<HostDir>>;

/// Where a plan is tried.
#[derive(Clone, Copy)]
struct Place<'a> {
    lower: &'a Path,
    make: Make,
    /// Whether the work folder is there only while something is under way.
    on_demand: bool,
}

fn mount(place: Place<'_>, upper: &Path, faults: &Faults) -> Overlay {
    let plain = Faulty::new(HostDir::new(capability(upper), "the upper"), faults);
    Overlay::builder()
        .lower(Lower::dir("the layer", capability(place.lower)).unwrap())
        .upper("the upper", (place.make)(plain))
        .volatile(true)
        .build()
        .unwrap()
}

/// Entries on disk with a whiteout beside them, and what is left of staging.
fn untidy(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name == ".wh..wh.work" || dir.join(format!(".wh.{name}")).exists() {
                found.push(entry.path().display().to_string());
            }
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            }
        }
    }
    found
}

impl Random {
    fn path(&mut self) -> &'static str {
        PATHS[self.below(PATHS.len())]
    }

    fn call(&mut self) -> Call {
        match self.below(12) {
            0 => Call::Create(self.path()),
            1 => Call::Truncate(self.path()),
            2 => Call::OpenWrite(self.path()),
            3 => Call::MakeDir(self.path()),
            4 | 5 => Call::Unlink(self.path()),
            6 => Call::RemoveDir(self.path()),
            7 => Call::Symlink(self.path()),
            8 => Call::Link(self.path(), self.path()),
            _ => Call::Rename(self.path(), self.path()),
        }
    }
}

/// Makes the first calls of a plan in a new upper. Some of them fail, as a guest's do.
fn given(place: Place<'_>, plan: &[Call], faults: &Faults) -> (tempfile::TempDir, Overlay) {
    let temp = tempfile::tempdir().unwrap();
    let overlay = mount(place, temp.path(), faults);
    let root = overlay.root();
    for &step in plan {
        let called = call(&root, step);
        if place.on_demand {
            let untidy = untidy(temp.path());
            assert!(untidy.is_empty(), "{step:?}, {called:?}: {untidy:?}");
        }
    }
    (temp, overlay)
}

fn crash(place: Place<'_>, plan: &[Call]) -> bool {
    let (&last, first) = plan.split_last().unwrap();
    let faults = Faults::default();
    let (_temp, overlay) = given(place, first, &faults);
    let before = view(&overlay.root());
    let worked = call(&overlay.root(), last).is_ok();
    let after = view(&overlay.root());
    drop(overlay);
    if !worked {
        assert_eq!(before, after, "{plan:?}: failed, and yet did something");
        return false;
    }
    for steps in 0..MANY {
        let faults = Faults::default();
        let (temp, overlay) = given(place, first, &faults);
        faults.cut_after(steps);
        let called = call(&overlay.root(), last);
        let whole = faults.changes() <= steps;
        drop(overlay);
        let left = untidy(temp.path());
        assert!(
            left.is_empty() || left.iter().any(|path| path.ends_with("/.wh..wh.work")),
            "{plan:?} cut after {steps} steps: nobody will notice {left:?}"
        );

        let faults = Faults::default();
        let overlay = mount(place, temp.path(), &faults);
        let seen = view(&overlay.root());
        drop(overlay);
        if called.is_ok() {
            assert_eq!(seen, after, "{plan:?} cut after {steps} steps: lost");
        }
        assert!(
            seen == before || seen == after,
            "{plan:?} cut after {steps} steps: {seen:#?} is neither {before:#?} nor {after:#?}"
        );
        let untidy = untidy(temp.path());
        assert!(untidy.is_empty(), "{plan:?} cut after {steps}: {untidy:?}");
        if whole {
            return true;
        }
    }
    panic!("{plan:?} does not end");
}

/// Fails each step of the last call once. Nothing is cut: the mount goes on, and what it shows
/// has to agree with what it answered.
fn falter(place: Place<'_>, plan: &[Call]) -> bool {
    let (&last, first) = plan.split_last().unwrap();
    let faults = Faults::default();
    let (_temp, overlay) = given(place, first, &faults);
    let before = view(&overlay.root());
    if call(&overlay.root(), last).is_err() {
        return false;
    }
    let after = view(&overlay.root());
    drop(overlay);
    for step in 0..MANY {
        let faults = Faults::default();
        let (temp, overlay) = given(place, first, &faults);
        faults.fail_at(step);
        let called = call(&overlay.root(), last);
        let whole = faults.changes() <= step;
        faults.never();
        let wanted = if called.is_ok() { &after } else { &before };
        let seen = view(&overlay.root());
        assert_eq!(&seen, wanted, "{plan:?}, step {step} failed: {called:?}");
        overlay.close().unwrap();
        let untidy = untidy(temp.path());
        assert!(untidy.is_empty(), "{plan:?}, step {step}: {untidy:?}");
        drop(overlay);
        let overlay = mount(place, temp.path(), &faults);
        let seen = view(&overlay.root());
        assert_eq!(&seen, wanted, "{plan:?}, step {step}: mounted again");
        if whole {
            return true;
        }
    }
    panic!("{plan:?} does not end");
}

/// What chance rarely makes: `d` is emptied by whiteouts of its own, and then goes.
const EMPTIED: [&[Call]; 4] = [
    &[
        Call::Unlink("d/a"),
        Call::Unlink("d/s/b"),
        Call::RemoveDir("d/s"),
        Call::RemoveDir("d"),
    ],
    &[
        Call::Unlink("d/a"),
        Call::Rename("d/s", "b"),
        Call::Rename("b", "d"),
    ],
    &[
        Call::Rename("d/a", "b"),
        Call::Rename("d/s", "e/a"),
        Call::Rename("e", "d"),
    ],
    &[
        Call::Rename("d/s", "b"),
        Call::Unlink("d/a"),
        Call::RemoveDir("d"),
        Call::Rename("b", "d"),
    ],
];

const MOUNTED: (Make, bool) = (Marked::upper, false);
/// On the kernel's overlayfs, as far as renames of directories are concerned.
const FIXED: (Make, bool) = (|plain| Marked::upper(plain.with_all_dirs_fixed()), false);
const ON_DEMAND: (Make, bool) = (Marked::upper_on_demand, true);

fn plans(seed: u64, count: usize, kind: (Make, bool), trial: fn(Place<'_>, &[Call]) -> bool) {
    let lower = tempfile::tempdir().unwrap();
    let path = lower.path();
    std::fs::create_dir_all(path.join("d/s")).unwrap();
    std::fs::create_dir(path.join("e")).unwrap();
    for file in ["a", "d/a", "d/s/b"] {
        std::fs::write(path.join(file), format!("lower {file}")).unwrap();
    }
    let place = Place {
        lower: path,
        make: kind.0,
        on_demand: kind.1,
    };
    for plan in EMPTIED {
        assert!(trial(place, plan), "{plan:?}: the last call does not work");
    }
    let mut random = Random::new(seed);
    let mut worked = 0;
    for _ in 0..count {
        let length = 1 + random.below(6);
        let plan: Vec<_> = (0..length).map(|_| random.call()).collect();
        worked += usize::from(trial(place, &plan));
    }
    println!(
        "{worked} of {count} plans tried, and {} of old",
        EMPTIED.len()
    );
    assert!(
        worked > count / 4,
        "only {worked} last calls of {count} work"
    );
}

#[test]
fn interrupted_call_happens_or_does_not() {
    plans(2, 150, MOUNTED, crash);
}

#[test]
fn call_with_a_failed_step_happens_or_does_not() {
    plans(3, 150, MOUNTED, falter);
}

#[test]
fn interrupted_call_without_directory_renames_happens_or_does_not() {
    plans(6, 150, FIXED, crash);
}

#[test]
fn call_with_a_failed_step_without_directory_renames_happens_or_does_not() {
    plans(7, 150, FIXED, falter);
}

#[test]
fn interrupted_call_on_demand_happens_or_does_not() {
    plans(4, 150, ON_DEMAND, crash);
}

#[test]
fn call_with_a_failed_step_on_demand_happens_or_does_not() {
    plans(5, 150, ON_DEMAND, falter);
}
