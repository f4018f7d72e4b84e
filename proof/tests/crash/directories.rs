//! The rename of a lower directory with many files, which syncs all of them at once.

use crate::cell::{MODES, Mode, disks, mount, without_dir_times};
use crate::disk::Disk;
use crate::journal::{Moment, NAME_ORDERS, NameOrder};
use crate::random::Random;
use wasi_overlay_core::Dir;
use wasi_overlay_proof::kit::{CREATE, file};
use wasi_overlay_proof::view::tree;

/// More files than are synced one by one.
const FILES: usize = 20;
/// Losses at each moment.
const DRAWS: usize = 4;

fn write(root: &Dir, path: &str) {
    file(root, path, CREATE)
        .write_at(path.as_bytes(), 0)
        .unwrap();
}

/// A layer with files in two nested directories, a link, and an empty directory.
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

/// Loses power at each moment of a rename and of a sync after it. Returns how many losses left the old name, and how
/// many the new one.
fn lose(order: NameOrder, mode: Mode) -> [usize; 2] {
    let layers = [layer()];
    let disk = Disk::default().claiming(order);
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
            let left = disk.journal().lose_power(at, order, &mut random);
            let again = Disk::of(&left).claiming(order);
            let overlay = mount(disks(&layers), mode.upper(again.clone()), false).unwrap();
            let found = without_dir_times(tree(&overlay.root()));
            let name = [&before, &after]
                .into_iter()
                .position(|tree| *tree == found);
            let name = name.unwrap_or_else(|| {
                panic!("{order:?}, moment {at} of {last}: {found:#?} is neither before nor after")
            });
            assert!(
                name == 1 || at < last,
                "{order:?}: lost although it was synced"
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
    for order in NAME_ORDERS {
        for mode in MODES {
            let [old, new] = lose(order, mode);
            println!("{order:?}, {mode:?}: {old} losses left the old name, {new} the new one");
            assert!(old > 0 && new > 0, "{order:?}, {mode:?}: {old}, {new}");
        }
    }
}
