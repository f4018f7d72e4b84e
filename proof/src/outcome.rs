//! The answers of calls as text. Every test that compares two trees prints them in this form.

use std::fmt::Display;
use wasi_overlay_core::{Dir, Errno, File, Kind, Opened, Result, Stat, Timestamp};

/// Seconds that no test sets. A later time comes from the clock and prints as `now`.
const CLOCK: i64 = 1_500_000_000;

/// An error code, by its name in [`Errno`].
pub fn code(errno: Errno) -> String {
    format!("{errno:?}")
}

/// The answer of a call, or its error code.
pub fn text<T: Display>(result: Result<T>) -> String {
    match result {
        Ok(answer) => answer.to_string(),
        Err(error) => code(error.errno()),
    }
}

/// The metadata in which two equal trees must agree. The size and link count of a directory differ
/// between filesystems.
pub fn stat(stat: &Stat) -> String {
    let time = time(stat.modified);
    match stat.kind {
        Kind::Dir => format!("Dir {time}"),
        kind => format!("{kind:?} of {} x{} {time}", stat.size, stat.links),
    }
}

fn time(time: Timestamp) -> String {
    if time.seconds > CLOCK {
        "now".to_owned()
    } else {
        format!("{}.{}", time.seconds, time.nanoseconds)
    }
}

/// All data of a file.
///
/// # Errors
/// Any error of a read.
pub fn data(file: &File) -> Result<String> {
    let mut all = Vec::new();
    let mut buffer = [0; 256];
    loop {
        match file.read_at(&mut buffer, all.len() as u64)? {
            0 => return Ok(all.escape_ascii().to_string()),
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// The names in a directory, sorted. Marks an entry whose kind or inode number differs from what a
/// query of its name answers.
///
/// # Errors
/// Any error of the listing or of a query.
pub fn names(dir: &Dir) -> Result<String> {
    let listing = dir.list()?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let (stat, identity) = dir.stat_and_identity_at(entry.name.to_str()?, false)?;
        // 0 means that the listing does not know the number.
        let inodes = [identity.lower, 0];
        let wrong = if entry.kind == stat.kind && inodes.contains(&entry.inode()?) {
            ""
        } else {
            " (listed as another)"
        };
        names.push(format!("{}{wrong}", entry.name));
    }
    names.sort();
    Ok(format!("{names:?}"))
}

/// The names of one listing, sorted, without further calls.
///
/// # Errors
/// Any error of the listing.
pub fn listing(dir: &Dir) -> Result<String> {
    let listing = dir.list()?;
    let mut names: Vec<_> = listing.iter().map(|entry| entry.name.to_string()).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a name is listed twice: {names:?}");
    Ok(format!("{names:?}"))
}

/// Everything that a handle can show: metadata, rights and data of a file; metadata and names of a
/// directory.
pub fn handle(opened: &Opened) -> String {
    let stat = text(opened.stat().map(|found| stat(&found)));
    match opened {
        Opened::Dir(dir) => format!("{stat} {}", text(names(dir))),
        Opened::File(file) => {
            let rights = (file.is_readable(), file.is_writable());
            format!("{stat} {rights:?} {}", text(data(file)))
        }
    }
}

/// As [`handle`], with fewer calls, for tests that print every handle after every call: reads the first
/// 256 bytes, and does not check the listing.
pub fn handle_brief(opened: &Opened) -> String {
    let stat = text(opened.stat().map(|found| stat(&found)));
    let contents = match opened {
        Opened::Dir(dir) => listing(dir),
        Opened::File(file) => {
            let mut buffer = [0; 256];
            let read = file.read_at(&mut buffer, 0);
            read.map(|read| buffer[..read].escape_ascii().to_string())
        }
    };
    format!("{stat} {}", text(contents))
}
