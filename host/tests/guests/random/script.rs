//! A generator of random script steps in the format of `guest-tests/script`.

use super::Random;

/// Few names, so that they collide.
pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// How many slots are used, apart from that of the root.
const HELD: usize = 4;

/// A path; it may be empty.
pub(super) fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for _ in 0..=[0, 0, 0, 1, 1, 2][random.next(6)] {
        path += match random.next(60) {
            0 => "..",
            1 => ".",
            2 => "",
            at => NAMES[at % NAMES.len()],
        };
        path += "/";
    }
    while path.ends_with('/') {
        path.pop();
    }
    path
}

pub(super) fn text(random: &mut Random) -> &'static str {
    ["one", "two-and-more", "3"][random.next(3)]
}

/// Draws one step.
pub(super) fn draw(random: &mut Random) -> String {
    let base = match random.next(4) {
        0 => random.next(HELD + 1),
        _ => 0,
    };
    let other = match random.next(4) {
        0 => random.next(HELD + 1),
        _ => 0,
    };
    let slot = 1 + random.next(HELD);
    let word = |path: String| {
        if path.is_empty() {
            "-".to_owned()
        } else {
            path
        }
    };
    let (mut path, new) = (word(path(random)), word(path(random)));
    let text = text(random);
    let offset = random.next(10);
    let seconds = random.next(1_000_000);
    let follow = if random.one_in(3) { "n" } else { "-" };
    if follow == "n" {
        // `file/.` is not a file, but wasmtime-wasi's lstat accepts it (p2_errors).
        while let Some(shorter) = path.strip_suffix("/.") {
            path = shorter.to_owned();
        }
    }
    let word = |path: String| {
        if path.is_empty() {
            "-".to_owned()
        } else {
            path
        }
    };
    let (path, new) = (word(path), word(new));
    match random.next(42) {
        0..=8 => format!("open {slot} {base} {} {path}", how(random)),
        9 if random.one_in(3) => format!("close {slot}"),
        9 => format!("list {base}"),
        10 => format!("read {slot} {offset} {}", random.next(20)),
        11 => format!("write {slot} {offset} {text}"),
        12 => format!("append {slot} {text}"),
        13 => format!("read-stream {slot} {offset} {}", 1 + random.next(20)),
        14 => format!("write-stream {slot} {offset} {text}"),
        15 => format!("keep-input {slot} {offset}"),
        16 => format!("read-kept {}", 1 + random.next(6)),
        17 => format!("keep-output {slot} {offset}"),
        18 => format!("write-kept {text}"),
        19 => format!("set-size {slot} {}", random.next(20)),
        20 => format!("set-times {slot} {seconds}"),
        21 => format!("set-times-at {base} {follow} {path} {seconds}"),
        22 => format!("sync {slot}"),
        23 => format!("stat {slot}"),
        24 => format!("stat-at {base} {follow} {path}"),
        25..=26 => format!("mkdir {base} {path}"),
        27..=28 => format!("rmdir {base} {path}"),
        29..=30 => format!("unlink {base} {path}"),
        31 => format!("symlink {new} {base} {path}"),
        32 => format!("readlink {base} {path}"),
        33 if random.one_in(8) => format!("link {base} - {path} {other} {new}"),
        33..=34 => format!("link {base} n {path} {other} {new}"),
        35 => format!("is-same {slot} {}", random.next(HELD + 1)),
        36 => format!("same-hash {slot} {base} {follow} {path}"),
        _ => format!("rename {base} {path} {other} {new}"),
    }
}

/// Flags for `open`.
fn how(random: &mut Random) -> String {
    let mut how = String::new();
    for (letter, once_in) in [
        ('c', 2),
        ('d', 8),
        ('x', 6),
        ('t', 6),
        ('w', 2),
        ('m', 8),
        ('n', 4),
    ] {
        if random.one_in(once_in) {
            how.push(letter);
        }
    }
    if !random.one_in(6) {
        how.push('r');
    }
    if how.is_empty() { "-".to_owned() } else { how }
}
