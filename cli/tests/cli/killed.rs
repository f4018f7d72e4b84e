//! Crash test: kills runs at arbitrary points and checks their uppers.
//!
//! The guest makes the same calls on one name after another, and may be killed between any two system calls.
//! The next mount must show the tree as it was between two calls of the guest: each call is done or not
//! done, and no call is done after one that is not.
//!
//! The environment variable `KILLS` sets the number of runs, 30 by default.

use crate::support::TestDir;
use crate::wat;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use wasi_overlay::engine::{Dir, Kind, Lower, OpenHow, Opened, Overlay};

/// Number of names that the guest changes.
const NAMES: usize = 300;

/// Number of calls on each name whose effect is checked.
const CALLS: usize = 7;

const WRITTEN: &str = "written under another name, then renamed\n";

fn lower_content(number: usize) -> String {
    format!("{number:03} of the lower\n").repeat(400)
}

fn write_lower(temp: &TestDir) {
    for dir in ["s", "e", "m"] {
        fs::create_dir_all(temp.path("base").join(dir)).unwrap();
    }
    for number in 0..NAMES {
        for dir in ["t", "r", "u", "w"] {
            temp.file(&format!("base/{dir}/{number:03}"), lower_content(number));
        }
        for inner in ["one", "deep/two"] {
            temp.file(&format!("base/d/{number:03}/{inner}"), inner);
        }
    }
}

/// The address of the path `X/NNN` in the guest's memory.
fn path_address(dir: char) -> u32 {
    1024 + 32 * (u32::from(dir) - u32::from('a'))
}

