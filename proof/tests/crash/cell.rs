//! Cells of the matrix, on disks in memory.

use crate::disk::{Disk, Inode, Names, ROOT, What as Stored};
use crate::journal::{Content, Files, Moment};
use std::collections::BTreeMap;
use wasi_overlay_core::layer::Upper;
use wasi_overlay_core::plain::Plain;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::{Marked, MarkedUpper};
use wasi_overlay_core::{Dir, Lower, Name, Overlay, Result, SetTime, SetTimes, Timestamp};
use wasi_overlay_proof::matrix::tree::set_mtime;
use wasi_overlay_proof::matrix::{KINDS, Kind, Node, SETTLED, STATES, Start, What};

/// Both ways to mount an upper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Mounted,
    OnDemand,
}

pub(crate) const MODES: [Mode; 2] = [Mode::Mounted, Mode::OnDemand];

impl Mode {
    pub(crate) fn upper<P: Plain>(self, plain: P) -> MarkedUpper<P> {
        match self {
            Self::Mounted => Marked::upper(plain),
            Self::OnDemand => Marked::upper_on_demand(plain),
        }
    }
}

/// A starting state of the matrix.
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) start: Start,
    pub(crate) lowers: Vec<Moment>,
    pub(crate) upper: Moment,
}

/// The starting states.
pub(crate) fn cells() -> Vec<Cell> {
    let all = STATES
        .iter()
        .flat_map(|&(state, make)| KINDS.map(|kind| (state, kind, make)));
    all.filter_map(|(state, kind, make)| Some(cell(state, kind, make(kind)?)))
        .collect()
}

fn cell(state: &str, kind: Kind, start: Start) -> Cell {
    Cell {
        name: format!("{kind:?} {state}"),
        lowers: start.lowers.iter().map(planted).collect(),
        upper: planted(&start.upper),
        start,
    }
}

impl Cell {
    /// Completes the starting state on a mount of `lowers` and `upper`.
    pub(crate) fn prepare(&self, overlay: &Overlay) {
        let root = overlay.root();
        if let Some(prelude) = self.start.prelude {
            prelude(&root);
            set_mtime(&root, SETTLED);
        }
    }
}

/// A disk on which these directories cannot be renamed, like those of an image.
pub(crate) fn on_image(disk: &Disk, fixed: &[u64]) -> Faulty<Disk> {
    Faulty::new(disk.clone(), &Faults::default()).with_fixed_dirs(fixed.iter().copied())
}

/// The inode numbers of all directories.
pub(crate) fn dirs_of(moment: &Moment) -> Vec<u64> {
    let inodes = moment.names.inodes.iter();
    let dirs = inodes.filter(|(_, inode)| inode.entries().is_ok());
    dirs.map(|(number, _)| *number).collect()
}

/// Mounts.
pub(crate) fn mount<P: Plain>(
    lowers: impl IntoIterator<Item = P>,
    upper: impl Upper,
    volatile: bool,
) -> Result<Overlay> {
    let mut builder = Overlay::builder();
    for lower in lowers {
        builder = builder.lower(Lower::new("a layer", Marked::lower(lower)));
    }
    builder.upper("the upper", upper).volatile(volatile).build()
}

/// A tree as a layer in OCI form.
pub(crate) fn planted(node: &Node) -> Moment {
    let mut moment = Moment::new(Names::empty(), Files::new());
    plant_in(&mut moment, ROOT, node);
    moment
}

fn plant_in(moment: &mut Moment, dir: u64, node: &Node) {
    let What::Dir { opaque, entries } = &node.what else {
        unreachable!("a directory is filled")
    };
    if *opaque {
        plant(moment, dir, ".wh..wh..opq", Some(""), Stored::File);
    }
    for (name, node) in entries {
        match &node.what {
            What::Whiteout => drop(plant(
                moment,
                dir,
                &format!(".wh.{name}"),
                Some(""),
                Stored::File,
            )),
            What::File(data) => {
                let number = plant(moment, dir, name, Some(data), Stored::File);
                finish(moment, number, node);
            }
            What::Link(target) => {
                let target = Stored::Symlink(target.as_bytes().into());
                let number = plant(moment, dir, name, None, target);
                finish(moment, number, node);
            }
            What::Dir { .. } => {
                let number = plant(moment, dir, name, None, Stored::Dir(BTreeMap::new()));
                plant_in(moment, number, node);
            }
        }
    }
    finish(moment, dir, node);
}

