//! Bounds on what an archive can make a host hold.

use crate::archive::{Archive, EntryType, Header, Scan, header};
use wasi_overlay_core::tar::{Scanner, TarLayer};
use wasi_overlay_core::{Errno, Limits};

fn scan(archive: &Archive, limits: &Limits) -> wasi_overlay_core::Result<TarLayer> {
    TarLayer::scan(archive.finished(), limits)
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn entries_are_bounded_implied_directories_included() {
    let limits = limits(|limits| limits.archive_entries = 10);
    let archive = Archive::default().file("1/2/3/4/5/6/7/8/9", b"");
    assert!(scan(&archive, &limits).is_ok());
    let error = scan(&archive.file("more", b""), &limits).unwrap_err();
    assert_eq!(error.errno(), Errno::Overflow);
    assert!(
        error
            .to_string()
            .contains("more: the archive has more than 10"),
        "{error}"
    );
    // Entries that replace each other are read too.
    let mut archive = Archive::default();
    for _ in 0..20 {
        archive = archive.file("a", b"");
    }
    assert!(scan(&archive, &limits).is_err());
    let mut archive = Archive::default();
    for _ in 0..20 {
        archive = archive.link("a", "b");
    }
    assert!(scan(&archive, &limits).is_err());
}

#[test]
fn bytes_of_the_index_are_bounded() {
    let limits = limits(|limits| limits.archive_index_bytes = 10_000);
    let value = vec![b'x'; 3000];
    let attribute: &[(&str, &[u8])] = &[("SCHILY.xattr.user.a", &value)];
    let mut archive = Archive::default();
    for _ in 0..3 {
        archive = archive.records(attribute).dir("same", 0o755);
    }
    assert!(scan(&archive, &limits).is_ok());
    let error = scan(&archive.records(attribute).dir("same", 0o755), &limits).unwrap_err();
    assert!(error.to_string().contains("archive_index_bytes"), "{error}");
    let mut archive = Archive::default();
    for number in 0..40 {
        archive = archive.link(&format!("link {number}"), &"t".repeat(100));
    }
    let limits = self::limits(|limits| limits.archive_index_bytes = 4000);
    let error = scan(&archive, &limits).unwrap_err();
    assert!(error.to_string().contains("archive_index_bytes"), "{error}");
}

#[test]
fn headers_and_paths_are_bounded() {
    let limits = limits(|limits| limits.archive_header_bytes = 4096);
    let value = vec![b'x'; 5000];
    let archive = Archive::default().records(&[("comment", &value)]);
    let error = scan(&archive.clone().file("a", b""), &limits).unwrap_err();
    assert_eq!(error.errno(), Errno::Overflow, "{error}");
    assert!(scan(&archive.file("a", b""), &Limits::default()).is_ok());
    let long = "d/".repeat(2100);
    let error = Archive::default().file(&long, b"").error();
    assert!(error.contains("path exceeds limit"), "{error}");
}

/// Extension blocks of an old sparse file may go on without an end and without a chunk.
#[test]
fn chain_of_empty_sparse_blocks_ends_in_an_error() {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GnuSparse);
    header.set_size(0).unwrap();
    header.set_path(b"sparse").unwrap();
    let gnu = header.try_as_gnu_mut().unwrap();
    gnu.set_is_extended(true);
    gnu.set_real_size(1 << 20);
    header.set_checksum();
    let mut scanner = Scanner::new(&Limits::default());
    scanner.push(header.as_bytes()).unwrap();
    let mut block = [0; 512];
    block[21 * 24] = 1;
    let blocks = block.repeat(128);
    let error = (0..10_000).find_map(|_| scanner.push(&blocks).err());
    assert_eq!(error.unwrap().errno(), Errno::Overflow);
}

#[test]
fn sizes_beyond_any_archive_are_refused() {
    for size in [u64::MAX, u64::MAX - 511, 1 << 63] {
        let mut archive = Archive::default().records(&[("size", size.to_string().as_bytes())]);
        archive.raw(header(EntryType::Regular, 0), b"huge", b"");
        let error = scan(&archive, &Limits::default()).unwrap_err();
        assert_eq!(error.errno(), Errno::Invalid, "{error}");
    }
}

/// A tree that is deeper than any stack is made, saved and shown without recursion.
#[test]
fn deep_trees_need_no_deep_stack() {
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    let deep = thread.spawn(|| {
        let mut archive = Archive::default();
        let path = "d/".repeat(2000);
        archive = archive.file(path + "file", b"data");
        scan(&archive, &Limits::default()).unwrap().index().len()
    });
    assert_eq!(deep.unwrap().join().unwrap(), 2002);
}
