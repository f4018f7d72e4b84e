//! Tests of descriptor numbers, of descriptors' rights, flags and metadata, and of the limit on open files.

use crate::driver::*;
use std::fs;
use wasi_overlay::{FsPerms, Limits};

fn two_files(root: &std::path::Path) {
    fs::write(root.join("a"), "alpha").unwrap();
    fs::write(root.join("b"), "beta").unwrap();
    fs::create_dir(root.join("d")).unwrap();
}

#[test]
fn preopens_begin_at_three() {
    on_every_host(two_files, |g, _| {
        let out = g.alloc(8);
        g.ok("fd_prestat_get", &[ROOT.into(), out.into()]);
        assert_eq!((g.u32_at(out), g.u32_at(out + 4)), (0, 1));
        let name = g.alloc(8);
        g.ok("fd_prestat_dir_name", &[ROOT.into(), name.into(), 8]);
        assert_eq!(g.peek(name, 1), b"/");
        let short = g.call("fd_prestat_dir_name", &[ROOT.into(), name.into(), 0]);
        assert_eq!(short, NAMETOOLONG);
        for fd in [0, 4] {
            assert_eq!(g.call("fd_prestat_get", &[fd, out.into()]), BADF);
        }
        let a = g.open("a", 0, FD_READ, 0).unwrap();
        assert_eq!(g.call("fd_prestat_get", &[a.into(), out.into()]), BADF);
        let args = [a.into(), name.into(), 8];
        assert_eq!(g.call("fd_prestat_dir_name", &args), NOTDIR);
    });
}

#[test]
fn new_descriptor_gets_the_lowest_free_number() {
    on_every_host(two_files, |g, _| {
        let fds: Vec<u32> = (0..4)
            .map(|_| g.open("a", 0, FD_READ, 0).unwrap())
            .collect();
        assert_eq!(fds, [4, 5, 6, 7]);
        g.ok("fd_close", &[5]);
        g.ok("fd_close", &[6]);
        assert_eq!(g.call("fd_close", &[5]), BADF);
        // POSIX: the lowest free number. wasmtime-wasi reuses the highest number that became free.
        let expected = if g.is_stock() { [6, 5, 8] } else { [5, 6, 8] };
        assert_eq!(
            [(); 3].map(|()| g.open("a", 0, FD_READ, 0).unwrap()),
            expected
        );
    });
}

#[test]
fn a_preopen_can_be_closed() {
    on_every_host(two_files, |g, _| {
        g.ok("fd_close", &[ROOT.into()]);
        assert_eq!(g.open("a", 0, FD_READ, 0), Err(BADF));
        assert_eq!(g.call("fd_prestat_get", &[ROOT.into(), 0]), BADF);
    });
}

#[test]
fn a_file_takes_the_place_of_a_standard_stream() {
    on_every_host(two_files, |g, root| {
        let a = g.open("a", 0, RW, 0).unwrap();
        g.ok("fd_renumber", &[a.into(), 1]);
        assert_eq!(g.write(1, b"ALP"), Ok(3));
        assert_eq!(fs::read(root.join("a")).unwrap(), b"ALPha");
        assert!(g.stdout.contents().is_empty());
        assert_eq!(g.write(a, b"x"), Err(BADF));
    });
}

#[test]
fn a_standard_stream_takes_the_place_of_a_file() {
    on_every_host(two_files, |g, root| {
        let a = g.open("a", 0, RW, 0).unwrap();
        g.ok("fd_renumber", &[1, a.into()]);
        assert_eq!(g.write(a, b"out"), Ok(3));
        assert_eq!(&g.stdout.contents()[..], b"out");
        assert_eq!(fs::read(root.join("a")).unwrap(), b"alpha");
        assert_eq!(g.write(1, b"x"), Err(BADF));
        // Standard output is the first free number now.
        assert_eq!(g.open("b", 0, FD_READ, 0), Ok(1));
        assert_eq!(g.read(1, 10).unwrap(), b"beta");
    });
}

