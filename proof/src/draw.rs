//! Random plans. They use few names, so that the names collide.

use crate::choices::Choices;
use crate::layers::{Entry, Layer, What};
use crate::merged::Merged;
use crate::plan::{Line, Plan};
use crate::reference::{ROOT, Reference};
use crate::run::Runner;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// The longest name that a whiteout can hide.
const LONG: &str = "lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll";
/// A name beyond the limit of Linux.
const TOO_LONG: &str = "LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL";

const TEXTS: [&str; 4] = ["one", "two-and-more", "3", "-"];

/// The slots in use, without slot 0 for the root.
const HELD: usize = 5;

/// The size and contents of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The maximum number of lower layers.
    pub layers: usize,
    /// The number of lines; fewer if the choices are used up.
    pub lines: usize,
    /// About one line in this many is `remount`; 0 for none.
    pub remount_every: usize,
    /// About one line in this many is `rotate`; 0 for none.
    pub rotate_every: usize,
}

impl Plan {
    /// Draws a plan.
    pub fn draw(choices: &mut Choices<'_>, shape: Shape) -> Self {
        let mut plan = Self::default();
        for _ in 0..choices.next(shape.layers + 1) {
            plan.layers.push(draw_layer(choices));
        }
        let mut reference = Runner::on(Reference::new(&Merged::of(&plan.layers), true), ROOT);
        let mut paths = TreePaths::of(&reference.mount);
        for _ in 0..shape.lines {
            if choices.is_used_up() {
                break;
            }
            let line = if shape.rotate_every > 0 && choices.one_in(shape.rotate_every) {
                "rotate".to_owned()
            } else if shape.remount_every > 0 && choices.one_in(shape.remount_every) {
                "remount".to_owned()
            } else {
                paths.draw(choices)
            };
            match Line::parse(&line) {
                Some(Line::Step(step)) => {
                    reference.step(step);
                }
                Some(Line::Remount | Line::Rotate) | None => reference.restart(ROOT),
            }
            if !reference.mount.take_touched().is_empty() {
                paths = TreePaths::of(&reference.mount);
            }
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
        // Skips an entry that does not fit.
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
        path += match choices.next(64) {
            63 => "..",
            62 => ".",
            61 => "",
            60 => choices.of(&[".wh.a", ".wh..wh..opq", ".wh..wh.work", LONG, TOO_LONG]),
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
    if choices.one_in(4) {
        choices.next(HELD + 1)
    } else {
        0
    }
}

/// Draws one step, without knowledge of the tree.
pub fn draw_step(choices: &mut Choices<'_>) -> String {
    TreePaths::default().draw(choices)
}

/// The paths in the tree, so that most steps succeed.
#[derive(Debug, Default)]
struct TreePaths {
    dirs: Vec<String>,
    others: Vec<String>,
}

/// The file that a path should lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Any,
    Dir,
    Other,
    /// A name in a directory.
    Name,
}

impl TreePaths {
    fn of(tree: &Reference) -> Self {
        let mut paths = Self::default();
        for dir in tree.directories() {
            let path = tree.path(dir).unwrap_or_default();
            let slash = if path.is_empty() { "" } else { "/" };
            let names = tree.names(dir).filter(|(_, id)| !tree.is_dir(*id));
            let others = names.map(|(name, _)| format!("{path}{slash}{name}"));
            paths.others.extend(others);
            paths.dirs.push(path);
        }
        paths
    }

    /// A base and a path, usually to a file of the target kind.
    fn place(&self, choices: &mut Choices<'_>, target: Target) -> String {
        let blind = choices.one_in(3);
        let paths = match target {
            Target::Dir | Target::Name => &self.dirs,
            Target::Other => &self.others,
            Target::Any if choices.one_in(2) => &self.dirs,
            Target::Any => &self.others,
        };
        if blind || paths.is_empty() {
            return format!("{} {}", base(choices), path(choices));
        }
        let mut path = paths[choices.next(paths.len())].clone();
        if target == Target::Name {
            path = format!("{path}/{}", choices.of(&NAMES));
        }
        match path.trim_start_matches('/') {
            "" => "0 .".to_owned(),
            path => format!("0 {path}"),
        }
    }

    /// As [`place`](Self::place), with the flags of the call between them.
    fn place_with_flags(&self, choices: &mut Choices<'_>, target: Target, how: &str) -> String {
        let place = self.place(choices, target);
        place.replacen(' ', &format!(" {how} "), 1)
    }

    fn draw(&self, choices: &mut Choices<'_>) -> String {
        let at = choices.next(46);
        let slot = 1 + choices.next(HELD);
        match at {
            0..=4 => {
                let how = how(choices);
                format!(
                    "open {slot} {}",
                    self.place_with_flags(choices, Target::Any, &how)
                )
            }
            5..=7 => {
                let how = choices.of(&["c", "cw", "crw", "cx", "ct"]);
                let place = self.place_with_flags(choices, Target::Name, how);
                format!("open {slot} {place}")
            }
            8..=10 => {
                let how = choices.of(&["r", "w", "rw", "t", "rwt", "rwn"]);
                let place = self.place_with_flags(choices, Target::Other, how);
                format!("open {slot} {place}")
            }
            11 if choices.one_in(3) => format!("close {slot}"),
            11 => format!("list {}", base(choices)),
            12 => format!("read {slot} {} {}", offset(choices), choices.next(20)),
            13 => format!("write {slot} {} {}", offset(choices), text(choices)),
            14 => format!("append {slot} {}", text(choices)),
            15 => format!(
                "read-stream {slot} {} {}",
                offset(choices),
                1 + choices.next(20)
            ),
            16 => format!("write-stream {slot} {} {}", offset(choices), text(choices)),
            17 => format!("keep-input {slot} {}", offset(choices)),
            18 => format!("read-kept {}", 1 + choices.next(6)),
            19 => format!("keep-output {slot} {}", offset(choices)),
            20 => format!("write-kept {}", text(choices)),
            21 => format!("set-size {slot} {}", offset(choices)),
            22 => format!("set-times {slot} {}", seconds(choices)),
            23 => {
                let follow = follow(choices);
                format!(
                    "set-times-at {} {}",
                    self.place_with_flags(choices, Target::Any, follow),
                    seconds(choices)
                )
            }
            24 => format!("sync {slot}"),
            25 => format!("stat {slot}"),
            26 => {
                let follow = follow(choices);
                format!(
                    "stat-at {}",
                    self.place_with_flags(choices, Target::Any, follow)
                )
            }
            27..=28 => format!("mkdir {}", self.place(choices, Target::Name)),
            29..=30 => format!("rmdir {}", self.place(choices, Target::Dir)),
            31..=33 => format!("unlink {}", self.place(choices, Target::Other)),
            34 => format!(
                "symlink {} {}",
                path(choices),
                self.place(choices, Target::Name)
            ),
            35 => format!("readlink {}", self.place(choices, Target::Other)),
            36..=37 => {
                let follow = if choices.one_in(16) { "-" } else { "n" };
                let old = self.place(choices, Target::Other);
                let old = old.replacen(' ', &format!(" {follow} "), 1);
                format!("link {old} {}", self.place(choices, Target::Name))
            }
            38 => format!("is-same {slot} {}", choices.next(HELD + 1)),
            39 => {
                let follow = follow(choices);
                format!(
                    "same-hash {slot} {}",
                    self.place_with_flags(choices, Target::Any, follow)
                )
            }
            40 => {
                let old = self.place(choices, Target::Other);
                format!("rename {old} {}", self.place(choices, Target::Other))
            }
            41 => {
                let old = self.place(choices, Target::Dir);
                format!("rename {old} {}", self.place(choices, Target::Dir))
            }
            _ => {
                let old = self.place(choices, Target::Any);
                format!("rename {old} {}", self.place(choices, Target::Name))
            }
        }
    }
}

/// An offset in a file, rarely a large one.
fn offset(choices: &mut Choices<'_>) -> usize {
    if choices.one_in(50) {
        70_000
    } else {
        choices.next(20)
    }
}

fn seconds(choices: &mut Choices<'_>) -> usize {
    // Two choices, since one may be only a byte.
    1000 * choices.next(256) + choices.next(256)
}

fn follow(choices: &mut Choices<'_>) -> &'static str {
    if choices.one_in(3) { "n" } else { "-" }
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
