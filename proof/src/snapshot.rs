//! A tree as text, for comparison with the reference: the tree must be consistent.

use crate::kit::how;
use crate::mount::{Engine, Mount as _};
use crate::outcome;
use crate::run;
use std::collections::BTreeMap;
use wasi_overlay_core::{Dir, Kind, OpenHow, Opened, Stat};

/// Opens an existing file or directory for reading, without following a link.
pub const READ: OpenHow = how("rn");

/// Everything below `root`, one line for each path: the metadata, the data, and the first name of a file
/// with several names.
///
/// # Panics
/// If a listed file cannot be queried, or is of another kind than listed.
pub fn tree(root: &Dir) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut dirs = vec![(String::new(), root.clone())];
    let mut files = BTreeMap::new();
    while let Some((at, dir)) = dirs.pop() {
        let listing = dir.list().expect("a listing");
        for entry in listing.iter() {
            let name = entry.name.to_string();
            let path = format!("{at}{name}");
            let queried = dir.stat_and_identity_at(&name, false);
            let (stat, identity) = queried.expect("a listed name");
            assert_eq!(stat.kind, entry.kind, "{path} is listed as something else");
            let inode = entry.inode().expect("an inode number");
            assert_eq!(identity.lower, inode, "{path} is listed as another");
            let (line, inside) = node(&dir, &name, &stat);
            if let Some(inside) = inside {
                dirs.push((format!("{path}/"), inside));
            }
            if stat.kind != Kind::Dir && stat.links > 1 {
                let known = (identity.lower, identity.upper);
                files
                    .entry(known)
                    .or_insert_with(Vec::new)
                    .push(path.clone());
            }
            let before = lines.insert(path, line);
            assert_eq!(before, None, "{at}{name} is listed twice");
        }
    }
    for mut names in files.into_values() {
        names.sort();
        for name in &names {
            if let Some(line) = lines.get_mut(name) {
                *line += &format!(" is {}", names[0]);
            }
        }
    }
    lines
}

/// The metadata and contents of `name` in `dir`, and the handle of a directory.
pub fn node(dir: &Dir, name: &str, stat: &Stat) -> (String, Option<Dir>) {
    let mut line = run::shown(stat);
    let mut inside = None;
    match stat.kind {
        Kind::Symlink => {
            line += " -> ";
            line += &dir
                .readlink_at(name)
                .unwrap_or_else(|error| outcome::code(error.errno()));
        }
        Kind::File | Kind::Dir => match dir.open_at(name, READ) {
            Ok(Opened::File(file)) => {
                let data = Engine.read(&file, 0, stat.size + 1);
                let data = data.expect("what is open can be read");
                line += &format!(" {:?}", data.escape_ascii().to_string());
            }
            Ok(Opened::Dir(dir)) => inside = Some(dir),
            Err(error) => line += &outcome::code(error.errno()),
        },
        Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {}
    }
    (line, inside)
}

/// The differences of two trees, one line for each path; none if they are equal.
pub fn difference(
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Option<String> {
    let mut lines = Vec::new();
    for path in expected
        .keys()
        .chain(found.keys().filter(|path| !expected.contains_key(*path)))
    {
        let (one, other) = (expected.get(path), found.get(path));
        if one != other {
            let say = |line: Option<&String>| line.map_or("nothing", |line| line).to_owned();
            lines.push(format!(
                "{path}: expected {}, found {}",
                say(one),
                say(other)
            ));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}
