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

struct Case {
    name: &'static str,
    /// The calls before.
    given: fn(&Subject) -> Result<()>,
    /// The tested call.
    when: fn(&Subject) -> Result<()>,
}

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

fn root(upper: &Subject) -> <Subject as Layer>::Dir {
    upper.root().unwrap()
}

fn remove(upper: &Subject, path: &str, what: Over, leave: Leave) -> Result<()> {
    let (parent, text) = path.rsplit_once('/').unwrap_or(("", path));
    upper.remove(at(&walk(upper, parent), text), what, leave)
}

/// `full` in the upper, merged with the lower's, which whiteouts in the upper hide completely.
fn emptied(upper: &Subject) -> Result<()> {
    let staged = upper.stage(New::Dir { opaque: false })?;
    upper.publish(staged, at(&root(upper), "full"), Over::Nothing, true)?;
    remove(upper, "full/a", Over::Nothing, Leave::Whiteout)?;
    remove(upper, "full/sub", Over::Nothing, Leave::Whiteout)
}

/// `made`, an opaque directory with a file, and `full` emptied.
fn a_directory_and_an_empty_one(upper: &Subject) -> Result<()> {
    emptied(upper)?;
    upper.create(
        New::Dir { opaque: false },
        at(&root(upper), "made"),
        Over::Nothing,
    )?;
    put(
        upper,
        at(&walk(upper, "made"), "inside"),
        Over::Nothing,
        "upper",
    )
}

/// `full` in the upper with everything that it showed, as before a rename.
fn copied_whole(upper: &Subject) -> Result<()> {
    let staged = upper.stage(New::Dir { opaque: false })?;
    upper.publish(staged, at(&root(upper), "full"), Over::Nothing, true)?;
    put(
        upper,
        at(&walk(upper, "full"), "a"),
        Over::Nothing,
        "upper a",
    )?;
    remove(upper, "full/sub", Over::Nothing, Leave::Whiteout)?;
    upper.set_opaque(&walk(upper, "full"))
}