#[test]
fn standard_streams_swap_through_a_file() {
    on_every_host(two_files, |g, _| {
        let a = g.open("a", 0, RW, 0).unwrap();
        g.ok("fd_renumber", &[0, a.into()]);
        g.ok("fd_renumber", &[1, 1]);
        assert_eq!(g.read(a, 8).unwrap(), b"standard");
        assert_eq!(g.read(0, 8), Err(BADF));
        assert_eq!(g.call("fd_renumber", &[99, 1]), BADF);
        assert_eq!(g.call("fd_renumber", &[1, 99]), BADF);
        assert_eq!(g.write(1, b"still"), Ok(5));
    });
}

#[test]
fn a_closed_stream_stays_closed() {
    on_every_host(two_files, |g, _| {
        g.ok("fd_close", &[1]);
        assert_eq!(g.write(1, b"x"), Err(BADF));
        assert_eq!(g.call("fd_close", &[1]), BADF);
    });
}

#[test]
fn rights_and_flags_match_wasmtime_wasi() {
    let mut seen = Vec::new();
    for host in HOSTS {
        let dir = tempfile::tempdir().unwrap();
        two_files(dir.path());
        let g = &mut Guest::new(host, dir.path());
        let r = g.open("a", 0, FD_READ, 0).unwrap();
        let w = g.open("a", 0, FD_WRITE, APPEND).unwrap();
        let rw = g.open("a", 0, RW, NONBLOCK).unwrap();
        let none = g.open("a", 0, 0, 0).unwrap();
        let made = g.open("new", CREAT, FD_READ, 0).unwrap();
        let d = g.open("d", DIRECTORY, FD_READ, 0).unwrap();
        let fds = [0, 1, 2, ROOT, r, w, rw, none, made, d, 99];
        let stats = fds.map(|fd| g.fdstat(fd));
        assert_eq!(stats[5].unwrap().1, APPEND);
        seen.push((host, stats));
    }
    for (host, stats) in &seen[1..] {
        assert_eq!(stats, &seen[0].1, "{host:?} against wasmtime-wasi");
    }
}

#[test]
fn append_is_set_and_unset() {
    on_every_host(two_files, |g, root| {
        let a = g.open("a", 0, RW, 0).unwrap();
        g.ok("fd_fdstat_set_flags", &[a.into(), APPEND.into()]);
        assert_eq!(g.write(a, b"!"), Ok(1));
        assert_eq!(g.tell(a), Ok(6));
        g.ok("fd_fdstat_set_flags", &[a.into(), 0]);
        g.seek(a, 0, 0).unwrap();
        assert_eq!(g.write(a, b"A"), Ok(1));
        assert_eq!(fs::read(root.join("a")).unwrap(), b"Alpha!");
        let dsync = g.call("fd_fdstat_set_flags", &[a.into(), DSYNC.into()]);
        assert_eq!(dsync, INVAL);
        for fd in [1, ROOT.into(), 99] {
            assert_eq!(g.call("fd_fdstat_set_flags", &[fd, 0]), BADF);
        }
        assert_eq!(g.open("a", 0, FD_WRITE, DSYNC), Err(NOTSUP));
    });
}

