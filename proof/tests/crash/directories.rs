//! The rename of a lower directory with many files, which syncs all of them at once.

use crate::cell::{MODES, Mode, disks, mount, without_dir_times};
use crate::disk::Disk;
use crate::journal::{Moment, TEMPERS, Temper};
use crate::random::Random;
use wasi_overlay_core::Dir;
use wasi_overlay_proof::kit::{CREATE, file};
use wasi_overlay_proof::view::tree;

/// More than are synced one by one.
const FILES: usize = 20;
/// Losses tried at each moment.
const DRAWS: usize = 4;

fn write(root: &Dir, path: &str) {
    file(root, path, CREATE)
        .write_at(path.as_bytes(), 0)
        .unwrap();
}

/// A layer with files in a directory and in one below it, a link, and a directory that takes no changes.
fn layer() -> Moment {
    let disk = Disk::default();
    let overlay = mount(disks(&[]), Mode::Mounted.upper(disk.clone()), false).unwrap();
    let root = overlay.root();
    for dir in ["from", "from/inner", "from/inner/empty"] {
        root.create_directory_at(dir).unwrap();
    }
    for file in 0..FILES {
        let dir = ["from", "from/inner"][file % 2];
        write(&root, &format!("{dir}/{file}"));
    }
    root.symlink_at("inner/1", "from/link").unwrap();
    overlay.close().unwrap();
    Moment::clone(disk.journal().now())
}

/// Loses the power at each moment of the rename and of a sync after it; returns how often the old name was left, and the new.
fn lose(temper: Temper, mode: Mode) -> [usize; 2] {
    let layers = [layer()];
    let disk = Disk::default().that_says(temper);
    let overlay = mount(disks(&layers), mode.upper(disk.clone()), false).unwrap();
    let root = overlay.root();
    let before = without_dir_times(tree(&root));
    disk.journal().record();
    root.rename_at("from", &root, "to").unwrap();
    root.sync(false).unwrap();
    let last = disk.journal().moments().len() - 1;
    let after = without_dir_times(tree(&root));
    let mut random = Random::new(1);
    let mut seen = [0; 2];
    for at in 0..=last {
        for _ in 0..DRAWS {
            let left = disk.journal().lose_power(at, temper, &mut random);
            let again = Disk::of(&left).that_says(temper);
            let overlay = mount(disks(&layers), mode.upper(again.clone()), false).unwrap();
            let found = without_dir_times(tree(&overlay.root()));
            let name = [&before, &after]
                .into_iter()
                .position(|tree| *tree == found);
            let name = name.unwrap_or_else(|| {
                panic!("{temper:?}, moment {at} of {last}: {found:#?} is neither before nor after")
            });
            assert!(
                name == 1 || at < last,
                "{temper:?}: lost though it was synced"
            );
            seen[name] += 1;
            overlay.close().unwrap();
            assert!(!again.journal().now().has_work_folder());
        }
    }
    seen
}

#[test]
fn directory_of_many_files_is_complete_at_one_of_its_names() {
    for temper in TEMPERS {
        for mode in MODES {
            let [old, new] = lose(temper, mode);
            println!("{temper:?}, {mode:?}: {old} losses left the old name, {new} the new one");
            assert!(old > 0 && new > 0, "{temper:?}, {mode:?}: {old}, {new}");
        }
    }
}
