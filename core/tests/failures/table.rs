//! Each failing call in each layout, with the one log line that it writes.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::{Limits, Live, Lower, Overlay, SetTime, SetTimes};

/// Two layers and an upper on the host.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for dir in [
            "low/etc",
            "low/opaque",
            "low/kept",
            "top/etc",
            "top/opaque",
            "up/etc",
        ] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        for (path, text) in [
            ("low/etc/hidden", "x"),
            ("top/etc/.wh.hidden", ""),
            ("low/etc/removed", "x"),
            ("up/etc/.wh.removed", ""),
            ("low/opaque/below", "x"),
            ("top/opaque/.wh..wh..opq", ""),
            ("low/etc/file", "x"),
            ("top/etc/.wh.nothing", ""),
            ("low/kept/file", "x"),
        ] {
            fs::write(at(path), text).unwrap();
        }
        symlink("/etc/file", at("low/absolute")).unwrap();
        symlink("../../x", at("low/etc/out")).unwrap();
        symlink("loop", at("low/loop")).unwrap();
        symlink("etc/gone", at("low/dangling")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("low/fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        Self { folder }
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn lowers(&self) -> wasi_overlay_core::OverlayBuilder {
        let lower = |name: &str| {
            let dir = HostDir::new(capability(&self.at(name)), name);
            Lower::host_dir(dir).unwrap()
        };
        Overlay::builder().lower(lower("low")).lower(lower("top"))
    }

    fn overlay(&self) -> Overlay {
        let upper = capability(&self.at("up"));
        self.lowers().upper_dir("up", upper).build().unwrap()
    }
}

/// The one line of a call that failed with `errno`.
#[track_caller]
fn one_line<T>(errno: Errno, call: impl FnOnce() -> wasi_overlay_core::Result<T>) -> Line {
    let (answer, mut lines) = lines_of(Level::DEBUG, call);
    let error = answer.err().expect("the call fails");
    assert_eq!(error.errno(), errno, "{error}");
    assert!(error.is_logged() || !error.has_details(), "{error:?}");
    let line = lines.pop().expect("a line");
    assert!(lines.is_empty(), "more than one line: {lines:?}, {line:?}");
    line
}

/// Asserts that `call` fails with `errno`, and writes one line with this call, path and layer, and with these
/// words in its reason and its remedy.
#[track_caller]
fn check<T>(
    errno: Errno,
    call: impl FnOnce() -> wasi_overlay_core::Result<T>,
    [name, path, layer, reason, remedy]: [&str; 5],
) {
    let line = one_line(errno, call);
    assert_eq!(line.get("call"), name, "{line:?}");
    assert_eq!(line.get("path"), format!("\"{path}\""), "{line:?}");
    assert_eq!(line.get("layer").trim_matches('"'), layer, "{line:?}");
    assert!(line.get("reason").contains(reason), "{line:?}");
    assert!(line.get("remedy").contains(remedy), "{line:?}");
    let has_remedy = line.fields.contains_key("remedy");
    assert_eq!(has_remedy, !remedy.is_empty(), "{line:?}");
    for value in line.fields.values() {
        assert!(!value.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn every_failed_call_logs_path_layer_and_reason() {
    use Errno as E;
    type Call = fn(&Dir) -> wasi_overlay_core::Result<()>;
    let world = World::new();
    let overlay = world.overlay();
    let long = "x".repeat(256);
    let stat = |path: &'static str| move |dir: &Dir| dir.stat_at(path, true).map(drop);
    #[rustfmt::skip]
    let table: [(E, Call, [&str; 5]); 25] = [
        (E::NoEntry, |d| d.stat_at("none", true).map(drop), ["stat-at", "none", "", "no layer has `none`", ""]),
        (E::NoEntry, |d| d.stat_at("etc/none/x", true).map(drop),
         ["stat-at", "etc/none/x", "", "no layer has `etc/none`", ""]),
        (E::NoEntry, |d| d.stat_at("etc/hidden", true).map(drop),
         ["stat-at", "etc/hidden", "top", "the whiteout of `etc/hidden`; the layer `low` has it", ""]),
        (E::NoEntry, |d| d.stat_at("etc/nothing", true).map(drop),
         ["stat-at", "etc/nothing", "top", "no layer has `etc/nothing`; the whiteout of `etc/nothing` is there", ""]),
        (E::NoEntry, |d| d.open_at("etc/removed", READ).map(drop),
         ["open-at", "etc/removed", "up", "a whiteout in the upper; the layer `low` has it", ""]),
        (E::NoEntry, |d| d.unlink_file_at("opaque/below"),
         ["unlink-file-at", "opaque/below", "top", "hidden by the opaque directory `opaque`; the layer `low` has it", ""]),
        (E::NoEntry, |d| d.stat_at("dangling", true).map(drop),
         ["stat-at", "dangling", "", "no layer has `etc/gone`", ""]),
        (E::NoEntry, |d| d.stat_at("etc/.wh.hidden", true).map(drop),
         ["stat-at", "etc/.wh.hidden", "", "names that begin with .wh.", ""]),
        (E::NotPermitted, |d| d.create_directory_at("etc/.wh.x"),
         ["create-directory-at", "etc/.wh.x", "", "names that begin with .wh.", ""]),
        (E::NotPermitted, |d| d.stat_at("/etc", true).map(drop), ["stat-at", "/etc", "", "an absolute path", ""]),
        (E::NotPermitted, |d| d.stat_at("etc/out", true).map(drop), ["stat-at", "etc/out", "", "leads above", ""]),
        (E::NotPermitted, |d| d.stat_at("..", true).map(drop), ["stat-at", "..", "", "leads above", ""]),
        (E::Loop, |d| d.stat_at("loop", true).map(drop), ["stat-at", "loop", "", "Limits::link_hops", ""]),
        (E::Loop, |d| d.open_at("dangling", how("rn")).map(drop),
         ["open-at", "dangling", "", "a symbolic link", ""]),
        (E::NotDirectory, |d| d.stat_at("etc/file/x", true).map(drop),
         ["stat-at", "etc/file/x", "", "`file` in the path is not a directory", ""]),
        (E::NotDirectory, |d| d.stat_at("etc/file/", true).map(drop),
         ["stat-at", "etc/file/", "", "ends in a slash", ""]),
        (E::Unsupported, |d| d.open_at("fifo", READ).map(drop), ["open-at", "fifo", "", "FIFOs, sockets", ""]),
        (E::NotEmpty, |d| d.remove_directory_at("etc"),
         ["remove-directory-at", "etc", "", "directory not empty", ""]),
        (E::Exist, |d| d.create_directory_at("etc"), ["create-directory-at", "etc", "", "file exists", ""]),
        (E::IsDirectory, |d| d.open_at("etc", WRITE).map(drop), ["open-at", "etc", "", "is a directory", ""]),
        (E::NotPermitted, |d| d.symlink_at("/x", "new"), ["symlink-at", "new", "", "absolute", ""]),
        (E::Invalid, |d| d.readlink_at("etc/file").map(drop),
         ["readlink-at", "etc/file", "", "not a symbolic link", ""]),
        (E::Invalid, |d| d.rename_at("etc", d, "etc/x"), ["rename-at", "etc", "", "into itself", ""]),
        (E::NoEntry, |d| d.rename_at("etc/hidden", d, "x"), ["rename-at", "etc/hidden", "top", "the whiteout", ""]),
        (E::NoEntry, |d| d.link_at("etc/file", d, "none/x"),
         ["link-at", "etc/file", "", "no layer has `none`", ""]),
    ];
    let root = overlay.root();
    for (errno, call, expected) in table {
        check(errno, || call(&root), expected);
    }
    check(
        E::NameTooLong,
        || root.stat_at(&long, true),
        ["stat-at", &long, "", "255 bytes", ""],
    );
    // The path is relative to the root of the mount, whatever directory the call is on.
    let etc = dir(&root, "etc");
    check(
        E::NoEntry,
        || stat("none")(&etc),
        ["stat-at", "etc/none", "", "no layer has `etc/none`", ""],
    );
    check(
        E::NotPermitted,
        || etc.stat_at("../kept", true),
        ["stat-at", "etc/../kept", "", "leads above", ""],
    );
    let line = one_line(E::NoEntry, || etc.rename_at("file", &root, "none/x"));
    assert_eq!(line.get("to"), "\"none/x\"");
    // A removed directory.
    root.create_directory_at("gone").unwrap();
    let gone = dir(&root, "gone");
    root.remove_directory_at("gone").unwrap();
    check(
        E::NoEntry,
        || gone.stat_at("x", true),
        [
            "stat-at",
            "(removed)/x",
            "",
            "the directory was removed",
            "",
        ],
    );
    check(
        E::NoEntry,
        || gone.list(),
        [
            "read-directory",
            "(removed)",
            "",
            "the directory was removed",
            "",
        ],
    );
}

#[test]
fn failed_calls_on_an_open_file_log_its_path() {
    let world = World::new();
    let overlay = world.overlay();
    let root = overlay.root();
    let lower = file(&root, "etc/file", READ);
    check(
        Errno::BadDescriptor,
        || lower.write_at(b"x", 0),
        ["write", "etc/file", "low", "not opened for writing", ""],
    );
    check(
        Errno::Invalid,
        || lower.set_size(1),
        ["set-size", "etc/file", "low", "not opened for writing", ""],
    );
    check(
        Errno::Invalid,
        || lower.read_at(&mut [0], u64::MAX),
        ["read", "etc/file", "low", "2^63", ""],
    );
    let upper = file(&root, "kept/file", how("w"));
    check(
        Errno::BadDescriptor,
        || upper.read_at(&mut [0], 0),
        ["read", "kept/file", "up", "not opened for reading", ""],
    );
    root.unlink_file_at("kept/file").unwrap();
    let line = one_line(Errno::BadDescriptor, || upper.read_at(&mut [0], 0));
    assert!(!line.fields.contains_key("path"), "{line:?}");
    overlay.close().unwrap();
    let line = one_line(Errno::Io, || upper.write_at(b"x", 0));
    assert!(line.get("reason").contains("closed"), "{line:?}");
}

#[test]
fn read_only_error_names_the_mount_to_use_instead() {
    let world = World::new();
    let writable = world.overlay();
    let without_upper = world.lowers().build().unwrap();
    let read_only = world
        .lowers()
        .upper_memory(1 << 20)
        .read_only(true)
        .build()
        .unwrap();
    let now = SetTimes {
        accessed: SetTime::Now,
        modified: SetTime::Now,
    };
    for (root, reason, remedy) in [
        (
            writable.read_only_root(),
            "given the mount read-only",
            "FsPerms::ReadOnly",
        ),
        (without_upper.root(), "no upper", "--upper"),
        (read_only.root(), "the mount is read-only", "--read-only"),
    ] {
        let expected = |call| [call, "etc/file", "", reason, remedy];
        check(
            Errno::ReadOnly,
            || root.open_at("etc/file", WRITE),
            expected("open-at"),
        );
        check(
            Errno::ReadOnly,
            || root.unlink_file_at("etc/file"),
            expected("unlink-file-at"),
        );
        check(
            Errno::ReadOnly,
            || root.set_times_at("etc/file", true, now),
            expected("set-times-at"),
        );
        check(
            Errno::ReadOnly,
            || root.rename_at("etc/file", &root, "x"),
            expected("rename-at"),
        );
        let file = file(&root, "etc/file", READ);
        let line = one_line(Errno::ReadOnly, || file.set_size(0));
        assert!(line.get("reason").contains(reason), "{line:?}");
    }
    let other = without_upper.root();
    let link = || writable.root().link_at("etc/file", &other, "x");
    check(
        Errno::CrossDevice,
        link,
        [
            "link-at",
            "etc/file",
            "",
            "different mounts",
            "copy the file",
        ],
    );
}

#[test]
fn live_mount_logs_its_directory_and_the_system_error() {
    let world = World::new();
    let low = world.at("low");
    let live = Live::new(capability(&low));
    let low = low.canonicalize().unwrap();
    let low = low.to_str().unwrap();
    let root = live.root();
    check(
        Errno::NoEntry,
        || root.stat_at("none", true),
        ["stat-at", "none", low, "no such file or directory", ""],
    );
    check(
        Errno::NotPermitted,
        || root.stat_at("etc/../../x", true),
        [
            "stat-at",
            "etc/../../x",
            low,
            "outside of the filesystem",
            "",
        ],
    );
    check(
        Errno::NotEmpty,
        || root.remove_directory_at("etc"),
        ["remove-directory-at", "etc", low, "Directory not empty", ""],
    );
    let read_only = Live::read_only(capability(&world.at("low"))).root();
    check(
        Errno::ReadOnly,
        || read_only.unlink_file_at("etc/file"),
        [
            "unlink-file-at",
            "etc/file",
            low,
            "mounted read-only",
            "::ro",
        ],
    );
    let opened = file(&root, "etc/file", READ);
    check(
        Errno::BadDescriptor,
        || opened.write_at(b"x", 0),
        [
            "write",
            &format!("{low}/etc/file"),
            "",
            "Bad file descriptor",
            "",
        ],
    );
}

#[test]
fn host_error_names_the_layer() {
    if !rustix::process::geteuid().is_root() {
        let world = World::new();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(world.at("low/kept/file"), PermissionsExt::from_mode(0o000)).unwrap();
        let root = world.overlay().root();
        let expected = ["open-at", "kept/file", "low", "Permission denied", ""];
        check(Errno::Access, || root.open_at("kept/file", READ), expected);
        return;
    }
    // The system refuses nothing to root, so the engine enforces the modes.
    let world = World::new();
    let overlay = world
        .lowers()
        .upper_memory(1 << 20)
        .obey_modes(true)
        .build()
        .unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(world.at("low/kept/file"), PermissionsExt::from_mode(0o444)).unwrap();
    check(
        Errno::Access,
        || overlay.root().open_at("kept/file", WRITE),
        [
            "open-at",
            "kept/file",
            "low",
            "permission bits of `kept/file`",
            "obey_modes",
        ],
    );
}

#[test]
fn limit_error_names_the_limit() {
    let world = World::new();
    let mut limits = Limits::default();
    limits.path_bytes = 64;
    limits.listing_bytes = 0;
    limits.depth = 1;
    let overlay = world
        .lowers()
        .upper_memory(1 << 20)
        .limits(limits)
        .build()
        .unwrap();
    let root = overlay.root();
    let long = "x/".repeat(40);
    check(
        Errno::NameTooLong,
        || root.stat_at(&long, true),
        ["stat-at", &long, "", "Limits::path_bytes", ""],
    );
    check(
        Errno::InsufficientMemory,
        || root.list(),
        [
            "read-directory",
            ".",
            "",
            "Limits::listing_bytes",
            "raise the limit",
        ],
    );
    check(
        Errno::NameTooLong,
        || root.create_directory_at("etc/x"),
        ["create-directory-at", "etc/x", "", "Limits::depth", ""],
    );
}

/// A guest chooses names, which must not add lines or colours to the log.
#[test]
fn guest_text_cannot_break_out_of_its_log_line() {
    let world = World::new();
    let overlay = world.overlay();
    let root = overlay.root();
    let evil = "a\n WARN forged\u{1b}[2J\u{202e}\"x=\"y";
    root.symlink_at(evil, "link").unwrap();
    for (path, follow) in [(evil, false), ("link", true)] {
        let line = one_line(Errno::NoEntry, || root.stat_at(path, follow));
        for value in line.fields.values() {
            assert!(
                !value.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{line:?}"
            );
        }
        assert!(line.get("reason").contains("forged"), "{line:?}");
    }
    let long = ["\u{1}"; 2000].join("/");
    let line = one_line(Errno::NoEntry, || root.stat_at(&long, true));
    assert!(line.get("path").len() < 4000, "{}", line.get("path").len());
}

#[test]
fn absolute_link_error_names_the_link_and_the_option() {
    let world = World::new();
    let overlay = world.overlay();
    let root = overlay.root();
    for call in ["stat-at", "readlink-at"] {
        let reason = "`absolute` leads to the absolute path `/etc/file`";
        let read = || match call {
            "stat-at" => root.stat_at("absolute", true).map(drop),
            _ => root.readlink_at("absolute").map(drop),
        };
        check(
            Errno::NotPermitted,
            read,
            [call, "absolute", "", reason, "--absolute-symlinks root"],
        );
    }
    let followed = world
        .lowers()
        .absolute_symlinks(AbsoluteSymlinks::Root)
        .build()
        .unwrap();
    followed.root().stat_at("absolute", true).unwrap();
}
