//! The fuzzer of whiteouts: layers with whiteouts of every form. The engine must merge them as the image spec
//! defines.

use crate::Choices;
use crate::kit::{capability, leftovers, scratch};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use wasi_overlay_core::{Dir, Kind, Lower, OpenHow, Opened, Overlay};

/// Names of entries.
const NAMES: [&str; 3] = ["a", "b", "c"];
const WHITEOUTS: [&str; 4] = [".wh.a", ".wh.b", ".wh.c", ".wh.nothing"];
const OPAQUE: &str = ".wh..wh..opq";
/// A reserved name of other tools, which hides nothing.
const RESERVED: &str = ".wh..wh.plnk";
/// The work folder, which shows that the last mount was interrupted and the upper needs repair.
const WORK: &str = ".wh..wh.work";
/// A malformed whiteout, which makes its directory unreadable.
const BROKEN: &str = ".wh.";

const MAX_LAYERS: usize = 3;
/// The maximum of entries in all layers together.
const MAX_ENTRIES: usize = 40;
const MAX_DEPTH: usize = 3;

/// A directory of one layer on disk.
type Folder = BTreeMap<&'static str, Entry>;

#[derive(Debug)]
enum Entry {
    File(String),
    Link,
    Folder(Folder),
}

/// A directory as a guest sees it: text for a file or link, a view for a directory.
#[derive(Debug, Default, PartialEq, Eq)]
struct View(BTreeMap<String, Result<String, View>>);

/// Mounts layers that `data` chooses.
///
/// # Panics
/// If the engine merges the layers otherwise, or refuses valid layers.
pub fn whiteouts(data: &[u8]) {
    let mut choices = Choices::of_bytes(data);
    let has_upper = choices.next(2) == 1;
    let layers = draw(&mut choices, has_upper);
    let temp = scratch();
    let paths: Vec<_> = (0..layers.len())
        .map(|index| temp.path().join(index.to_string()))
        .collect();
    for (path, layer) in paths.iter().zip(&layers) {
        write(path, layer);
    }

    let from_top: Vec<_> = layers.iter().rev().collect();
    let is_broken = layers.iter().any(|layer| contains(layer, BROKEN));
    let expected = merge(&until_opaque(from_top));
    if has_upper {
        let (upper, lowers) = paths.split_last().expect("there is a layer");
        let was_cut = choices.next(2) == 1;
        if was_cut {
            fs::create_dir(upper.join(WORK)).expect("a folder");
        }
        let built = stack(lowers).upper_dir("upper", capability(upper)).build();
        if is_broken && built.is_err() {
            return;
        }
        let overlay = built.expect("an upper that is not broken");
        if !is_broken {
            assert_eq!(
                view_of(&overlay.root()),
                expected,
                "with an upper: {layers:#?}"
            );
        }
        overlay.close().expect("a clean end");
        let leftovers = leftovers(upper);
        assert!(
            leftovers.is_empty() || !was_cut,
            "not the steady state: {leftovers:?} of {layers:#?}"
        );
    }
    if !is_broken {
        let overlay = stack(&paths).build().expect("layers that are not broken");
        assert_eq!(
            view_of(&overlay.root()),
            expected,
            "layers alone: {layers:#?}"
        );
    }
}

fn draw(choices: &mut Choices<'_>, has_upper: bool) -> Vec<Folder> {
    let mut layers: Vec<Folder> = Vec::new();
    layers.resize_with(1 + choices.next(MAX_LAYERS), Folder::new);
    let top = layers.len() - 1;
    for _ in 0..MAX_ENTRIES {
        if choices.is_used_up() {
            break;
        }
        let index = choices.next(layers.len());
        let path: Vec<_> = (0..choices.next(MAX_DEPTH))
            .map(|_| choices.of(&NAMES))
            .collect();
        let (name, entry) = match choices.next(16) {
            0..=3 => (choices.of(&NAMES), Entry::Folder(Folder::new())),
            4..=6 => {
                let text = format!("file of layer {index}");
                (choices.of(&NAMES), Entry::File(text))
            }
            7 => (choices.of(&NAMES), Entry::Link),
            8..=11 => (choices.of(&WHITEOUTS), Entry::File(String::new())),
            12 => (OPAQUE, Entry::File(String::new())),
            13 => (RESERVED, Entry::Folder(Folder::new())),
            // Only in a lower: the engine creates whiteouts in an upper as files.
            14 if !(has_upper && index == top) => {
                (choices.of(&WHITEOUTS), Entry::Folder(Folder::new()))
            }
            _ if choices.next(32) == 1 => (BROKEN, Entry::File(String::new())),
            _ => (choices.of(&WHITEOUTS), Entry::Link),
        };
        put(&mut layers[index], &path, name, entry);
    }
    layers
}