fn plant(moment: &mut Moment, dir: u64, name: &str, data: Option<&str>, what: Stored) -> u64 {
    let mode = if let Stored::Dir(_) = what {
        0o755
    } else {
        0o644
    };
    let name = Name::new(name.as_bytes()).unwrap();
    let number = moment.names.add(dir, name, Inode::new(what, mode)).unwrap();
    if let Some(data) = data {
        let content = Content::settled(data.as_bytes().to_vec());
        moment.files.insert(number, content);
    }
    number
}

fn finish(moment: &mut Moment, number: u64, node: &Node) {
    let time = SetTime::To(Timestamp {
        seconds: node.mtime,
        nanoseconds: 0,
    });
    let inode = moment.names.inode_mut(number).unwrap();
    if let Some(mode) = node.mode {
        inode.mode = mode;
    }
    if let Stored::File = inode.what {
        // An attribute that a copy must keep.
        inode.xattrs.insert(b"user.kept".to_vec(), b"yes".to_vec());
    }
    inode.set(SetTimes {
        accessed: time,
        modified: time,
    });
}

/// New disks in these states.
pub(crate) fn disks(moments: &[Moment]) -> Vec<Disk> {
    moments.iter().map(Disk::of).collect()
}

/// A view without the times of directories, which may differ after an interruption.
pub(crate) fn without_dir_times(mut view: Vec<String>) -> Vec<String> {
    for line in &mut view {
        let mut words = line.splitn(4, ' ');
        if let (Some(path), Some("Dir"), Some(_)) = (words.next(), words.next(), words.next()) {
            *line = format!("{path} Dir {}", words.next().unwrap_or_default());
        }
    }
    view
}

/// Calls that succeed on every overlay. They leave the file `next`.
pub(crate) const NEXT: &str = "open.rwcx next; write next; rename next next2; link next2 next3; \
     unlink next2; rename next3 next; mkdir nextd; open.rwcx nextd/f; rename nextd nexte; \
     unlink nexte/f; rmdir nexte; symlink next nextl; unlink nextl";

/// Makes the calls of [`NEXT`], which must succeed.
pub(crate) fn check_next_calls(root: &Dir) -> Result<(), String> {
    use wasi_overlay_proof::Script;
    let answers = Script::run(root, "d/x", NEXT);
    let failed = |answer: &&String| {
        let (_, answer) = answer.split_once(": ").unwrap_or_default();
        !["done", "2 bytes"].contains(&answer) && !answer.starts_with("File of 0 ")
    };
    match answers.iter().find(failed) {
        Some(answer) => Err(format!("{answer} in {answers:#?}")),
        None => Ok(()),
    }
}

/// Removes the file that [`NEXT`] leaves.
pub(crate) fn remove_next(root: &Dir) -> Result<(), String> {
    root.unlink_file_at("next")
        .map_err(|error| error.to_string())
}

/// Whether a case is in the sample, which is the same in every run.
pub(crate) fn is_in_sample(number: usize, one_of: usize) -> bool {
    // Knuth's multiplicative hash, so that the sample has every operation and every state.
    let stirred = (number as u32).wrapping_mul(2_654_435_761) >> 16;
    is_all() || (stirred as usize).is_multiple_of(one_of)
}

/// Whether the run tries all cases.
pub(crate) fn is_all() -> bool {
    std::env::var("CRASH").is_ok_and(|value| value == "all")
}

/// Whether the environment selects a cell and an operation.
pub(crate) fn is_wanted(cell: &str, op: &str) -> bool {
    let has = |text: &str, variable: &str| {
        std::env::var(variable).map_or(true, |wanted| text.contains(&wanted))
    };
    has(cell, "MATRIX_STATE") && has(op, "MATRIX_OP")
}