/// A guest that makes the same calls on one name after another.
fn guest() -> String {
    const NEW: u32 = 512;
    const TEXT: u32 = 2048;
    let dirs = ['t', 'r', 's', 'd', 'e', 'u', 'w', 'm'];
    let mut body = format!(
        "(local $n i32)
        (i32.store (i32.const 0) (i32.const {TEXT}))
        (i32.store (i32.const 4) (i32.const {}))
        (loop $next\n",
        WRITTEN.len()
    );
    for (digit, divisor) in [(2, 100), (3, 10), (4, 1)] {
        for dir in dirs {
            writeln!(
                body,
                "(i32.store8 (i32.const {at}) (i32.add (i32.const 48) (i32.rem_u (i32.div_u \
                 (local.get $n) (i32.const {divisor})) (i32.const 10))))",
                at = path_address(dir) + digit
            )
            .unwrap();
        }
    }
    let mut call = |text: String| writeln!(body, "(call $check (call {text}))").unwrap();
    let named = |dir| {
        format!(
            "(i32.const 3) (i32.const {}) (i32.const 5)",
            path_address(dir)
        )
    };
    let open = |at: u32, length: u32, flags: u32| {
        format!(
            "$path_open (i32.const 3) (i32.const 0) (i32.const {at}) (i32.const {length}) \
             (i32.const {flags}) (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 16)"
        )
    };
    let close = "$fd_close (i32.load (i32.const 16))";
    // Truncates a file of the lower.
    call(open(path_address('t'), 5, 8));
    call(close.into());
    call(format!("$path_rename {} {}", named('r'), named('s')));
    call(format!("$path_rename {} {}", named('d'), named('e')));
    call(format!("$path_unlink_file {}", named('u')));
    call(open(NEW, 3, 9));
    call("$fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)".into());
    call(close.into());
    let new = format!("(i32.const 3) (i32.const {NEW}) (i32.const 3)");
    call(format!("$path_rename {new} {}", named('w')));
    call(format!("$path_create_directory {}", named('m')));
    // Creates a directory in place of the removed file.
    call(format!("$path_create_directory {}", named('u')));
    writeln!(
        body,
        "(local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $n) (i32.const {NAMES}))))"
    )
    .unwrap();
    let paths: Vec<_> = dirs
        .map(|dir| (path_address(dir), format!("{dir}/000")))
        .into();
    let mut data = vec![(NEW, "new"), (TEXT, WRITTEN)];
    data.extend(paths.iter().map(|(at, path)| (*at, path.as_str())));
    wat::module(&data, &body)
}

fn open_dir(path: &Path) -> cap_std::fs::Dir {
    cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap()
}

/// The content of a path.
#[derive(Debug, PartialEq)]
enum Seen {
    Nothing,
    File(String),
    Dir(Vec<(String, Seen)>),
}

fn read_tree(root: &Dir, path: &str) -> Seen {
    match root.stat_at(path, false) {
        Err(error) if error.is_not_found() => return Seen::Nothing,
        Err(error) => panic!("{path}: {error}"),
        Ok(stat) => assert!(matches!(stat.kind, Kind::File | Kind::Dir), "{path}"),
    }
    match root.open_at(path, OpenHow::default()).unwrap() {
        Opened::File(file) => {
            let mut data = vec![0; 1 << 16];
            let length = file.read_at(&mut data, 0).unwrap();
            data.truncate(length);
            Seen::File(String::from_utf8_lossy(&data).into_owned())
        }
        Opened::Dir(dir) => {
            let listing = dir.list().unwrap();
            let names = listing.iter().map(|entry| entry.name.to_string());
            let mut all: Vec<_> = names
                .map(|name| (name.clone(), read_tree(&dir, &name)))
                .collect();
            all.sort_by(|one, two| one.0.cmp(&two.0));
            Seen::Dir(all)
        }
    }
}

/// Which calls on a name are done. Panics if one is half done.
fn calls_done(root: &Dir, number: usize) -> [bool; CALLS] {
    let at = |dir: char| read_tree(root, &format!("{dir}/{number:03}"));
    let file = |text: &str| Seen::File(text.to_owned());
    let (lower, empty) = (file(&lower_content(number)), Seen::Dir(Vec::new()));
    let inner = |name: &str, text: &str| (name.to_owned(), file(text));
    let full = || {
        let deep = Seen::Dir(vec![inner("two", "deep/two")]);
        Seen::Dir(vec![("deep".to_owned(), deep), inner("one", "one")])
    };
    let one_of = |what: &str, seen: &[Seen], before: &[Seen], after: &[Seen]| {
        let is_after = seen == after;
        assert!(
            is_after || seen == before,
            "{number:03}: {what} is half done: {seen:?}"
        );
        is_after
    };
    let nothing = || Seen::Nothing;
    let layer = || file(&lower_content(number));
    let removed = at('u');
    let recreated = removed == empty;
    let unlinked = recreated || removed == Seen::Nothing;
    assert!(
        unlinked || removed == lower,
        "{number:03}: unlink: {removed:?}"
    );
    [
        one_of("truncate", &[at('t')], &[layer()], &[file("")]),
        one_of(
            "rename of a file",
            &[at('r'), at('s')],
            &[layer(), nothing()],
            &[nothing(), layer()],
        ),
        one_of(
            "rename of a directory",
            &[at('d'), at('e')],
            &[full(), nothing()],
            &[nothing(), full()],
        ),
        unlinked,
        one_of(
            "rename onto a file",
            &[at('w')],
            &[layer()],
            &[file(WRITTEN)],
        ),
        one_of("mkdir", &[at('m')], &[nothing()], &[Seen::Dir(Vec::new())]),
        recreated,
    ]
}

/// Mounts the upper of a killed run, checks it, and returns how many calls are done.
fn check_upper(temp: &TestDir, upper: &str) -> usize {
    let lower = Lower::dir("base", open_dir(&temp.path("base"))).unwrap();
    let overlay = Overlay::builder()
        .lower(lower)
        .upper_dir("upper", open_dir(&temp.path(upper)))
        .build()
        .unwrap();
    let root = overlay.root();
    let calls: Vec<_> = (0..NAMES)
        .flat_map(|number| calls_done(&root, number))
        .collect();
    let count = calls.iter().take_while(|done| **done).count();
    let later = calls[count..].iter().position(|done| *done);
    assert_eq!(later, None, "call {count} is not done, but a later one is");
    overlay.close().unwrap();
    let tree = temp.tree(upper);
    for path in &tree {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let whiteout = Path::new(dir).join(format!(".wh.{name}"));
        assert!(
            !tree.contains(&whiteout.to_str().unwrap().to_owned()),
            "{path} has a whiteout beside it"
        );
        assert_ne!(path, ".wh..wh.work", "the work folder is left");
    }
    count
}

#[test]
fn killed_run_leaves_each_call_done_or_not_done() {
    let kills = std::env::var("KILLS").map_or(30, |kills| kills.parse().unwrap());
    let temp = TestDir::new();
    write_lower(&temp);
    temp.file("guest.wat", guest());
    let (mut calls, mut unfinished, mut staged_files) = (0, 0, 0);
    for kill in 0..kills {
        let upper = format!("up{kill}");
        fs::create_dir(temp.path(&upper)).unwrap();
        let args = ["--layer", "base", "--upper", &upper, "guest.wat"];
        let mut run = temp.command(args).spawn().unwrap();
        let started = Instant::now();
        while !temp.path(&upper).join("t").exists() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "it does not start"
            );
            sleep(Duration::from_millis(1));
        }
        // The delays are spread, and the machine adds its own variation.
        sleep(Duration::from_micros(kill * 37_199 % 400_000));
        run.kill().unwrap();
        run.wait().unwrap();
        let staged = fs::read_dir(temp.path(&upper).join(".wh..wh.work"));
        staged_files += usize::from(staged.is_ok_and(|mut staged| staged.next().is_some()));
        let count = check_upper(&temp, &upper);
        unfinished += usize::from(count < NAMES * CALLS);
        calls += count;
        fs::remove_dir_all(temp.path(&upper)).unwrap();
    }
    println!(
        "{kills} kills, {unfinished} before the end, {staged_files} with staged files, {calls} calls"
    );
    assert!(unfinished * 2 > kills as usize, "most runs had finished");
}
