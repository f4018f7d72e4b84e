//! Tests that interrupt every call after each of its steps, and fail each step once.
//!
//! After an interruption and a new mount the tree is as before the call or as after it, the upper is in
//! its steady state, and no staged file is left. After a failed step, either the call
//! failed and the tree is as before, or the call happened.
//!
//! An upper with a work folder on demand has the folder whenever there is anything to repair, and
//! not after a successful call.

use super::*;
use crate::plain::Plain;
use crate::plain::faulty::{Faults, Faulty};

type Subject = MarkedUpper<Faulty<HostDir>>;

/// A name, the calls before, and the tested call.
type Case = (&'static str, Call, Call);
type Call = fn(&Subject) -> Result<()>;

/// The lower: `file`, `other`, and `full/` with `a` and `sub/b`.
fn lower() -> (tempfile::TempDir, Marked<HostDir>) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    std::fs::write(path.join("file"), "lower file").unwrap();
    std::fs::write(path.join("other"), "lower other").unwrap();
    std::fs::create_dir_all(path.join("full/sub")).unwrap();
    std::fs::write(path.join("full/a"), "lower a").unwrap();
    std::fs::write(path.join("full/sub/b"), "lower b").unwrap();
    let layer = Marked::lower(host(path));
    (temp, layer)
}

fn nothing(_: &Subject) -> Result<()> {
    Ok(())
}

/// The directory of `path`, and its last name.
fn split<'a>(upper: &Subject, path: &'a str) -> (<Subject as Layer>::Dir, &'a str) {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    (walk(upper, parent), name)
}

fn create(upper: &Subject, new: New<'_>, path: &str, over: Over) -> Result<()> {
    let (dir, name) = split(upper, path);
    upper.create(new, at(&dir, name), over).map(drop)
}

/// Stages and publishes a directory.
fn publish(upper: &Subject, opaque: bool, path: &str, over: Over) -> Result<()> {
    let (dir, name) = split(upper, path);
    let staged = upper.stage(New::Dir { opaque })?;
    upper
        .publish(staged, at(&dir, name), over, !opaque)
        .map(drop)
}

fn write(upper: &Subject, path: &str, over: Over) -> Result<()> {
    let (dir, name) = split(upper, path);
    put(upper, at(&dir, name), over, "upper")
}

fn remove(upper: &Subject, path: &str, over: Over, leave: Leave) -> Result<()> {
    let (dir, name) = split(upper, path);
    upper.remove(at(&dir, name), over, leave)
}

/// Hides an entry of the lower.
fn hide(upper: &Subject, path: &str) -> Result<()> {
    remove(upper, path, Over::Nothing, Leave::Whiteout)
}

fn rename(upper: &Subject, from: &str, to: &str, over: Over, leave: Leave) -> Result<()> {
    let dir = walk(upper, "");
    upper.rename(at(&dir, from), at(&dir, to), over, leave)
}

/// Creates a merged `full` whose lower entries are all hidden by whiteouts.
fn empty_full(upper: &Subject) -> Result<()> {
    publish(upper, false, "full", Over::Nothing)?;
    hide(upper, "full/a")?;
    hide(upper, "full/sub")
}

/// Creates `made`, a directory with a file, and an empty `full`.
fn make_and_empty(upper: &Subject) -> Result<()> {
    empty_full(upper)?;
    create(upper, New::Dir { opaque: false }, "made", Over::Nothing)?;
    write(upper, "made/inside", Over::Nothing)
}

