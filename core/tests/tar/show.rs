//! Trees as text, to compare layers.

use std::fmt::Write;
use std::ops::ControlFlow;
use wasi_overlay_core::layer::{Found, Layer, Listed, ReadAt};
use wasi_overlay_core::{Kind, Meta, Name};

/// What of a file is shown besides its path and type.
#[derive(Clone, Copy)]
pub(crate) struct Show {
    pub(crate) modes: bool,
    pub(crate) times: bool,
}

/// The shortest form: paths, types, sizes or targets, whiteouts.
pub(crate) const SHORT: Show = Show {
    modes: false,
    times: false,
};

/// All that an unpacked tree has too.
pub(crate) const FULL: Show = Show {
    modes: true,
    times: true,
};

/// One line for each name in a layer, sorted by path.
pub(crate) fn tree<L: Layer>(layer: &L, show: Show) -> Vec<String> {
    let root = layer.root().unwrap();
    let mut lines = Vec::new();
    let own = layer.dir_meta(&root).unwrap();
    let mut line = ".".to_owned();
    describe(&mut line, &own, layer.is_opaque(&root).unwrap(), show);
    if show.modes {
        lines.push(line);
    }
    let mut dirs = vec![(String::new(), root)];
    while let Some((path, dir)) = dirs.pop() {
        let mut names = Vec::new();
        let listed = layer.list(&dir, &mut |name, listed| {
            names.push((name.to_owned(), listed));
            ControlFlow::Continue(())
        });
        listed.unwrap();
        for (name, listed) in names {
            let name = name.as_name();
            let path = format!("{path}{name}");
            lines.push(line_of(layer, &dir, name, listed, &path, show));
            if let Listed::Here {
                kind: Kind::Dir, ..
            } = listed
            {
                dirs.push((format!("{path}/"), layer.open_dir(&dir, name).unwrap()));
            }
        }
    }
    lines.sort();
    lines
}

fn line_of<L: Layer>(
    layer: &L,
    dir: &L::Dir,
    name: Name<'_>,
    listed: Listed,
    path: &str,
    show: Show,
) -> String {
    let mut line = path.to_owned();
    let (meta, opaque) = match layer.find(dir, name).unwrap() {
        Found::Absent => panic!("{path} is listed but not found"),
        Found::Hidden => {
            assert_eq!(listed, Listed::Hidden, "{path}");
            return line + " hidden";
        }
        Found::Here { meta, opaque } => (meta, opaque),
    };
    let Listed::Here { kind, inode } = listed else {
        panic!("{path} is found but listed as hidden");
    };
    assert_eq!(kind, meta.kind, "{path}");
    assert_eq!(inode, meta.inode, "{path}");
    describe(&mut line, &meta, opaque, show);
    match meta.kind {
        Kind::File => {
            let file = layer.open_file(dir, name).unwrap();
            assert_eq!(file.meta().unwrap().size, meta.size);
            write!(line, " {}", data(&file)).unwrap();
        }
        Kind::Symlink => {
            let target = layer.read_link(dir, name).unwrap();
            assert_eq!(target.len() as u64, meta.size);
            write!(line, " -> {}", target.escape_ascii()).unwrap();
        }
        _ => {}
    }
    let mut attributes = layer.xattrs(dir, Some(name)).unwrap();
    attributes.sort();
    for attribute in attributes {
        let value = layer.xattr(dir, Some(name), &attribute).unwrap().unwrap();
        let (attribute, value) = (attribute.escape_ascii(), value.escape_ascii());
        write!(line, " {attribute}={value}").unwrap();
    }
    line
}

fn describe(line: &mut String, meta: &Meta, opaque: bool, show: Show) {
    write!(line, " {:?}", meta.kind).unwrap();
    if opaque {
        line.push_str(" opaque");
    }
    if meta.implied {
        line.push_str(" implied");
    }
    if show.modes {
        let (mode, owner) = (
            meta.mode.unwrap_or_default(),
            meta.owner.unwrap_or_default(),
        );
        write!(line, " {mode:04o} {}:{}", owner.0, owner.1).unwrap();
        if meta.kind != Kind::Dir {
            write!(line, " links {}", meta.links).unwrap();
        }
        if meta.rdev != 0 {
            write!(line, " device {:x}", meta.rdev).unwrap();
        }
    }
    if show.times {
        let time = meta.modified;
        write!(line, " {}.{:09}", time.seconds, time.nanoseconds).unwrap();
    }
}

/// The data of a file: all of it if it is short, else its length and a sum. Reads in odd sizes and checks
/// that holes are zeroes.
fn data(file: &impl ReadAt) -> String {
    let size = file.meta().unwrap().size;
    let mut all = Vec::new();
    while (all.len() as u64) < size {
        let piece = file.read_vec_at(70_001, all.len() as u64).unwrap();
        assert!(!piece.is_empty(), "no data before the end");
        all.extend(piece);
    }
    assert!(file.read_vec_at(1, size).unwrap().is_empty());
    let mut again = vec![0; all.len()];
    let mut offset = 0;
    while let Some(range) = file.next_data(offset).unwrap() {
        offset = range.start;
        while offset < range.end {
            let into = &mut again[offset as usize..range.end as usize];
            let read = file.read_at(into, offset).unwrap();
            offset += read as u64;
        }
    }
    assert!(all == again, "holes are not zeroes");
    if all.len() <= 32 {
        format!("\"{}\"", all.escape_ascii())
    } else {
        let sum = all
            .iter()
            .fold(0_u64, |sum, byte| sum.rotate_left(7) ^ u64::from(*byte));
        format!("{} bytes {sum:x}", all.len())
    }
}
