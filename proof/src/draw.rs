//! Random plans. Names are few, so that they collide.

use crate::choices::Choices;
use crate::layers::{Entry, Layer, What};
use crate::plan::Plan;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const TEXTS: [&str; 4] = ["one", "two-and-more", "3", "-"];

/// Slots that are used beside that of the root.
const HELD: usize = 4;

/// How large a plan is, and what may be in it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Most lower layers.
    pub layers: usize,
    /// Lines; fewer where the choices are used up before.
    pub lines: usize,
    /// About one line in so many says `remount`; 0 for none.
    pub remount_every: usize,
    /// About one line in so many says `rotate`; 0 for none.
    pub rotate_every: usize,
}

impl Plan {
    /// Draws a plan.
    pub fn draw(choices: &mut Choices<'_>, shape: Shape) -> Self {
        let mut plan = Self::default();
        for _ in 0..choices.next(shape.layers + 1) {
            plan.layers.push(draw_layer(choices));
        }
        for _ in 0..shape.lines {
            if choices.is_used_up() {
                break;
            }
            let line = if shape.rotate_every > 0 && choices.one_in(shape.rotate_every) {
                "rotate".to_owned()
            } else if shape.remount_every > 0 && choices.one_in(shape.remount_every) {
                "remount".to_owned()
            } else {
                draw_step(choices)
            };
            plan.lines.push(line);
        }
        plan
    }
}

fn draw_layer(choices: &mut Choices<'_>) -> Layer {
    let mut layer = Layer::default();
    for _ in 0..choices.next(14) {
        let mut path = choices.of(&NAMES).to_owned();
        for _ in 0..choices.of(&[0, 0, 1, 1, 2, 3]) {
            path += "/";
            path += choices.of(&NAMES);
        }
        let what = match choices.next(12) {
            0..=4 => What::File(text(choices).replace('-', "")),
            5..=6 => What::Dir { opaque: false },
            7 => What::Dir { opaque: true },
            8..=9 => What::Link(target(choices)),
            _ => What::Whiteout,
        };
        // What does not fit is left out.
        let _ = layer.push(Entry { path, what });
    }
    layer
}

/// The target of a link in a layer.
fn target(choices: &mut Choices<'_>) -> String {
    let path = path(choices);
    match path.as_str() {
        "-" => "a".to_owned(),
        path if path.starts_with('/') => path.trim_start_matches('/').to_owned() + ".",
        _ => path,
    }
}

fn text(choices: &mut Choices<'_>) -> &'static str {
    choices.of(&TEXTS)
}

/// A path; `-` is the empty one.
fn path(choices: &mut Choices<'_>) -> String {
    let mut path = String::new();
    for _ in 0..=choices.of(&[0, 0, 0, 1, 1, 2]) {
        path += match choices.next(60) {
            59 => "..",
            58 => ".",
            57 => "",
            at => NAMES[at % NAMES.len()],
        };
        path += "/";
    }
    if !choices.one_in(30) {
        while path.ends_with('/') {
            path.pop();
        }
    }
    if path.is_empty() {
        "-".to_owned()
    } else {
        path
    }
}

fn base(choices: &mut Choices<'_>) -> usize {
    match choices.one_in(4) {
        true => choices.next(HELD + 1),
        false => 0,
    }
}

/// Draws one step.
pub fn draw_step(choices: &mut Choices<'_>) -> String {
    let at = choices.next(42);
    let slot = |choices: &mut Choices<'_>| 1 + choices.next(HELD);
    match at {
        0..=8 => {
            let slot = slot(choices);
            format!(
                "open {slot} {} {} {}",
                base(choices),
                how(choices),
                path(choices)
            )
        }
        9 if choices.one_in(3) => format!("close {}", slot(choices)),
        9 => format!("list {}", base(choices)),
        10 => format!(
            "read {} {} {}",
            slot(choices),
            choices.next(10),
            choices.next(20)
        ),
        11 => format!(
            "write {} {} {}",
            slot(choices),
            choices.next(10),
            text(choices)
        ),
        12 => format!("append {} {}", slot(choices), text(choices)),
        13 => format!(
            "read-stream {} {} {}",
            slot(choices),
            choices.next(10),
            1 + choices.next(20)
        ),
        14 => format!(
            "write-stream {} {} {}",
            slot(choices),
            choices.next(10),
            text(choices)
        ),
        15 => format!("keep-input {} {}", slot(choices), choices.next(10)),
        16 => format!("read-kept {}", 1 + choices.next(6)),
        17 => format!("keep-output {} {}", slot(choices), choices.next(10)),
        18 => format!("write-kept {}", text(choices)),
        19 => format!("set-size {} {}", slot(choices), choices.next(20)),
        20 => format!("set-times {} {}", slot(choices), seconds(choices)),
        21 => {
            let (base, follow) = (base(choices), follow(choices));
            format!(
                "set-times-at {base} {follow} {} {}",
                path(choices),
                seconds(choices)
            )
        }
        22 => format!("sync {}", slot(choices)),
        23 => format!("stat {}", slot(choices)),
        24 => format!(
            "stat-at {} {} {}",
            base(choices),
            follow(choices),
            path(choices)
        ),
        25..=26 => format!("mkdir {} {}", base(choices), path(choices)),
        27..=28 => format!("rmdir {} {}", base(choices), path(choices)),
        29..=30 => format!("unlink {} {}", base(choices), path(choices)),
        31 => format!(
            "symlink {} {} {}",
            path(choices),
            base(choices),
            path(choices)
        ),
        32 => format!("readlink {} {}", base(choices), path(choices)),
        33..=34 => {
            let follow = if choices.one_in(16) { "-" } else { "n" };
            let (base, path, new) = (base(choices), path(choices), base(choices));
            format!("link {base} {follow} {path} {new} {}", self::path(choices))
        }
        35 => format!("is-same {} {}", slot(choices), choices.next(HELD + 1)),
        36 => {
            let (slot, base) = (slot(choices), base(choices));
            format!(
                "same-hash {slot} {base} {} {}",
                follow(choices),
                path(choices)
            )
        }
        _ => {
            let (base, path, new) = (base(choices), path(choices), base(choices));
            format!("rename {base} {path} {new} {}", self::path(choices))
        }
    }
}

fn seconds(choices: &mut Choices<'_>) -> usize {
    // Two choices, since one may be no more than a byte.
    1000 * choices.next(256) + choices.next(256)
}

fn follow(choices: &mut Choices<'_>) -> &'static str {
    match choices.one_in(3) {
        true => "n",
        false => "-",
    }
}

/// Flags to open with.
fn how(choices: &mut Choices<'_>) -> String {
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
        if choices.one_in(once_in) {
            how.push(letter);
        }
    }
    if !choices.one_in(6) {
        how.push('r');
    }
    if how.is_empty() { "-".to_owned() } else { how }
}
