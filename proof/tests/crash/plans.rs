//! Short random plans whose last call is interrupted at each step, or has one step fail: the tree is the one before
//! the call or the one after it.
//!
//! The plans use few names, so that they collide, and run on a host directory. Opening a file and writing to it
//! are two calls here, since they are two visible steps on a plain directory, too.

use crate::random::Random;
use std::path::Path;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::{Marked, MarkedUpper};
use wasi_overlay_core::{Dir, Lower, Overlay};
use wasi_overlay_proof::kit::{capability, leftovers};
use wasi_overlay_proof::{Script, snapshot};

/// More steps than any call here has.
const MANY: u64 = 200;

const PATHS: [&str; 9] = ["a", "b", "d", "e", "d/a", "d/s", "d/s/b", "e/a", "d/s/new"];

/// Makes a call in the words of [`Script`].
fn call(root: &Dir, call: &str) -> Result<String, String> {
    Script::new(root, ".").try_call(call)
}

/// Makes an upper.
type Make = fn(Faulty<HostDir>) -> MarkedUpper<Faulty<HostDir>>;

/// The mount that a plan runs on.
#[derive(Clone, Copy)]
struct Place<'a> {
    lower: &'a Path,
    make: Make,
    /// Whether the work folder exists only during a change.
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

fn draw(random: &mut Random) -> String {
    let call = match random.below(12) {
        0 => "create",
        1 => "open.wtn",
        2 => "open.wn",
        3 => "mkdir",
        4 | 5 => "unlink",
        6 => "rmdir",
        7 => "symlink a",
        8 => return format!("link {} {}", random.one_of(&PATHS), random.one_of(&PATHS)),
        _ => return format!("rename {} {}", random.one_of(&PATHS), random.one_of(&PATHS)),
    };
    format!("{call} {}", random.one_of(&PATHS))
}

/// Makes the first calls of a plan on a new upper. Some of them fail.
fn prepare(place: Place<'_>, plan: &[String], faults: &Faults) -> (tempfile::TempDir, Overlay) {
    let temp = tempfile::tempdir().unwrap();
    let overlay = mount(place, temp.path(), faults);
    let root = overlay.root();
    for step in plan {
        let called = call(&root, step);
        if place.on_demand {
            let leftovers = leftovers(temp.path());
            assert!(leftovers.is_empty(), "{step:?}, {called:?}: {leftovers:?}");
        }
    }
    (temp, overlay)
}

/// Interrupts the last call after each of its steps, and mounts the upper again.
fn interrupt(place: Place<'_>, plan: &[String]) -> bool {
    let (last, first) = plan.split_last().unwrap();
    let faults = Faults::default();
    let (_temp, overlay) = prepare(place, first, &faults);
    let before = snapshot::tree(&overlay.root());
    let worked = call(&overlay.root(), last).is_ok();
    let after = snapshot::tree(&overlay.root());
    drop(overlay);
    if !worked {
        assert_eq!(before, after, "{plan:?}: it failed, but changed something");
        return false;
    }
    for steps in 0..MANY {
        let faults = Faults::default();
        let (temp, overlay) = prepare(place, first, &faults);
        faults.cut_after(steps);
        let called = call(&overlay.root(), last);
        let whole = faults.changes() <= steps;
        drop(overlay);
        let left = leftovers(temp.path());
        assert!(
            left.is_empty() || left.iter().any(|path| path.ends_with(".wh..wh.work")),
            "{plan:?} cut after {steps} steps: the next mount will not repair {left:?}"
        );

        let faults = Faults::default();
        let overlay = mount(place, temp.path(), &faults);
        let seen = snapshot::tree(&overlay.root());
        drop(overlay);
        if called.is_ok() {
            assert_eq!(
                seen, after,
                "{plan:?} cut after {steps} steps: the change is lost"
            );
        }
        assert!(
            seen == before || seen == after,
            "{plan:?} cut after {steps} steps: {seen:#?} is neither {before:#?} nor {after:#?}"
        );
        let leftovers = leftovers(temp.path());
        assert!(
            leftovers.is_empty(),
            "{plan:?} cut after {steps}: {leftovers:?}"
        );
        if whole {
            return true;
        }
    }
    panic!("{plan:?} does not end");
}