#[test]
fn call_on_descriptor_of_wrong_kind_is_refused() {
    on_every_host(two_files, |g, _| {
        let a = g.open("a", 0, RW, 0).unwrap();
        let out = i64::from(g.alloc(64));
        for (name, args) in [
            ("fd_advise", vec![0, 0, 0]),
            ("fd_allocate", vec![0, 1]),
            ("fd_datasync", vec![]),
            ("fd_sync", vec![]),
            ("fd_filestat_set_size", vec![0]),
        ] {
            for fd in [1, ROOT.into(), 99] {
                let args: Vec<i64> = [fd].into_iter().chain(args.iter().copied()).collect();
                assert_eq!(g.call(name, &args), BADF, "{name} of {fd}");
            }
        }
        assert_eq!(g.read(ROOT, 1), Err(BADF));
        assert_eq!(g.write(ROOT, b"x"), Err(BADF));
        assert_eq!(g.seek(ROOT, 0, 0), Err(BADF));
        assert_eq!(g.seek(1, 0, 0), Err(SPIPE));
        assert_eq!(g.tell(1), Err(SPIPE));
        assert_eq!(g.readdir(a, 100, 0), Err(BADF));
        assert_eq!(g.readdir(1, 100, 0), Err(BADF));
        assert_eq!(g.call("fd_allocate", &[a.into(), 0, 1]), NOTSUP);
        assert_eq!(g.call("fd_fdstat_set_rights", &[a.into(), 0, 0]), NOTSUP);
        assert_eq!(g.call("fd_fdstat_set_rights", &[1, 0, 0]), BADF);
        assert_eq!(g.call("sock_shutdown", &[a.into(), 1]), NOTSOCK);
        assert_eq!(g.call("sock_shutdown", &[99, 1]), BADF);
        assert_eq!(g.call("fd_filestat_set_times", &[1, 0, 0, 0]), BADF);
        let both = 1 | 2;
        let args = [a.into(), 0, 0, both];
        assert_eq!(g.call("fd_filestat_set_times", &args), INVAL);
        let read = g.call("fd_pread", &[0, out, 0, 0, out]);
        assert_eq!(read, SPIPE);
        let wrong = g.call("fd_pread", &[1, out, 0, 0, out]);
        assert_eq!(wrong, BADF);
        let write = g.call("fd_pwrite", &[1, out, 0, 0, out]);
        assert_eq!(write, SPIPE);
        for (dirfd, errno) in [(a, NOTDIR), (1, BADF), (99, BADF)] {
            let after = [0, 0, 0, 0, out];
            let opened = g.with_path("path_open", &[dirfd.into(), 0], b"x", &after);
            assert_eq!(opened, errno);
            let made = g.with_path("path_create_directory", &[dirfd.into()], b"x", &[]);
            assert_eq!(made, BADF);
        }
    });
}

#[test]
fn filestat_matches_the_host_metadata() {
    let prepare = |root: &std::path::Path| {
        two_files(root);
        fs::hard_link(root.join("a"), root.join("a2")).unwrap();
    };
    on_every_host(prepare, |g, _| {
        let a = g.open("a", 0, RW, 0).unwrap();
        let out = g.alloc(64);
        let second = 1_000_000_000;
        let args = [a.into(), 5 * second + 7, 6 * second + 8, 1 | 4];
        g.ok("fd_filestat_set_times", &args);
        g.ok("fd_filestat_get", &[a.into(), out.into()]);
        let of_fd = g.peek(out, 64);
        let errno = g.with_path("path_filestat_get", &[ROOT.into(), 0], b"a2", &[out.into()]);
        assert_eq!(errno, 0);
        assert_eq!(g.peek(out, 64), of_fd, "two names of one file");
        assert_eq!(g.u64_at(out), 1, "device");
        assert_eq!(g.peek(out + 16, 1), [4], "regular file");
        assert_eq!(g.u64_at(out + 24), 2, "links");
        assert_eq!(g.u64_at(out + 32), 5, "size");
        assert_eq!(g.u64_at(out + 40), 5_000_000_007, "accessed");
        assert_eq!(g.u64_at(out + 48), 6_000_000_008, "modified");
    });
}

/// How many handles a guest may have open in these tests: fewer than any process may have.
const FEW: usize = 8;

fn few() -> Limits {
    let mut limits = Limits::default();
    limits.open_handles = FEW;
    limits
}

/// Opens `path` until that fails; returns the descriptors and the error.
fn open_all(g: &mut Guest, path: &str, oflags: u16, rights: u64) -> (Vec<u32>, i32) {
    let mut opened = Vec::new();
    loop {
        assert!(opened.len() <= FEW, "no limit on open files");
        match g.open(path, oflags, rights, 0) {
            Ok(fd) => opened.push(fd),
            Err(errno) => return (opened, errno),
        }
    }
}

