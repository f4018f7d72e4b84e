//! Tests of whiteouts on real directories.

mod cut;
mod lower;
mod upper;
mod work;

use crate::error::Result;
use crate::layer::{At, Durability, Found, Layer, Leave, Listed, New, Over, ReadAt, Upper};
use crate::meta::Kind;
use crate::name::Name;
use crate::plain::HostDir;
use crate::whiteouts::{Marked, MarkedUpper};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

fn host(path: &Path) -> HostDir {
    let dir = cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority());
    HostDir::new(dir.unwrap(), "the layer")
}

fn name(name: &str) -> Name<'_> {
    Name::new(name.as_bytes()).unwrap()
}

fn at<'a, D>(dir: &'a D, text: &'a str) -> At<'a, D> {
    At::new(dir, name(text))
}

/// The directory at `path`, names between slashes.
fn walk<L: Layer>(layer: &L, path: &str) -> L::Dir {
    let mut dir = layer.root().unwrap();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        dir = layer.open_dir(&dir, name(part)).unwrap();
    }
    dir
}

/// Every path below a directory on disk.
fn paths_on_disk(path: &Path) -> BTreeSet<String> {
    fn visit(top: &Path, path: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            found.insert(path.strip_prefix(top).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                visit(top, &path, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    visit(path, path, &mut found);
    found
}

/// The merged tree of an upper and a lower: contents by path.
type View = BTreeMap<String, String>;

/// Merges an upper with a lower without whiteouts.
fn view<U: Layer, L: Layer>(upper: &U, lower: &L) -> View {
    let mut found = View::new();
    let lower_root = lower.root().unwrap();
    merge(
        upper,
        &upper.root().unwrap(),
        lower,
        Some(&lower_root),
        "",
        &mut found,
    );
    found
}

fn merge<U: Layer, L: Layer>(
    upper: &U,
    upper_dir: &U::Dir,
    lower: &L,
    lower_dir: Option<&L::Dir>,
    path: &str,
    found: &mut View,
) {
    let mut names: BTreeSet<String> = listed(upper, upper_dir).into_keys().collect();
    if let Some(dir) = lower_dir {
        names.extend(listed(lower, dir).into_keys());
    }
    for text in names {
        let path = format!("{path}{text}");
        let below = match lower_dir {
            Some(dir) => lower.find(dir, name(&text)).unwrap(),
            None => Found::Absent,
        };
        match upper.find(upper_dir, name(&text)).unwrap() {
            Found::Hidden => {}
            Found::Absent => {
                if let (Found::Here { meta, .. }, Some(dir)) = (below, lower_dir) {
                    alone(lower, dir, &text, meta.kind, &path, found);
                }
            }
            Found::Here { meta, opaque } if meta.kind == Kind::Dir => {
                let inner = upper.open_dir(upper_dir, name(&text)).unwrap();
                let merged = match below {
                    Found::Here { meta, .. } if meta.kind == Kind::Dir && !opaque => {
                        lower_dir.map(|dir| lower.open_dir(dir, name(&text)).unwrap())
                    }
                    _ => None,
                };
                found.insert(path.clone(), "directory".into());
                let path = format!("{path}/");
                merge(upper, &inner, lower, merged.as_ref(), &path, found);
            }
            Found::Here { meta, .. } => alone(upper, upper_dir, &text, meta.kind, &path, found),
        }
    }
}

/// An entry of one layer and everything below it.
fn alone<L: Layer>(layer: &L, dir: &L::Dir, text: &str, kind: Kind, path: &str, found: &mut View) {
    let content = match kind {
        Kind::Dir => {
            let inner = layer.open_dir(dir, name(text)).unwrap();
            for entry in listed(layer, &inner).into_keys() {
                if let Found::Here { meta, .. } = layer.find(&inner, name(&entry)).unwrap() {
                    let path = format!("{path}/{entry}");
                    alone(layer, &inner, &entry, meta.kind, &path, found);
                }
            }
            "directory".into()
        }
        Kind::Symlink => {
            let target = layer.read_link(dir, name(text)).unwrap();
            format!("-> {}", String::from_utf8_lossy(&target))
        }
        _ => {
            let file = layer.open_file(dir, name(text)).unwrap();
            let mut buffer = [0; 64];
            let length = file.read_at(&mut buffer, 0).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        }
    };
    found.insert(path.to_owned(), content);
}

/// The listing of a layer. An entry takes precedence over a whiteout of its name.
fn listed<L: Layer>(layer: &L, dir: &L::Dir) -> BTreeMap<String, Listed> {
    let mut names = BTreeMap::new();
    layer
        .list(dir, &mut |name, listed| {
            let entry = names.entry(name.to_string()).or_insert(listed);
            if matches!(listed, Listed::Here { .. }) {
                *entry = listed;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    names
}

/// Creates a file with `data` in an upper.
fn put<U: Upper>(upper: &U, to: At<'_, U::Dir>, over: Over, data: &str) -> Result<()> {
    let staged = upper.stage(New::File)?;
    upper
        .staged_file(&staged)
        .unwrap()
        .write_at(data.as_bytes(), 0)?;
    upper.publish(staged, to, over, false).map(drop)
}
