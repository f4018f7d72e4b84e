//! Numbers at the limits of their types, in every call that takes one. The answers are those of a plain directory
//! on tmpfs, and no call allocates memory of the guest's choosing.

use crate::kit::{Host, Mount};
use std::fs;
use wasi_overlay_core::{
    Advice, Dir, File, OpenHow, Opened, Result, SetTime, SetTimes, Stat, Timestamp,
};

#[rustfmt::skip]
const NUMBERS: [u64; 21] = [
    0, 1, 4095, 4096, (1 << 31) - 1, 1 << 31, u32::MAX as u64, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 4097,
    (1 << 63) - 17, (1 << 63) - 16, (1 << 63) - 2, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX - 4096,
    u64::MAX - 16, u64::MAX - 1, u64::MAX,
];

const ADVICE: [Advice; 6] = [
    Advice::Normal,
    Advice::Sequential,
    Advice::Random,
    Advice::WillNeed,
    Advice::DontNeed,
    Advice::NoReuse,
];

#[rustfmt::skip]
const SECONDS: [i64; 11] = [
    i64::MIN, i64::MIN + 1, -(1 << 40), i32::MIN as i64 - 1, -1, 0, 1 << 31, 1 << 34, 1 << 56, i64::MAX - 1,
    i64::MAX,
];

/// The last three mean something else to the system (`UTIME_NOW`, `UTIME_OMIT`).
const NANOSECONDS: [u32; 6] = [
    0,
    999_999_999,
    1_000_000_000,
    (1 << 30) - 1,
    (1 << 30) - 2,
    u32::MAX,
];

fn file(root: &Dir, path: &str, create: bool) -> File {
    open(
        root,
        path,
        OpenHow {
            create,
            read: true,
            write: true,
            ..OpenHow::default()
        },
    )
}

fn open(root: &Dir, path: &str, how: OpenHow) -> File {
    let how = OpenHow {
        follow: true,
        ..how
    };
    match root.open_at(path, how).unwrap() {
        Opened::File(file) => file,
        Opened::Dir(_) => panic!("{path} is a directory"),
    }
}

fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}", error.errno()),
    }
}

fn times(stat: &Stat) -> String {
    let Timestamp {
        seconds,
        nanoseconds,
    } = stat.modified;
    format!("{seconds}.{nanoseconds:09}")
}

/// Reads and writes at every number through a file that was opened for the other of the two. A
/// write through a reader at 2^63 was `bad-descriptor`; Linux looks at the offset first, and a test
/// that opened every file for both could not tell.
fn answers_of_half_open_files(root: &Dir) -> Vec<String> {
    let mut log = Vec::new();
    for (name, read, write) in [("reader", true, false), ("writer", false, true)] {
        let how = OpenHow {
            read,
            write,
            ..OpenHow::default()
        };
        // A lower file of an overlay, so before anything is copied up.
        let file = open(root, "d/f", how);
        for number in NUMBERS {
            for length in [0, 1, 16] {
                let read = file.read_at(&mut [0; 16][..length], number);
                log.push(format!("{name}: read {length} at {number}: {}", text(read)));
                let read = file.read_vec_at(length, number);
                log.push(format!("{name}: read {length} at {number}: {}", text(read)));
                let wrote = file.write_at(&[b'w'; 16][..length], number);
                log.push(format!(
                    "{name}: write {length} at {number}: {}",
                    text(wrote)
                ));
            }
            let resized = file.set_size(number);
            log.push(format!("{name}: size {number}: {}", text(resized)));
            let advised = file.advise(number, number, Advice::Normal);
            log.push(format!("{name}: advise {number}: {}", text(advised)));
        }
        for length in [0, 1] {
            let appended = file.append(&[b'a'][..length]);
            log.push(format!("{name}: append {length}: {}", text(appended)));
        }
    }
    log
}