/// This test used to take whatever error came first, of the process or of the guest, and no bound was known.
#[test]
fn open_past_the_limit_of_the_guest_is_mfile() {
    for host in HOSTS.into_iter().filter(|host| *host != Host::Stock) {
        let dir = tempfile::tempdir().unwrap();
        two_files(dir.path());
        let files = files(host, dir.path(), FsPerms::ReadWrite, few()).build();
        let g = &mut Guest::on(host, &files);
        for (path, oflags, rights) in [("a", 0, FD_READ), ("b", 0, RW), ("d", DIRECTORY, 0)] {
            let (opened, errno) = open_all(g, path, oflags, rights);
            assert_eq!((opened.len(), errno), (FEW, MFILE), "{host:?}: {path}");
            // A refused call creates and truncates nothing.
            assert_eq!(g.open("new", CREAT, RW, 0), Err(MFILE));
            assert_eq!(g.open("a", TRUNC, RW, 0), Err(MFILE));
            assert!(!dir.path().join("new").exists());
            assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"alpha");
            // After closing one, one more can be opened.
            let middle = opened[FEW / 2];
            g.ok("fd_close", &[middle.into()]);
            assert_eq!(g.open(path, oflags, rights, 0), Ok(middle));
            assert_eq!(g.open(path, oflags, rights, 0), Err(MFILE));
            for fd in opened {
                g.ok("fd_close", &[fd.into()]);
            }
        }
    }
}

/// A context serves many guests. Each may open as many files as the limit allows, however many the others
/// have open.
#[test]
fn guests_of_one_context_have_separate_limits() {
    for host in [Host::Sync, Host::AsyncPool, Host::Overlay] {
        let dir = tempfile::tempdir().unwrap();
        two_files(dir.path());
        let mut builder = files(host, dir.path(), FsPerms::ReadWrite, few());
        let (one, other) = (builder.build(), builder.build());
        let mut guests = [&one, &one, &other].map(|files| Guest::on(host, files));
        for g in &mut guests {
            let (opened, errno) = open_all(g, "a", 0, FD_READ);
            assert_eq!((opened.len(), errno), (FEW, MFILE), "{host:?}");
        }
        drop(guests);
        let (opened, errno) = open_all(&mut Guest::on(host, &one), "a", 0, FD_READ);
        assert_eq!(
            (opened.len(), errno),
            (FEW, MFILE),
            "{host:?}: a third guest"
        );
    }
}

/// The table of descriptors had a bound of its own, 65,536, whatever the limit said.
#[test]
fn guest_can_use_a_limit_of_many_handles() {
    const MANY: usize = 100_000;
    let mut limits = Limits::default();
    limits.open_handles = MANY;
    let dir = tempfile::tempdir().unwrap();
    two_files(dir.path());
    // Directories of an overlay take no descriptors of the process.
    let files = files(Host::Overlay, dir.path(), FsPerms::ReadWrite, limits).build();
    let g = &mut Guest::on(Host::Overlay, &files);
    let path = g.put(b"d");
    let out = g.alloc(4);
    let args = [ROOT.into(), 0, path.into(), 1, 2, 0, 0, 0, out.into()];
    for _ in 0..MANY {
        g.ok("path_open", &args);
    }
    assert_eq!(g.u32_at(out) as usize, MANY + 3);
    assert_eq!(g.call("path_open", &args), MFILE);
    g.ok("fd_close", &[10]);
    g.ok("path_open", &args);
    assert_eq!(g.u32_at(out), 10);
}

/// A directory preopened with the wrong builder would silently be missing.
#[test]
fn directories_preopened_with_the_wrong_builder_are_an_error() {
    use wasi_overlay::{FsPerms, OverlayCtx, p1::OverlayP1Ctx};
    let dir = tempfile::tempdir().unwrap();
    let mut wasi = wasmtime_wasi::WasiCtxBuilder::new();
    let wasi = wasi
        .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
        .unwrap()
        .build_p1();
    let error = OverlayP1Ctx::new(wasi, &OverlayCtx::builder().build())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("OverlayCtxBuilder::dir"),
        "{error}"
    );
}
