//! Tests of `fd_readdir`.

use crate::driver::*;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wasi_overlay::{FsPerms, Limits};

struct Entry {
    next: u64,
    inode: u64,
    kind: u8,
    name: Vec<u8>,
}

/// Parses the entries of a buffer, without one that is truncated.
fn parse(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while bytes.len() >= 24 {
        let (header, rest) = bytes.split_at(24);
        let length = u32::from_le_bytes(header[16..20].try_into().unwrap()) as usize;
        if rest.len() < length {
            break;
        }
        entries.push(Entry {
            next: u64::from_le_bytes(header[0..8].try_into().unwrap()),
            inode: u64::from_le_bytes(header[8..16].try_into().unwrap()),
            kind: header[20],
            name: rest[..length].to_vec(),
        });
        bytes = &rest[length..];
    }
    entries
}

/// Reads from `cookie` to the end as C libraries do: a full buffer means that more entries follow.
fn read_from(g: &mut Guest, fd: u32, length: u32, mut cookie: u64) -> Result<Vec<Entry>, i32> {
    let mut all = Vec::new();
    loop {
        let bytes = g.readdir(fd, length, cookie)?;
        let ended = bytes.len() < length as usize;
        let entries = parse(&bytes);
        assert!(ended || !entries.is_empty(), "no way to go on");
        cookie = entries.last().map_or(cookie, |entry| entry.next);
        all.extend(entries);
        if ended {
            return Ok(all);
        }
    }
}

fn names(entries: &[Entry]) -> Vec<String> {
    let name = |entry: &Entry| String::from_utf8(entry.name.clone()).unwrap();
    entries.iter().map(name).collect()
}

fn hundred_files(root: &Path) {
    for i in 0..100 {
        fs::write(root.join(format!("file-{i:03}")), "").unwrap();
    }
    fs::create_dir(root.join("dir")).unwrap();
    std::os::unix::fs::symlink("x", root.join("link")).unwrap();
}

#[test]
fn buffers_of_any_size_return_each_name_once() {
    on_every_host(hundred_files, |g, _| {
        for length in [40, 100, 333, 4096, 65536] {
            let entries = read_from(g, ROOT, length, 0).unwrap();
            let names = names(&entries);
            assert_eq!(names[..2], [".", ".."]);
            assert_eq!(names.len(), 104);
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 104);
            let cookies: Vec<u64> = entries.iter().map(|entry| entry.next).collect();
            assert!(cookies.iter().copied().eq(1..=104));
            for entry in &entries {
                let kind = match &entry.name[..] {
                    b"." | b".." | b"dir" => 3,
                    b"link" => 7,
                    _ => 4,
                };
                assert_eq!(entry.kind, kind);
            }
        }
    });
}

#[test]
fn inode_numbers_are_those_of_stat() {
    on_every_host(hundred_files, |g, _| {
        let out = g.alloc(64);
        for entry in read_from(g, ROOT, 8192, 0).unwrap() {
            if entry.name == b".." {
                continue;
            }
            let before = [ROOT.into(), 0];
            let errno = g.with_path("path_filestat_get", &before, &entry.name, &[out.into()]);
            assert_eq!(errno, 0);
            assert_eq!(g.u64_at(out + 8), entry.inode);
        }
    });
}

#[test]
fn end_of_buffer_truncates_entry() {
    on_every_host(hundred_files, |g, _| {
        let whole = g.readdir(ROOT, 200, 0).unwrap();
        assert_eq!(whole.len(), 200);
        for length in [0, 1, 23, 24, 25, 60] {
            assert_eq!(
                g.readdir(ROOT, length, 0).unwrap(),
                whole[..length as usize]
            );
        }
        assert_eq!(g.readdir(ROOT, 100, 104).unwrap(), b"");
        assert_eq!(g.readdir(ROOT, 100, 105).unwrap(), b"", "past the end");
        assert_eq!(g.readdir(ROOT, 100, u64::MAX).unwrap(), b"");
    });
}