/// Every call with every number, and what it answered.
fn answers(root: &Dir) -> Vec<String> {
    let mut log = answers_of_half_open_files(root);
    let mut buffer = [0; 16];
    for (name, made) in [("f", false), ("new", true)] {
        for number in NUMBERS {
            let file = file(root, name, made);
            file.set_size(6).unwrap();
            for length in [0, 1, 16] {
                let read = file.read_at(&mut buffer[..length], number);
                log.push(format!("{name}: read {length} at {number}: {}", text(read)));
            }
            for length in [0, 1, 16] {
                let wrote = file.write_at(&[b'w'; 16][..length], number);
                log.push(format!(
                    "{name}: write {length} at {number}: {}",
                    text(wrote)
                ));
                let size = file.stat().map(|stat| stat.size);
                log.push(format!("  size {}", text(size)));
            }
            let around = number.saturating_sub(8);
            let read = file.read_at(&mut buffer, around);
            log.push(format!("  read around it: {} {buffer:?}", text(read)));
            let resized = file.set_size(number);
            log.push(format!("{name}: size {number}: {}", text(resized)));
            for length in [0, 1, 16] {
                let appended = file.append(&[b'a'; 16][..length]);
                log.push(format!("  append {length}: {}", text(appended)));
            }
            log.push(format!(
                "  size {}",
                text(file.stat().map(|stat| stat.size))
            ));
            for length in NUMBERS {
                for advice in ADVICE {
                    let advised = file.advise(number, length, advice);
                    log.push(format!(
                        "{name}: {advice:?} {number} {length}: {}",
                        text(advised)
                    ));
                }
            }
            file.set_size(0).unwrap();
        }
    }
    for seconds in SECONDS {
        for nanoseconds in NANOSECONDS {
            let to = SetTimes {
                accessed: SetTime::To(Timestamp {
                    seconds,
                    nanoseconds,
                }),
                modified: SetTime::To(Timestamp {
                    seconds,
                    nanoseconds,
                }),
            };
            if matches!(seconds, i64::MIN | i64::MAX) && nanoseconds == 999_999_999 {
                // The first and the last second that there are: tmpfs keeps no parts of them.
                continue;
            }
            let what = format!("{seconds}.{nanoseconds}");
            let file = file(root, "f", false);
            // So that what stays is the same everywhere.
            let reset = SetTimes {
                accessed: SetTime::To(Timestamp::default()),
                modified: SetTime::To(Timestamp::default()),
            };
            file.set_times(reset).unwrap();
            log.push(format!("file to {what}: {}", text(file.set_times(to))));
            log.push(text(file.stat().map(|stat| times(&stat))));
            for path in ["d/f", "d", "d/out", "."] {
                root.set_times_at(path, false, reset).unwrap();
                let set = root.set_times_at(path, false, to);
                log.push(format!("{path} to {what}: {}", text(set)));
                log.push(text(root.stat_at(path, false).map(|stat| times(&stat))));
            }
        }
    }
    log
}

#[test]
fn extreme_numbers_are_answered_as_on_a_plain_directory() {
    let host = Host::new();
    if !host.path("").starts_with("/dev/shm") {
        eprintln!("skipped: other filesystems than tmpfs have edges of their own");
        return;
    }
    let (live, _) = host.mount(Mount::Live);
    let expected = answers(&live);
    fs::remove_dir_all(host.path("upper")).unwrap();
    let mut calls = 0;
    for mount in [
        Mount::Directory,
        Mount::ByPath,
        Mount::UpperAlone,
        Mount::Memory,
    ] {
        let (root, _overlay) = host.mount(mount);
        let seen = answers(&root);
        calls += seen.len();
        let differences: Vec<_> = expected
            .iter()
            .zip(&seen)
            .filter(|(expected, seen)| expected != seen)
            .map(|(expected, seen)| format!("plain {expected}, overlay {seen}"))
            .collect();
        let first = &differences[..differences.len().min(40)];
        assert!(
            differences.is_empty(),
            "{mount:?}: {} differ\n{}",
            differences.len(),
            first.join("\n")
        );
        assert_eq!(expected.len(), seen.len());
    }
    println!("numbers: {calls} answers compared");
}

/// The size of a sparse file costs nothing, and no call copies, reads or writes all of it.
#[test]
fn largest_file_can_be_opened_copied_up_and_renamed() {
    for mount in [Mount::Directory, Mount::ByPath, Mount::Memory] {
        let host = Host::new();
        let tree = host.write_tree("tree");
        let largest = i64::MAX as u64;
        let sparse = fs::File::create(tree.join("sparse")).unwrap();
        if sparse.set_len(largest).is_err() {
            eprintln!("skipped: this filesystem has no files of 2^63 - 1 bytes");
            return;
        }
        let (root, _overlay) = host.mount(mount);
        let held = file(&root, "sparse", false);
        assert_eq!(held.stat().unwrap().size, largest, "{mount:?}");
        held.write_at(b"end", largest - 3).unwrap();
        let mut buffer = [1; 5];
        assert_eq!(held.read_at(&mut buffer, largest - 5).unwrap(), 5);
        assert_eq!(&buffer, b"\0\0end");
        assert_eq!(held.read_at(&mut [], largest).unwrap(), 0);
        root.rename_at("sparse", &root, "moved").unwrap();
        root.link_at("moved", &root, "linked").unwrap();
        assert_eq!(root.stat_at("linked", true).unwrap().size, largest);
    }
}

#[test]
fn a_listing_has_no_entry_past_its_end() {
    let host = Host::new();
    for mount in [Mount::Directory, Mount::Memory, Mount::Live] {
        let (root, _overlay) = host.mount(mount);
        let listing = root.list().unwrap();
        assert!(listing.get(0).is_some());
        for index in [listing.len(), 1 << 31, usize::MAX - 1, usize::MAX] {
            assert!(listing.get(index).is_none(), "{index}");
        }
    }
}
