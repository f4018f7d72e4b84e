//! A tree as lines of text, and which of its names are one file.

use crate::outcome;
use std::collections::BTreeMap;
use wasi_overlay_core::{Dir, Identity, Kind, OpenHow, Opened, Result};

/// The root, and every name below it with its metadata, data and target. An entry that cannot be read has
/// its error code instead.
pub fn tree(root: &Dir) -> Vec<String> {
    let stat = root.stat().map(|stat| outcome::stat(&stat));
    let mut lines = vec![format!(". {}", outcome::text(stat))];
    walk(root, &mut |path, dir, name, stat_line| {
        let more = outcome::text(match stat_line.1 {
            Kind::Symlink => dir.readlink_at(name),
            Kind::Dir => open(dir, name).and_then(|opened| match opened {
                Opened::Dir(dir) => outcome::names(&dir),
                Opened::File(_) => Ok("a file".to_owned()),
            }),
            _ => open(dir, name).and_then(|opened| match opened {
                Opened::File(file) => outcome::data(&file),
                Opened::Dir(_) => Ok("a directory".to_owned()),
            }),
        });
        lines.push(format!("{path} {} {more}", stat_line.0));
    });
    lines.sort();
    lines
}

fn open(dir: &Dir, name: &str) -> Result<Opened> {
    dir.open_at(name, OpenHow::default())
}

/// The identity of every name below `root`.
pub fn identities(root: &Dir) -> BTreeMap<String, Identity> {
    let mut found = BTreeMap::new();
    walk(root, &mut |path, dir, name, _| {
        if let Ok(identity) = dir.identity_at(name, false) {
            found.insert(path.to_owned(), identity);
        }
    });
    found
}

type Visit<'a> = dyn FnMut(&str, &Dir, &str, (String, Kind)) + 'a;

fn walk(root: &Dir, visit: &mut Visit<'_>) {
    let mut open_dirs = vec![(String::new(), root.clone())];
    while let Some((path, dir)) = open_dirs.pop() {
        let Ok(listing) = dir.list() else {
            visit(&path, &dir, ".", ("cannot be listed".to_owned(), Kind::Dir));
            continue;
        };
        for entry in listing.iter() {
            let name = entry.name.to_string();
            let path = format!("{path}/{name}");
            match dir.stat_at(&name, false) {
                Ok(stat) => visit(&path, &dir, &name, (outcome::stat(&stat), stat.kind)),
                Err(error) => {
                    let line = format!("listed, and {:?}", error.errno());
                    visit(&path, &dir, &name, (line, entry.kind));
                }
            }
            if entry.kind == Kind::Dir
                && let Ok(Opened::Dir(dir)) = open(&dir, &name)
            {
                open_dirs.push((path, dir));
            }
        }
    }
}