const CASES: &[Case] = &[
    Case {
        name: "create a file",
        given: nothing,
        when: |upper| {
            let made = upper.create(New::File, at(&root(upper), "new"), Over::Nothing);
            made.map(drop)
        },
    },
    Case {
        name: "create a file over a whiteout",
        given: |upper| remove(upper, "file", Over::Nothing, Leave::Whiteout),
        when: |upper| {
            let made = upper.create(New::File, at(&root(upper), "file"), Over::Whiteout);
            made.map(drop)
        },
    },
    Case {
        name: "create a link over a whiteout",
        given: |upper| remove(upper, "full", Over::Nothing, Leave::Whiteout),
        when: |upper| {
            let new = New::Symlink(b"target");
            let made = upper.create(new, at(&root(upper), "full"), Over::Whiteout);
            made.map(drop)
        },
    },
    Case {
        name: "create a directory over a whiteout",
        given: |upper| remove(upper, "full", Over::Nothing, Leave::Whiteout),
        when: |upper| {
            let new = New::Dir { opaque: false };
            let made = upper.create(new, at(&root(upper), "full"), Over::Whiteout);
            made.map(drop)
        },
    },
    Case {
        name: "publish a directory where the lower has a file",
        given: nothing,
        when: |upper| {
            let staged = upper.stage(New::Dir { opaque: true })?;
            let made = upper.publish(staged, at(&root(upper), "file"), Over::Nothing, false);
            made.map(drop)
        },
    },
    Case {
        name: "publish a directory over an emptied one",
        given: emptied,
        when: |upper| {
            let staged = upper.stage(New::Dir { opaque: true })?;
            let made = upper.publish(staged, at(&root(upper), "full"), Over::EmptyDir, false);
            made.map(drop)
        },
    },
    Case {
        name: "copy up a file",
        given: nothing,
        when: |upper| put(upper, at(&root(upper), "file"), Over::Nothing, "lower file"),
    },
    Case {
        name: "publish a file over a whiteout",
        given: |upper| remove(upper, "file", Over::Nothing, Leave::Whiteout),
        when: |upper| put(upper, at(&root(upper), "file"), Over::Whiteout, "upper"),
    },
    Case {
        name: "remove a file that only the lower has",
        given: nothing,
        when: |upper| remove(upper, "file", Over::Nothing, Leave::Whiteout),
    },
    Case {
        name: "remove a file that both have",
        given: |upper| put(upper, at(&root(upper), "file"), Over::Nothing, "upper"),
        when: |upper| remove(upper, "file", Over::File, Leave::Whiteout),
    },
    Case {
        name: "remove a file that only the upper has",
        given: |upper| put(upper, at(&root(upper), "new"), Over::Nothing, "upper"),
        when: |upper| remove(upper, "new", Over::File, Leave::Nothing),
    },
    Case {
        name: "remove a directory that was emptied",
        given: emptied,
        when: |upper| remove(upper, "full", Over::EmptyDir, Leave::Whiteout),
    },
    Case {
        name: "remove an opaque directory of the upper alone",
        given: |upper| {
            let new = New::Dir { opaque: true };
            let made = upper.create(new, at(&root(upper), "made"), Over::Nothing);
            made.map(drop)
        },
        when: |upper| remove(upper, "made", Over::EmptyDir, Leave::Nothing),
    },
    Case {
        name: "rename a file that both have onto a file of the lower",
        given: |upper| put(upper, at(&root(upper), "file"), Over::Nothing, "upper"),
        when: |upper| {
            let dir = root(upper);
            upper.rename(
                at(&dir, "file"),
                at(&dir, "other"),
                Over::Nothing,
                Leave::Whiteout,
            )
        },
    },
    Case {
        name: "rename a file onto a whiteout",
        given: |upper| {
            put(upper, at(&root(upper), "file"), Over::Nothing, "upper")?;
            remove(upper, "other", Over::Nothing, Leave::Whiteout)
        },
        when: |upper| {
            let dir = root(upper);
            upper.rename(
                at(&dir, "file"),
                at(&dir, "other"),
                Over::Whiteout,
                Leave::Whiteout,
            )
        },
    },
    Case {
        name: "rename a file onto a file of the upper",
        given: |upper| {
            put(upper, at(&root(upper), "file"), Over::Nothing, "upper")?;
            put(upper, at(&root(upper), "other"), Over::Nothing, "upper too")
        },
        when: |upper| {
            let dir = root(upper);
            upper.rename(
                at(&dir, "file"),
                at(&dir, "other"),
                Over::File,
                Leave::Whiteout,
            )
        },
    },
    Case {
        name: "rename a directory onto one that was emptied",
        given: a_directory_and_an_empty_one,
        when: |upper| {
            let dir = root(upper);
            let to = at(&dir, "full");
            upper.rename(at(&dir, "made"), to, Over::EmptyDir, Leave::Nothing)
        },
    },
    Case {
        name: "rename a directory onto a whiteout",
        given: |upper| {
            a_directory_and_an_empty_one(upper)?;
            remove(upper, "full", Over::EmptyDir, Leave::Whiteout)
        },
        when: |upper| {
            let dir = root(upper);
            upper.rename(
                at(&dir, "made"),
                at(&dir, "full"),
                Over::Whiteout,
                Leave::Nothing,
            )
        },
    },
    Case {
        name: "rename a directory that both have",
        given: copied_whole,
        when: |upper| {
            let dir = root(upper);
            upper.rename(
                at(&dir, "full"),
                at(&dir, "moved"),
                Over::Nothing,
                Leave::Whiteout,
            )
        },
    },
    Case {
        name: "link over a whiteout",
        given: |upper| {
            put(upper, at(&root(upper), "new"), Over::Nothing, "upper")?;
            remove(upper, "file", Over::Nothing, Leave::Whiteout)
        },
        when: |upper| {
            let dir = root(upper);
            upper.link(at(&dir, "new"), at(&dir, "file"), Over::Whiteout)
        },
    },
    Case {
        name: "set opaque",
        given: |upper| {
            let staged = upper.stage(New::Dir { opaque: false })?;
            let made = upper.publish(staged, at(&root(upper), "full"), Over::Nothing, true);
            made.map(drop)
        },
        when: |upper| upper.set_opaque(&walk(upper, "full")),
    },
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
    /// A mounted upper after `case.given`.
    fn new(mode: Mode, case: &Case) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let upper = mode.upper(Faulty::new(host(temp.path()), &faults));
        upper.mount(Durability::Durable).unwrap();
        (case.given)(&upper).unwrap();
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
        assert_eq!(unsteady(path), Vec::<String>::new());
        assert_eq!(has_folder(path), self.mode == Mode::Mounted);
    }
}

