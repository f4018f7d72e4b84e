//! Tests of what embedders do with a mount outside WASI: whole files, modes, a walk, paths of the host,
//! conversions to the types of the standard library.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{
    Errno, Error, Kind, Limits, Live, Lower, OpenHow, Overlay, Timestamp, cap_std,
};

fn layers() -> Overlay {
    let layer = MemoryLayer::build()
        .file("bin/tool", b"#!")
        .mode("bin/tool", 0o755)
        .file("bin/a", b"1234")
        .symlink("link", "bin/a")
        .file("z", b"");
    let lower = Lower::new("base", layer.finish().unwrap());
    let builder = Overlay::builder().lower(lower);
    builder.upper_memory(1 << 20).build().unwrap()
}

#[test]
fn whole_files_are_read_and_replaced() {
    let root = layers().root();
    assert_eq!(root.read("link", 4).unwrap(), b"1234");
    let too_large = root.read("bin/a", 3).unwrap_err();
    assert_eq!(too_large.errno(), Errno::FileTooLarge);
    root.write("bin/a", b"5").unwrap();
    assert_eq!(root.read("bin/a", 1).unwrap(), b"5");
    let large = vec![7; 200_000];
    root.write("new", &large).unwrap();
    assert_eq!(root.read("new", 1 << 20).unwrap(), large);
    let errno = |error: Error| error.errno();
    assert_eq!(root.read("bin", 1).map_err(errno), Err(Errno::IsDirectory));
    assert_eq!(
        root.write("bin", b"").map_err(errno),
        Err(Errno::IsDirectory)
    );
    assert_eq!(root.read("none", 1).map_err(errno), Err(Errno::NoEntry));
}

#[test]
fn walk_visits_directories_before_their_content_and_names_in_order() {
    let overlay = layers();
    let root = overlay.root();
    root.write("bin/new", b"").unwrap();
    root.unlink_file_at("z").unwrap();
    let found: Vec<_> = root.walk().map(Result::unwrap).collect();
    let found: Vec<_> = found
        .iter()
        .map(|entry| (entry.path.as_str(), entry.meta.kind))
        .collect();
    let file = Kind::File;
    let expected = [
        ("bin", Kind::Dir),
        ("bin/a", file),
        ("bin/new", file),
        ("bin/tool", file),
        ("link", Kind::Symlink),
    ];
    assert_eq!(found, expected);
    assert_eq!(root.meta_at("bin/tool", true).unwrap().mode, Some(0o755));
    assert_eq!(root.meta_at("link", true).unwrap().size, 4);
}

/// A guest chooses how deep a tree is.
#[test]
fn walk_of_a_deep_tree_does_not_recurse() {
    let mut limits = Limits::default();
    limits.depth = 20_000;
    let builder = Overlay::builder().limits(limits);
    let overlay = builder.upper_memory(1 << 30).build().unwrap();
    let mut dir = overlay.root();
    for _ in 0..10_000 {
        dir.create_directory_at("d").unwrap();
        let wasi_overlay_core::Opened::Dir(inside) = dir.open_at("d", OpenHow::DIRECTORY).unwrap()
        else {
            panic!("it is a directory");
        };
        dir = inside;
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(128 * 1024);
        let walk = || overlay.root().walk().map(Result::unwrap).count();
        let walked = thread.spawn_scoped(scope, walk).unwrap().join().unwrap();
        assert_eq!(walked, 10_000);
    });
}

#[test]
fn walk_reports_a_directory_that_cannot_be_listed_and_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let names = [&b"bad-\xff"[..], b"dir", b"good"];
    for name in names {
        use std::os::unix::ffi::OsStrExt;
        std::fs::create_dir(scratch.path().join(std::ffi::OsStr::from_bytes(name))).unwrap();
    }
    std::fs::write(scratch.path().join("dir/inside"), "").unwrap();
    let dir = cap_std::fs::Dir::open_ambient_dir(scratch.path(), cap_std::ambient_authority());
    let live = Live::new(dir.unwrap());
    let overlay = Overlay::builder().lower(Lower::path(scratch.path()).unwrap());
    let overlay = overlay.build().unwrap();
    for root in [live.root(), overlay.root()] {
        let mut paths = Vec::new();
        let mut errors = Vec::new();
        for entry in root.walk() {
            match entry {
                Ok(entry) => paths.push(entry.path),
                Err(error) => errors.push(error.errno()),
            }
        }
        assert_eq!(paths, ["dir", "dir/inside", "good"]);
        assert_eq!(errors, [Errno::IllegalByteSequence]);
    }
}

#[test]
fn directories_of_the_host_are_mounted_by_path() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    for name in ["base", "changes"] {
        std::fs::create_dir(path(name)).unwrap();
    }
    std::fs::write(path("base/file"), "lower").unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(path("base/file"), mode).unwrap();
    let builder = Overlay::builder().lower(Lower::path(path("base")).unwrap());
    let overlay = builder
        .upper_path(path("changes"))
        .unwrap()
        .build()
        .unwrap();
    overlay.root().write("file", b"changed").unwrap();
    assert_eq!(
        overlay.root().meta_at("file", true).unwrap().mode,
        Some(0o640)
    );
    overlay.close().unwrap();
    assert_eq!(std::fs::read(path("changes/file")).unwrap(), b"changed");
    assert_eq!(std::fs::read(path("base/file")).unwrap(), b"lower");

    for error in [
        Lower::path(path("none")).unwrap_err(),
        Overlay::builder().upper_path(path("none")).err().unwrap(),
    ] {
        assert_eq!(error.errno(), Errno::NoEntry);
        assert!(error.to_string().contains("none: "), "{error}");
    }
}

#[test]
fn errors_convert_to_io_errors_of_the_same_kind() {
    let root = layers().root();
    let error = io::Error::from(root.stat_at("none", true).unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let error = io::Error::from(root.remove_directory_at("bin").unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    assert_eq!(inner.map(Error::errno), Some(Errno::NotEmpty));
}

#[test]
fn timestamps_convert_to_system_time_and_back() {
    let times = [
        (0, 0, SystemTime::UNIX_EPOCH),
        (1, 5, SystemTime::UNIX_EPOCH + Duration::new(1, 5)),
        (-1, 0, SystemTime::UNIX_EPOCH - Duration::new(1, 0)),
        (
            -1,
            999_999_999,
            SystemTime::UNIX_EPOCH - Duration::new(0, 1),
        ),
        (
            -2,
            1,
            SystemTime::UNIX_EPOCH - Duration::new(1, 999_999_999),
        ),
    ];
    for (seconds, nanoseconds, system) in times {
        let time = Timestamp {
            seconds,
            nanoseconds,
        };
        assert_eq!(SystemTime::from(time), system);
        assert_eq!(Timestamp::from(system), time);
    }
}
