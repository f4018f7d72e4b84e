//! The memory and time of the copy-up of a large file, compared with `cp`.
//!
//! `scripts/copy-up.sh` runs this with a file of 1 GiB, and on filesystems with reflinks.

use crate::{MIB, alone, capability, file, peak_of, scratch};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use wasi_overlay_core::{Lower, Overlay};
use wasi_overlay_proof::kit::WRITE;

/// Writes a file without zero bytes, which could be stored as holes.
fn write(path: &Path, mib: usize) {
    let block: Vec<u8> = (0..MIB).map(|at| (at % 251) as u8).collect();
    let file = fs::File::create(path).unwrap();
    for _ in 0..mib {
        std::io::Write::write_all(&mut &file, &block).unwrap();
    }
    // Reflinks need the data on disk.
    file.sync_all().unwrap();
}

fn free_bytes(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).unwrap();
    stat.f_bfree * stat.f_frsize
}

#[test]
fn a_large_file_is_copied_in_constant_memory() {
    let _alone = alone();
    let mib = match std::env::var("OVERLAY_COPY_MIB") {
        Ok(mib) => mib.parse().unwrap(),
        Err(_) => 64,
    };
    let temp = match std::env::var_os("OVERLAY_COPY_DIR") {
        Some(dir) => tempfile::tempdir_in(PathBuf::from(dir)).unwrap(),
        None => scratch(),
    };
    let [low, up, other] = ["low", "up", "other"].map(|name| temp.path().join(name));
    fs::create_dir(&low).unwrap();
    fs::create_dir(&up).unwrap();
    let large = low.join("large");
    write(&large, mib);

    let start = Instant::now();
    let cp = Command::new("cp").arg(&large).arg(&other).status().unwrap();
    let by_cp = start.elapsed();
    assert!(cp.success());
    fs::remove_file(&other).unwrap();
    rustix::fs::sync();

    let overlay = Overlay::builder()
        .lower(Lower::dir("low", capability(&low)).unwrap())
        .upper_dir("up", capability(&up))
        .volatile(true)
        .build()
        .unwrap();
    let root = overlay.root();
    let free = free_bytes(temp.path());
    let start = Instant::now();
    let (opened, peak) = peak_of(|| file(&root, "large", WRITE));
    let by_us = start.elapsed();
    // Measured before the file grows, since xfs then preallocates space.
    rustix::fs::sync();
    let taken = free.saturating_sub(free_bytes(temp.path()));
    opened.append(b"x").unwrap();
    println!(
        "copy-up of {mib} MiB: {by_us:?}, cp: {by_cp:?}; {} KiB of memory, {} MiB of storage",
        peak / 1024,
        taken >> 20
    );
    assert_eq!(opened.stat().unwrap().size, (mib * MIB) as u64 + 1);
    let copied = fs::read(up.join("large")).unwrap();
    assert!(copied[..mib * MIB] == fs::read(&large).unwrap());
    assert!(peak < MIB, "{peak} bytes of memory");
    if std::env::var_os("OVERLAY_COPY_SHARES").is_some() {
        // Only filesystem metadata.
        assert!(taken < 16 << 20, "{taken} bytes of storage");
        assert!(by_us < Duration::from_millis(200), "{by_us:?}");
    }
}
