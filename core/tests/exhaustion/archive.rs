//! Memory of the index of a large archive, and while it is made.

use super::{MIB, alone, held, peak_of};
use wasi_overlay_core::tar::Scanner;
use wasi_overlay_core::{Errno, Limits};
use wasi_overlay_proof::archive::Archive;

const DIRS: usize = 2000;
const FILES_IN_EACH: usize = 100;

#[test]
fn entry_takes_100_bytes_of_an_index_and_220_while_it_is_made() {
    let _alone = alone();
    let entries = DIRS * (FILES_IN_EACH + 1);
    let before = held();
    let (index, peak) = peak_of(|| {
        let mut scanner = Scanner::new(&Limits::default());
        for dir in 0..DIRS {
            let mut piece = Archive::default();
            for file in 0..FILES_IN_EACH {
                // The directories are implied.
                piece = piece.file(format!("usr/lib/dir-{dir:04}/file-{file:03}.py"), b"");
            }
            scanner.push(&piece.bytes).unwrap();
        }
        scanner.finish().unwrap()
    });
    assert!(index.len() > entries, "{}", index.len());
    let (each, peak) = ((held() - before) / entries, peak / entries);
    println!("{each} bytes each, {peak} while the index is made");
    assert!(each <= 100 && peak <= 220, "{each} bytes, {peak} at most");
}

#[test]
fn more_than_four_million_entries_are_refused_in_bounded_memory() {
    let _alone = alone();
    let mut entries = 0;
    let (error, peak) = peak_of(|| {
        let mut scanner = Scanner::new(&Limits::default());
        let mut push = |piece: u32| -> wasi_overlay_core::Result<()> {
            let mut archive = Archive::default().dir(format!("{piece:05}"), 0o755);
            for file in 0..99 {
                archive = archive.file(format!("{piece:05}/{file:02}"), b"");
            }
            scanner.push(&archive.bytes)?;
            entries += 100;
            Ok(())
        };
        (0..42_000).try_for_each(&mut push).unwrap_err()
    });
    println!("{entries} entries, {} MiB: {error}", peak / MIB);
    assert_eq!(error.errno(), Errno::Overflow);
    assert!(error.to_string().contains("4194304"), "{error}");
    assert!(peak < 900 * MIB, "{peak}");
}