/// Copies `full` up with all its entries, as before a rename.
fn copy_full(upper: &Subject) -> Result<()> {
    publish(upper, false, "full", Over::Nothing)?;
    write(upper, "full/a", Over::Nothing)?;
    hide(upper, "full/sub")?;
    upper.set_opaque(&walk(upper, "full"))
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("create a file", nothing,
     |upper| create(upper, New::File, "new", Over::Nothing)),
    ("create a file over a whiteout", |upper| hide(upper, "file"),
     |upper| create(upper, New::File, "file", Over::Whiteout)),
    ("create a link over a whiteout", |upper| hide(upper, "full"),
     |upper| create(upper, New::Symlink(b"target"), "full", Over::Whiteout)),
    ("create a directory over a whiteout", |upper| hide(upper, "full"),
     |upper| create(upper, New::Dir { opaque: false }, "full", Over::Whiteout)),
    ("publish a directory where the lower has a file", nothing,
     |upper| publish(upper, true, "file", Over::Nothing)),
    ("publish a directory over an empty one", empty_full,
     |upper| publish(upper, true, "full", Over::EmptyDir)),
    ("copy up a file", nothing,
     |upper| put(upper, at(&walk(upper, ""), "file"), Over::Nothing, "lower file")),
    ("publish a file over a whiteout", |upper| hide(upper, "file"),
     |upper| write(upper, "file", Over::Whiteout)),
    ("remove a file of the lower", nothing,
     |upper| hide(upper, "file")),
    ("remove a file of both", |upper| write(upper, "file", Over::Nothing),
     |upper| remove(upper, "file", Over::File, Leave::Whiteout)),
    ("remove a file of the upper", |upper| write(upper, "new", Over::Nothing),
     |upper| remove(upper, "new", Over::File, Leave::Nothing)),
    ("remove an empty merged directory", empty_full,
     |upper| remove(upper, "full", Over::EmptyDir, Leave::Whiteout)),
    ("remove an opaque directory of the upper", |upper| create(upper, New::Dir { opaque: true }, "made", Over::Nothing),
     |upper| remove(upper, "made", Over::EmptyDir, Leave::Nothing)),
    ("rename a file of both onto a file of the lower", |upper| write(upper, "file", Over::Nothing),
     |upper| rename(upper, "file", "other", Over::Nothing, Leave::Whiteout)),
    ("rename a file onto a whiteout", |upper| {
        write(upper, "file", Over::Nothing)?;
        hide(upper, "other")
     },
     |upper| rename(upper, "file", "other", Over::Whiteout, Leave::Whiteout)),
    ("rename a file onto a file of the upper", |upper| {
        write(upper, "file", Over::Nothing)?;
        put(upper, at(&walk(upper, ""), "other"), Over::Nothing, "upper too")
     },
     |upper| rename(upper, "file", "other", Over::File, Leave::Whiteout)),
    ("rename a directory onto an empty one", make_and_empty,
     |upper| rename(upper, "made", "full", Over::EmptyDir, Leave::Nothing)),
    ("rename a directory onto a whiteout", |upper| {
        make_and_empty(upper)?;
        remove(upper, "full", Over::EmptyDir, Leave::Whiteout)
     },
     |upper| rename(upper, "made", "full", Over::Whiteout, Leave::Nothing)),
    ("rename a directory of both", copy_full,
     |upper| rename(upper, "full", "moved", Over::Nothing, Leave::Whiteout)),
    ("link over a whiteout", |upper| {
        write(upper, "new", Over::Nothing)?;
        hide(upper, "file")
     },
     |upper| {
        let dir = walk(upper, "");
        upper.link(at(&dir, "new"), at(&dir, "file"), Over::Whiteout)
     }),
    ("set opaque", |upper| publish(upper, false, "full", Over::Nothing),
     |upper| upper.set_opaque(&walk(upper, "full"))),
];

/// More steps than any call takes.
const MANY: u64 = 64;

/// Both ways to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Mounted,
    OnDemand,
}

const MODES: [Mode; 2] = [Mode::Mounted, Mode::OnDemand];

impl Mode {
    fn upper<P: Plain>(self, plain: P) -> MarkedUpper<P> {
        match self {
            Self::Mounted => Marked::upper(plain),
            Self::OnDemand => Marked::upper_on_demand(plain),
        }
    }
}

struct Run {
    mode: Mode,
    temp: tempfile::TempDir,
    faults: Faults,
    upper: Subject,
}

impl Run {
    /// A mounted upper after the calls before a case.
    fn new(mode: Mode, (_, before, _): &Case) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let upper = mode.upper(Faulty::new(host(temp.path()), &faults));
        upper.mount(Durability::Durable).unwrap();
        before(&upper).unwrap();
        let run = Self {
            mode,
            temp,
            faults,
            upper,
        };
        run.assert_between_calls();
        run
    }

    /// Checks the steady state, in which the folder only shows that the upper is mounted.
    fn assert_between_calls(&self) {
        let path = self.temp.path();
        assert_eq!(leftovers(path), Vec::<String>::new());
        assert_eq!(has_folder(path), self.mode == Mode::Mounted);
    }
}

/// Mounts the upper again, checks it, and returns what it shows.
fn remount(mode: Mode, path: &Path, lower: &Marked<HostDir>) -> View {
    if mode == Mode::OnDemand && !has_folder(path) {
        let leftovers = leftovers(path);
        assert!(leftovers.is_empty(), "no mount will repair {leftovers:?}");
    }
    let upper = mode.upper(host(path));
    upper.mount(Durability::Durable).unwrap();
    let found = view(&upper, lower);
    assert_eq!(leftovers(path), Vec::<String>::new());
    assert_eq!(has_folder(path), mode == Mode::Mounted);
    upper.unmount().unwrap();
    assert!(!has_folder(path));
    assert_eq!(view(&Marked::lower(host(path)), lower), found);
    found
}

fn has_folder(path: &Path) -> bool {
    path.join(".wh..wh.work").exists()
}

/// Entries that have a whiteout beside them, and staged files.
fn leftovers(path: &Path) -> Vec<String> {
    let names = paths_on_disk(path);
    let is_leftover = |name: &&String| {
        let (parent, text) = name.rsplit_once('/').unwrap_or(("", name));
        let whiteout = Path::new(parent).join(format!(".wh.{text}"));
        name.starts_with(".wh..wh.work/") || names.contains(whiteout.to_str().unwrap())
    };
    names.iter().filter(is_leftover).cloned().collect()
}