/// A guest lists a directory while files are made and removed. It sees each file that exists throughout
/// exactly once, since cookies stay valid.
#[test]
fn cookies_stay_valid_while_directory_changes() {
    on_every_host(hundred_files, |g, root| {
        if g.is_stock() || !g.is_live() {
            // wasmtime-wasi lists again at each call, and skips entries here.
            return;
        }
        let first = parse(&g.readdir(ROOT, 1000, 0).unwrap());
        let cookie = first.last().unwrap().next;
        for entry in &first {
            if entry.kind == 4 {
                fs::remove_file(root.join(OsStr::from_bytes(&entry.name))).unwrap();
            }
        }
        fs::write(root.join("new"), "").unwrap();
        let rest = read_from(g, ROOT, 1000, cookie).unwrap();
        let seen: Vec<String> = names(&first).into_iter().chain(names(&rest)).collect();
        assert_eq!(seen.len(), 104);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 104);

        // An earlier cookie returns the same entries again; cookie 0 lists the directory again.
        let again = read_from(g, ROOT, 4096, 2).unwrap();
        assert_eq!(names(&again), seen[2..]);
        let anew = names(&read_from(g, ROOT, 4096, 0).unwrap());
        assert!(anew.contains(&"new".to_owned()));
        assert!(anew.len() < seen.len());
    });
}

#[test]
fn descriptors_of_one_directory_have_snapshots_of_their_own() {
    on_every_host(hundred_files, |g, _| {
        let one = g.open(".", DIRECTORY, FD_READ, 0).unwrap();
        let two = g.open(".", DIRECTORY, FD_READ, 0).unwrap();
        assert_eq!(read_from(g, one, 4096, 0).unwrap().len(), 104);
        let removed = g.with_path("path_unlink_file", &[ROOT.into()], b"file-050", &[]);
        assert_eq!(removed, 0);
        assert_eq!(read_from(g, two, 4096, 0).unwrap().len(), 103);
        if !g.is_stock() {
            assert_eq!(read_from(g, one, 4096, 2).unwrap().len(), 102);
        }
        // The reused number of a closed directory does not have its snapshot.
        g.ok("fd_close", &[two.into()]);
        g.ok("fd_close", &[one.into()]);
        let reused = g.open("dir", DIRECTORY, FD_READ, 0).unwrap();
        assert_eq!(read_from(g, reused, 4096, 2).unwrap().len(), 0);
    });
}

/// A listing failed at the first name that is not UTF-8, so a C library, which ends at an error, never
/// saw the names that are sorted after it. Here all others come first. wasmtime-wasi fails the first
/// call, and so the whole listing.
#[test]
fn name_that_is_not_utf8_fails_after_all_others() {
    let prepare = |root: &Path| {
        hundred_files(root);
        for odd in [&b"bad-\xff"[..], b"\xfe", b"dir-\xc3", b"file-050\xff"] {
            fs::write(root.join(OsStr::from_bytes(odd)), "").unwrap();
        }
    };
    on_every_host(prepare, |g, _| {
        for length in [64, 300, 4096, 65536] {
            assert_eq!(read_from(g, ROOT, length, 0).err(), Some(ILSEQ));
            if g.is_stock() {
                continue;
            }
            let mut cookie = 0;
            let mut seen = BTreeSet::new();
            while let Ok(bytes) = g.readdir(ROOT, length, cookie) {
                assert_eq!(bytes.len(), length as usize, "not the end");
                for entry in parse(&bytes) {
                    cookie = entry.next;
                    assert!(seen.insert(entry.name), "a name comes once");
                }
            }
            assert_eq!(seen.len(), 104);
            assert_eq!(g.readdir(ROOT, length, cookie), Err(ILSEQ), "and again");
        }
    });
}

/// All guests of a mount share a budget of bytes for listings, so one guest may use half of the limit.
#[test]
fn guest_gets_half_of_the_bytes_for_listings() {
    const NAMES: usize = 12;
    let mut limits = Limits::default();
    // A listing of all names, of 100 bytes each, is larger than half of the limit and smaller than all of it.
    limits.listing_bytes = 2000;
    for host in HOSTS.into_iter().filter(|host| *host != Host::Stock) {
        let dir = tempfile::tempdir().unwrap();
        let name = |at: usize| format!("{at:0>100}");
        for at in 0..NAMES {
            fs::write(dir.path().join(name(at)), "").unwrap();
        }
        let files = files(host, dir.path(), FsPerms::ReadWrite, limits.clone()).build();
        let g = &mut Guest::on(host, &files);
        assert_eq!(g.readdir(ROOT, 4096, 0), Err(NOMEM), "{host:?}");
        for at in NAMES / 2..NAMES {
            let removed = g.with_path("path_unlink_file", &[ROOT.into()], name(at).as_bytes(), &[]);
            assert_eq!(removed, 0);
        }
        for _ in 0..9 {
            assert!(g.readdir(ROOT, 4096, 0).is_ok(), "{host:?}");
        }
    }
}
