//! The number of syncs in each change, of files and of directories, for each set of guarantees of the upper's
//! filesystem. `docs/speed.md` has these figures.
#![cfg(all(feature = "conformance", feature = "dir"))]

use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::plain::{Guarantees, HostDir};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Lower, OpenHow, Overlay};
use wasi_overlay_proof::kit::{capability, file, how};

const DOCUMENTED: &str = include_str!("../../docs/speed.md");

/// ext4 and xfs.
const ORDERED: Guarantees = Guarantees {
    ordered_names: true,
    errors_at_write: true,
    syncs_whole: true,
};
/// btrfs.
const UNORDERED: Guarantees = Guarantees {
    ordered_names: false,
    errors_at_write: true,
    syncs_whole: true,
};

const NEW: OpenHow = how("wcx");
const OLD: OpenHow = how("w");

/// The name of a change, and the change.
type Step = (&'static str, fn(&Dir));

/// The changes, in order.
const CHANGES: [Step; 15] = [
    ("create, write and remove a file of the upper", |root| {
        file(root, "new", NEW).append(b"x").unwrap();
        root.unlink_file_at("new").unwrap();
    }),
    ("make and remove a directory of the upper", |root| {
        root.create_directory_at("new").unwrap();
        root.remove_directory_at("new").unwrap();
    }),
    ("rename a file of the upper", |root| {
        root.rename_at("up", &root.clone(), "up2").unwrap();
    }),
    ("append to a file of a layer", |root| {
        file(root, "a", OLD).append(b"x").unwrap();
    }),
    ("append to one in a directory of a layer", |root| {
        file(root, "d/e/f", OLD).append(b"x").unwrap();
    }),
    ("remove a file of a layer", |root| {
        root.unlink_file_at("b").unwrap()
    }),
    ("remove one that was copied up", |root| {
        root.unlink_file_at("a").unwrap()
    }),
    ("create one where one was removed", |root| {
        file(root, "a", NEW);
    }),
    ("make a directory where a file was removed", |root| {
        root.create_directory_at("b").unwrap();
    }),
    ("rename a file of a layer", |root| {
        root.rename_at("c", &root.clone(), "c2").unwrap();
    }),
    ("rename one over a file of a layer", |root| {
        root.rename_at("c2", &root.clone(), "g").unwrap();
    }),
    ("link a file of a layer", |root| {
        root.link_at("h", &root.clone(), "h2").unwrap();
    }),
    ("rename a directory of a layer with two in it", |root| {
        root.rename_at("m", &root.clone(), "m2").unwrap();
    }),
    ("rename one with ten files in it", |root| {
        root.rename_at("many", &root.clone(), "many2").unwrap();
    }),
    ("remove an empty directory of a layer", |root| {
        root.remove_directory_at("n").unwrap();
    }),
];

/// The syncs of a change.
struct Synced {
    files: u64,
    directories: u64,
    filesystems: u64,
}

impl std::fmt::Display for Synced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [
            (self.files, "file", "files"),
            (self.directories, "directory", "directories"),
            (self.filesystems, "filesystem", "filesystems"),
        ];
        let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
        let words: Vec<_> = counts
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect();
        f.write_str(&words.join(", "))
    }
}