/// The visible tree before and after the call.
fn expected(mode: Mode, case: &Case, lower: &Marked<HostDir>) -> (View, View) {
    let run = Run::new(mode, case);
    let before = view(&run.upper, lower);
    (case.2)(&run.upper).unwrap();
    let after = view(&run.upper, lower);
    run.assert_between_calls();
    (before, after)
}

/// Interrupts every case after each of its steps.
fn interrupt(mode: Mode) {
    let (_temp, lower) = lower();
    for case in CASES {
        let (before, after) = expected(mode, case, &lower);
        let mut steps = 0;
        while steps < MANY {
            let run = Run::new(mode, case);
            run.faults.cut_after(steps);
            let called = (case.2)(&run.upper);
            let whole = run.faults.changes() <= steps;
            let path = run.temp.path().to_owned();
            drop(run.upper);
            let found = remount(mode, &path, &lower);
            if called.is_ok() {
                assert_eq!(
                    found, after,
                    "{}, {steps} steps: the change is lost",
                    case.0
                );
            } else {
                assert!(
                    found == before || found == after,
                    "{}, {steps} steps: {found:#?} is neither {before:#?} nor {after:#?}",
                    case.0
                );
            }
            if whole {
                break;
            }
            steps += 1;
        }
        assert!(steps > 0 && steps < MANY, "{}", case.0);
    }
}

#[test]
fn an_interrupted_call_shows_the_tree_before_or_after() {
    interrupt(Mode::Mounted);
}

#[test]
fn an_interrupted_call_on_demand_shows_the_tree_before_or_after() {
    interrupt(Mode::OnDemand);
}

/// Fails each step of every case; `unmounts` is whether the upper is unmounted afterwards.
fn fail_steps(mode: Mode, unmounts: bool) {
    let (_temp, lower) = lower();
    for case in CASES {
        let (before, after) = expected(mode, case, &lower);
        for step in 0..MANY {
            let run = Run::new(mode, case);
            run.faults.fail_at(step);
            let called = (case.2)(&run.upper);
            let whole = run.faults.changes() <= step;
            run.faults.never();
            let found = view(&run.upper, &lower);
            let expected = if called.is_ok() { &after } else { &before };
            assert_eq!(&found, expected, "{}, step {step}: {called:?}", case.0);
            let path = run.temp.path().to_owned();
            let found = if unmounts {
                run.upper.unmount().unwrap();
                assert_eq!(leftovers(&path), Vec::<String>::new());
                assert!(!has_folder(&path));
                view(&Marked::lower(host(&path)), &lower)
            } else {
                drop(run.upper);
                remount(mode, &path, &lower)
            };
            assert_eq!(&found, expected, "{}, step {step}", case.0);
            if whole {
                called.unwrap();
                break;
            }
        }
    }
}

#[test]
fn a_call_with_a_failed_step_changes_nothing_or_happens() {
    for mode in MODES {
        fail_steps(mode, true);
    }
}

#[test]
fn the_next_mount_repairs_what_a_failed_step_left() {
    fail_steps(Mode::OnDemand, false);
}

#[test]
fn an_interrupted_mount_can_be_repeated() {
    for mode in MODES {
        interrupt_mount(mode);
    }
}

fn interrupt_mount(mode: Mode) {
    let (_temp, lower) = lower();
    let prepare = |path: &Path| {
        // The remains of crashes: whiteouts beside a file and beside directories, and staged files.
        std::fs::create_dir_all(path.join("full/deep")).unwrap();
        std::fs::write(path.join(".wh.full"), "").unwrap();
        std::fs::write(path.join("file"), "upper").unwrap();
        std::fs::write(path.join(".wh.file"), "").unwrap();
        std::fs::write(path.join("full/deep/x"), "upper x").unwrap();
        std::fs::write(path.join("full/.wh.deep"), "").unwrap();
        let work = path.join(".wh..wh.work");
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("wasi-overlay-1-0"), "half").unwrap();
        std::fs::create_dir(work.join("wasi-overlay-1-1")).unwrap();
        std::fs::write(work.join("wasi-overlay-1-1/.wh..wh..opq"), "").unwrap();
    };
    for steps in 0..MANY {
        let temp = tempfile::tempdir().unwrap();
        prepare(temp.path());
        let before = view(&Marked::lower(host(temp.path())), &lower);
        let faults = Faults::default();
        faults.cut_after(steps);
        let upper = mode.upper(Faulty::new(host(temp.path()), &faults));
        let mounted = upper.mount(Durability::Durable);
        let whole = faults.changes() <= steps;
        drop(upper);
        assert_eq!(remount(mode, temp.path(), &lower), before, "{steps} steps");
        if whole {
            mounted.unwrap();
            assert!(steps > 5);
            return;
        }
    }
    panic!("a mount does not end");
}