/// Mounts the upper again, checks it, and returns what it shows.
fn remount(mode: Mode, path: &Path, lower: &Marked<HostDir>) -> View {
    if mode == Mode::OnDemand && !has_folder(path) {
        let unsteady = unsteady(path);
        assert!(unsteady.is_empty(), "no mount will repair {unsteady:?}");
    }
    let upper = mode.upper(host(path));
    upper.mount(Durability::Durable).unwrap();
    let seen = view(&upper, lower);
    assert_eq!(unsteady(path), Vec::<String>::new());
    assert_eq!(has_folder(path), mode == Mode::Mounted);
    upper.unmount().unwrap();
    assert!(!has_folder(path));
    assert_eq!(view(&Marked::lower(host(path)), lower), seen);
    seen
}

fn has_folder(path: &Path) -> bool {
    path.join(".wh..wh.work").exists()
}

/// Entries that have a whiteout beside them, and staged files.
fn unsteady(path: &Path) -> Vec<String> {
    let names = raw(path);
    let is_unsteady = |name: &&String| {
        let (parent, text) = name.rsplit_once('/').unwrap_or(("", name));
        let whiteout = Path::new(parent).join(format!(".wh.{text}"));
        name.starts_with(".wh..wh.work/") || names.contains(whiteout.to_str().unwrap())
    };
    names.iter().filter(is_unsteady).cloned().collect()
}

/// The visible tree before and after the call.
fn expected(mode: Mode, case: &Case, lower: &Marked<HostDir>) -> (View, View) {
    let run = Run::new(mode, case);
    let before = view(&run.upper, lower);
    (case.when)(&run.upper).unwrap();
    let after = view(&run.upper, lower);
    run.assert_between_calls();
    (before, after)
}

fn cut(mode: Mode) {
    let (_temp, lower) = lower();
    for case in CASES {
        let (before, after) = expected(mode, case, &lower);
        let mut steps = 0;
        while steps < MANY {
            let run = Run::new(mode, case);
            run.faults.cut_after(steps);
            let called = (case.when)(&run.upper);
            let whole = run.faults.changes() <= steps;
            let path = run.temp.path().to_owned();
            drop(run.upper);
            let seen = remount(mode, &path, &lower);
            if called.is_ok() {
                assert_eq!(seen, after, "{}, {steps} steps: lost", case.name);
            } else {
                assert!(
                    seen == before || seen == after,
                    "{}, {steps} steps: {seen:#?} is neither {before:#?} nor {after:#?}",
                    case.name
                );
            }
            if whole {
                break;
            }
            steps += 1;
        }
        assert!(steps > 0 && steps < MANY, "{}", case.name);
    }
}

#[test]
fn an_interrupted_call_shows_the_tree_before_or_after() {
    cut(Mode::Mounted);
}

#[test]
fn an_interrupted_call_leaves_the_folder_on_demand() {
    cut(Mode::OnDemand);
}

/// `unmounts` says whether the upper is unmounted.
fn falter(mode: Mode, unmounts: bool) {
    let (_temp, lower) = lower();
    for case in CASES {
        let (before, after) = expected(mode, case, &lower);
        for step in 0..MANY {
            let run = Run::new(mode, case);
            run.faults.fail_at(step);
            let called = (case.when)(&run.upper);
            let whole = run.faults.changes() <= step;
            run.faults.never();
            let seen = view(&run.upper, &lower);
            let wanted = if called.is_ok() { &after } else { &before };
            assert_eq!(&seen, wanted, "{}, step {step}: {called:?}", case.name);
            let path = run.temp.path().to_owned();
            let seen = if unmounts {
                run.upper.unmount().unwrap();
                assert_eq!(unsteady(&path), Vec::<String>::new());
                assert!(!has_folder(&path));
                view(&Marked::lower(host(&path)), &lower)
            } else {
                drop(run.upper);
                remount(mode, &path, &lower)
            };
            assert_eq!(&seen, wanted, "{}, step {step}", case.name);
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
        falter(mode, true);
    }
}

#[test]
fn the_next_mount_repairs_what_a_failed_step_left() {
    falter(Mode::OnDemand, false);
}

#[test]
fn an_interrupted_mount_can_be_repeated() {
    for mode in MODES {
        cut_mount(mode);
    }
}

fn cut_mount(mode: Mode) {
    let (_temp, lower) = lower();
    let given = |path: &Path| {
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
        given(temp.path());
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