/// The syncs of each change.
fn syncs(claims: Guarantees, volatile: bool) -> Vec<Synced> {
    let temp = tempfile::tempdir().unwrap();
    let dir = |name: &str| capability(&temp.path().join(name));
    for name in ["low/d/e", "low/m/one/two", "low/many", "low/n", "up"] {
        std::fs::create_dir_all(temp.path().join(name)).unwrap();
    }
    for name in ["a", "b", "c", "g", "h", "w", "d/e/f", "m/one/x"] {
        std::fs::write(temp.path().join("low").join(name), "text").unwrap();
    }
    for index in 0..10 {
        std::fs::write(temp.path().join(format!("low/many/{index}")), "text").unwrap();
    }
    let faults = Faults::default();
    let plain = Faulty::new(HostDir::new(dir("up"), "upper"), &faults).claiming(claims);
    let overlay = Overlay::builder()
        .lower(Lower::dir("lower", dir("low")).unwrap())
        .upper("upper", Marked::upper(plain))
        .volatile(volatile)
        .build()
        .unwrap();
    let root = overlay.root();
    file(&root, "up", NEW);
    // The work folder is synced once per mount.
    root.create_directory_at("warm").unwrap();
    file(&root, "w", OLD);
    let count = |change: fn(&Dir)| {
        faults.never();
        change(&root);
        Synced {
            files: faults.calls_of("fsync"),
            directories: faults.calls_of("fsync of a directory"),
            filesystems: faults.calls_of("syncfs"),
        }
    };
    CHANGES.map(|(_, change)| count(change)).into()
}

/// A volatile upper syncs nothing. An upper on ext4 or xfs syncs only the data of copies, one on btrfs also the
/// names of each step that the next step needs.
#[test]
fn changes_sync_what_the_filesystem_does_not_guarantee() {
    for synced in [ORDERED, UNORDERED].iter().flat_map(|of| syncs(*of, true)) {
        assert_eq!(synced.to_string(), "");
    }
    let (ordered, unordered) = (syncs(ORDERED, false), syncs(UNORDERED, false));
    let mut table = String::new();
    for ((ordered, unordered), (change, _)) in ordered.iter().zip(&unordered).zip(CHANGES) {
        assert_eq!(ordered.directories, 0, "{change}: names are kept in order");
        table += &format!("| {change} | {ordered} | {unordered} |\n");
    }
    assert!(
        DOCUMENTED.contains(&table),
        "docs/speed.md has other figures than\n{table}"
    );
}

/// Measures the changes with and without syncs that keep their steps in order, on the filesystem of
/// `SYNCS_DIR`.
#[test]
#[ignore = "a measurement: SYNCS_DIR=DIR cargo test --release --test syncs -- --ignored --nocapture"]
fn cost_of_keeping_the_order() {
    let dir = std::env::var_os("SYNCS_DIR").expect("SYNCS_DIR is a directory of the filesystem");
    let rounds: [Step; 4] = [
        ("append to a file of a layer", |root| {
            file(root, "f", OLD).append(b"x").unwrap();
        }),
        ("append, then remove it", |root| {
            file(root, "f", OLD).append(b"x").unwrap();
            root.unlink_file_at("f").unwrap();
        }),
        ("rename a file of a layer", |root| {
            root.rename_at("f", &root.clone(), "f2").unwrap();
        }),
        ("remove it, then create it", |root| {
            root.unlink_file_at("f").unwrap();
            file(root, "f", NEW);
        }),
    ];
    for (change, act) in rounds {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..60 {
            let claims = [ORDERED, UNORDERED][round % 2];
            let temp = tempfile::tempdir_in(&dir).unwrap();
            let open = |name: &str| {
                let at = temp.path().join(name);
                std::fs::create_dir(&at).unwrap();
                (capability(&at), at)
            };
            let ((lower, at), (upper, _)) = (open("low"), open("up"));
            std::fs::write(at.join("f"), "text").unwrap();
            let plain = Faulty::new(HostDir::new(upper, "upper"), &Faults::default());
            let overlay = Overlay::builder()
                .lower(Lower::dir("lower", lower).unwrap())
                .upper("upper", Marked::upper(plain.claiming(claims)))
                .build()
                .unwrap();
            let root = overlay.root();
            let start = std::time::Instant::now();
            act(&root);
            times[round % 2].push(start.elapsed());
        }
        let [ordered, unordered] = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        });
        let ratio = unordered.as_secs_f64() / ordered.as_secs_f64();
        println!(
            "{change}: {ordered:.1?} as it is, {unordered:.1?} with the order kept: {ratio:.1}"
        );
    }
}