/// Fails each step of the last call once. The mount continues, and its tree must agree with its answer.
fn fail_steps(place: Place<'_>, plan: &[String]) -> bool {
    let (last, first) = plan.split_last().unwrap();
    let faults = Faults::default();
    let (_temp, overlay) = prepare(place, first, &faults);
    let before = snapshot::tree(&overlay.root());
    if call(&overlay.root(), last).is_err() {
        return false;
    }
    let after = snapshot::tree(&overlay.root());
    drop(overlay);
    for step in 0..MANY {
        let faults = Faults::default();
        let (temp, overlay) = prepare(place, first, &faults);
        faults.fail_at(step);
        let called = call(&overlay.root(), last);
        let whole = faults.changes() <= step;
        faults.never();
        let wanted = if called.is_ok() { &after } else { &before };
        let seen = snapshot::tree(&overlay.root());
        assert_eq!(&seen, wanted, "{plan:?}, step {step} failed: {called:?}");
        overlay.close().unwrap();
        let leftovers = leftovers(temp.path());
        assert!(leftovers.is_empty(), "{plan:?}, step {step}: {leftovers:?}");
        drop(overlay);
        let overlay = mount(place, temp.path(), &faults);
        let seen = snapshot::tree(&overlay.root());
        assert_eq!(&seen, wanted, "{plan:?}, step {step}: mounted again");
        if whole {
            return true;
        }
    }
    panic!("{plan:?} does not end");
}

/// Plans that are rarely drawn: `d` is emptied, so that it holds only whiteouts, and then removed or replaced.
const EMPTIED: [&str; 4] = [
    "unlink d/a; unlink d/s/b; rmdir d/s; rmdir d",
    "unlink d/a; rename d/s b; rename b d",
    "rename d/a b; rename d/s e/a; rename e d",
    "rename d/s b; unlink d/a; rmdir d; rename b d",
];

const MOUNTED: (Make, bool) = (Marked::upper, false);
/// Directories cannot be renamed, as on the kernel's overlayfs.
const FIXED: (Make, bool) = (|plain| Marked::upper(plain.with_all_dirs_fixed()), false);
const ON_DEMAND: (Make, bool) = (Marked::upper_on_demand, true);

fn plans(seed: u64, count: usize, kind: (Make, bool), trial: fn(Place<'_>, &[String]) -> bool) {
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
        let plan: Vec<_> = plan.split("; ").map(str::to_owned).collect();
        assert!(trial(place, &plan), "{plan:?}: the last call does not work");
    }
    let mut random = Random::new(seed);
    let mut worked = 0;
    for _ in 0..count {
        let length = 1 + random.below(6);
        let plan: Vec<_> = (0..length).map(|_| draw(&mut random)).collect();
        worked += usize::from(trial(place, &plan));
    }
    println!(
        "{worked} of {count} random plans and {} fixed ones tried",
        EMPTIED.len()
    );
    assert!(
        worked > count / 4,
        "only {worked} last calls of {count} work"
    );
}

#[test]
fn interrupted_call_happens_or_does_not() {
    plans(2, 150, MOUNTED, interrupt);
}

#[test]
fn call_with_a_failed_step_happens_or_does_not() {
    plans(3, 150, MOUNTED, fail_steps);
}

#[test]
fn interrupted_call_without_directory_renames_happens_or_does_not() {
    plans(6, 150, FIXED, interrupt);
}

#[test]
fn call_with_a_failed_step_without_directory_renames_happens_or_does_not() {
    plans(7, 150, FIXED, fail_steps);
}

#[test]
fn interrupted_call_on_demand_happens_or_does_not() {
    plans(4, 150, ON_DEMAND, interrupt);
}

#[test]
fn call_with_a_failed_step_on_demand_happens_or_does_not() {
    plans(5, 150, ON_DEMAND, fail_steps);
}