/// Adds an entry below `path`, unless the name is taken or the path leads through a file.
fn put(folder: &mut Folder, path: &[&'static str], name: &'static str, entry: Entry) {
    let Some((first, rest)) = path.split_first() else {
        folder.entry(name).or_insert(entry);
        return;
    };
    let below = folder.entry(first);
    if let Entry::Folder(below) = below.or_insert_with(|| Entry::Folder(Folder::new())) {
        put(below, rest, name, entry);
    }
}

fn write(path: &Path, folder: &Folder) {
    fs::create_dir(path).expect("a directory");
    for (name, entry) in folder {
        let path = path.join(name);
        match entry {
            Entry::File(text) => fs::write(path, text).expect("a file"),
            Entry::Link => symlink("target", path).expect("a link"),
            Entry::Folder(below) => write(&path, below),
        }
    }
}

fn contains(folder: &Folder, wanted: &str) -> bool {
    folder.iter().any(|(name, entry)| {
        *name == wanted || matches!(entry, Entry::Folder(below) if contains(below, wanted))
    })
}

fn has_whiteout(folder: &Folder, name: &str) -> bool {
    folder.contains_key(format!(".wh.{name}").as_str())
}

/// The folders down to the first opaque one.
fn until_opaque(from_top: Vec<&Folder>) -> Vec<&Folder> {
    let opaque = from_top
        .iter()
        .position(|folder| folder.contains_key(OPAQUE));
    let count = opaque.map_or(from_top.len(), |index| index + 1);
    from_top.into_iter().take(count).collect()
}

/// Merges folders, the topmost first. A whiteout hides lower layers; beside a directory it makes that opaque.
fn merge(from_top: &[&Folder]) -> View {
    let names: BTreeSet<_> = from_top.iter().flat_map(|folder| folder.keys()).collect();
    let mut view = View::default();
    for name in names.into_iter().filter(|name| !name.starts_with(".wh.")) {
        let mut folders = Vec::new();
        for folder in from_top {
            match folder.get(name) {
                Some(Entry::Folder(below)) => folders.push(below),
                Some(_) if !folders.is_empty() => break,
                Some(Entry::File(text)) => {
                    view.0.insert((*name).into(), Ok(text.clone()));
                    break;
                }
                Some(Entry::Link) => {
                    view.0.insert((*name).into(), Ok("-> target".into()));
                    break;
                }
                None => {}
            }
            if has_whiteout(folder, name) {
                break;
            }
        }
        if !folders.is_empty() {
            let below = merge(&until_opaque(folders));
            view.0.insert((*name).into(), Err(below));
        }
    }
    view
}

fn stack(lowers: &[std::path::PathBuf]) -> wasi_overlay_core::OverlayBuilder {
    lowers.iter().fold(Overlay::builder(), |builder, path| {
        let label = path.display().to_string();
        builder.lower(Lower::dir(label, capability(path)).expect("a layer"))
    })
}

/// The view of a guest, by listings and by a lookup of every possible name.
fn view_of(dir: &Dir) -> View {
    let mut view = View::default();
    for entry in dir.list().expect("a listing").iter() {
        let name = entry.name.to_str().expect("a name of ours");
        let shown = match entry.kind {
            Kind::Symlink => Ok(format!("-> {}", dir.readlink_at(name).expect("a link"))),
            _ => match dir
                .open_at(name, OpenHow::default())
                .expect("what is listed")
            {
                Opened::Dir(below) => Err(view_of(&below)),
                Opened::File(file) => {
                    let mut data = [0; 64];
                    let length = file.read_at(&mut data, 0).expect("data");
                    Ok(String::from_utf8_lossy(&data[..length]).into_owned())
                }
            },
        };
        assert!(
            view.0.insert(name.to_owned(), shown).is_none(),
            "{name} twice"
        );
    }
    for name in NAMES
        .iter()
        .chain(&WHITEOUTS)
        .chain(&[OPAQUE, RESERVED, BROKEN])
    {
        let found = dir.stat_at(name, false).is_ok();
        assert_eq!(found, view.0.contains_key(*name), "{name} when asked for");
    }
    view
}
