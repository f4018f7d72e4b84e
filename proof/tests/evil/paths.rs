//! Paths that lead out of a mount, from a guest and from links in layers.

use crate::kit::{CALLS, Host, MOUNTS, Mount, ONLY_OUTSIDE, SECRET, run};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Lower, Overlay};
use wasi_overlay_proof::kit::{capability, dir};

fn paths(host: &Host) -> Vec<String> {
    let outside = host.outside().display().to_string();
    #[rustfmt::skip]
    let mut paths: Vec<String> = [
        "..", "../", "../.", "../..", "../secret", "../outside", "../outside/secret", "../upper/f", "../tree/f",
        "./../secret", "d/../../secret", "d/deep/../../../outside/secret", "d/..", "//", "/", "/.", "/..",
        "///secret", "./", ".", "", "f/..", "f/../..", "f/../../secret", "f/", "f/.", "x/../../outside",
        "none/../../secret", "none/../f", "abs", "abs/", "abs/secret", "abs-file", "abs-file/", "abs-new",
        "abs-root", "abs-root/etc/passwd", "abs-proc/secret", "abs-cwd", "abs-cwd/Cargo.toml", "rel", "rel/",
        "rel/.", "rel/secret", "rel/new", "rel/dir/deep/secret", "rel/link", "rel/../secret", "rel-slash",
        "rel-slash/secret", "rel-file", "rel-file/", "rel-new", "up", "up/", "up/secret", "up/outside/secret",
        "up/upper/f", "up-dot/secret", "up-slashes/secret", "chain/secret", "chain-file", "in-and-out",
        "deep-out/secret", "through/secret", "self", "self-up/secret", "whiteout", "here/../secret",
        "here/rel/secret", "d/up/f", "d/up/up/secret", "d/up-two/secret", "d/up-two/outside/new", "d/out/secret",
        "d/abs/secret", "d/deep/out/secret", "d/deep/out/../../secret", ".wh.x", ".wh..wh..opq", ".wh..wh.work",
        ".wh..wh.work/x", "d/.wh.f", ".wh.", ".wh..", ".wh.../x", "...", "..x", ".. ", "x\0", "\0", "../secret\0",
        "f\0/../../secret", "\\..\\secret", "%2e%2e/secret", "\u{2024}\u{2024}/secret", "\u{ff0e}\u{ff0e}/secret",
        "\u{2025}/secret", "\u{feff}../secret", "..\u{2215}secret", "e\u{301}/../../secret", "\u{202e}../secret",
    ]
    .map(str::to_owned)
    .into();
    paths.extend([
        outside.clone(),
        format!("{outside}/secret"),
        format!("/proc/self/root{outside}/secret"),
        format!("/proc/self/fd/0/../../..{outside}"),
        format!("..{outside}"),
        format!(".{outside}/secret"),
        format!("{}secret", "../".repeat(1000)),
        format!("{}etc/passwd", "../".repeat(40)),
        format!("{}secret", "d/../".repeat(500) + "../"),
        format!("{}f", "./".repeat(2000)),
        format!("{}secret", "d/up/".repeat(39) + "up/"),
        "n".repeat(255),
        "n".repeat(256),
        format!("d/{}", "n".repeat(256)),
        format!("{}/../../secret", "n".repeat(256)),
        format!(".wh.{}", "n".repeat(251)),
        "n/".repeat(2047) + "n",
        "n/".repeat(2049),
        "../".repeat(30_000),
    ]);
    paths
}

fn assert_no_secret(seen: &str, call: &str) {
    assert!(
        !seen.contains(SECRET),
        "{call} read what is outside: {seen}"
    );
    assert!(
        !seen.contains(ONLY_OUTSIDE),
        "{call} listed what is outside: {seen}"
    );
}

#[test]
fn no_path_leads_out() {
    let host = Host::new();
    let paths = paths(&host);
    let (mut attempts, mut refused) = (0_u64, 0_u64);
    for mount in MOUNTS {
        for call in CALLS {
            // A new mount for each call, so that paths can use what earlier paths created, but other calls cannot.
            for below in ["", "d"] {
                let (root, overlay) = host.mount(mount);
                let base = match below {
                    "" => root.clone(),
                    below => dir(&root, below),
                };
                for path in &paths {
                    let what = format!("{mount:?}: {call} of {:?} in {below:?}", short(path));
                    attempts += 1;
                    match run(&base, path, call) {
                        Ok(seen) => assert_no_secret(&seen, &what),
                        Err(error) => {
                            refused += 1;
                            assert_no_secret(&error, &what);
                        }
                    }
                }
                drop((root, base, overlay));
                host.must_be_untouched(&format!("{mount:?}: {call} in {below:?}"));
            }
        }
    }
    println!("paths: {attempts} attempts, {refused} refused");
    assert!(
        refused > attempts / 2 && refused < attempts,
        "nothing was tried"
    );
}

/// A link in a host directory cannot contain a NUL, but one in an embedder's layer can. Its target must not be
/// looked up in any layer.
#[test]
fn a_link_with_a_nul_leads_nowhere() {
    let layer = MemoryLayer::build().file("f", "data").symlink("l", "f\0/f");
    let lower = Lower::new("made", layer.finish().unwrap());
    let overlay = Overlay::builder().lower(lower).build().unwrap();
    let root = overlay.root();
    for path in ["l", "l/", "l/f"] {
        let stat = root.stat_at(path, true);
        assert_eq!(stat.unwrap_err().errno(), Errno::Invalid, "{path}");
    }
    assert!(root.stat_at("l", false).is_ok());
}

fn short(path: &str) -> String {
    path.chars().take(60).collect()
}

/// Shows that the tests can fail: the same calls on a mount that contains the secret.
#[test]
fn mount_of_the_parent_shows_the_secret() {
    let host = Host::new();
    host.write_tree("tree");
    let above = wasi_overlay_core::Live::new(capability(&host.path(""))).root();
    let mut found = 0;
    for call in CALLS {
        let answer = run(&above, "outside/secret", call);
        found += u32::from(answer.is_ok_and(|seen| seen.contains(SECRET)));
    }
    assert!(found >= 3, "{found} calls read the secret where they may");
    assert!(!host.is_untouched(), "changes outside are not seen");
}

/// Links in layers contain host paths. An absolute target is not readable, and errors are only codes.
#[test]
fn no_answer_contains_a_host_path() {
    let host = Host::new();
    for mount in MOUNTS {
        let (root, _overlay) = host.mount(mount);
        for link in ["abs", "abs-file", "abs-proc", "d/abs"] {
            let read = root.readlink_at(link);
            // If absolute links resolve from the root, their targets are the guest's own paths.
            if mount != Mount::AbsoluteLinks {
                assert_eq!(
                    read.unwrap_err().errno(),
                    Errno::NotPermitted,
                    "{mount:?} {link}"
                );
            }
        }
        for target in ["/", "/x", "//x"] {
            let made = root.symlink_at(target, "made");
            assert_eq!(
                made.unwrap_err().errno(),
                Errno::NotPermitted,
                "{mount:?} {target}"
            );
        }
    }
}

/// Names that are not UTF-8 are listed unchanged, and move with their directory. A guest cannot use them in a path.
#[test]
fn names_that_are_not_utf8_stay_unchanged() {
    let strange: [&[u8]; 4] = [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xae\xc0\xae"];
    for mount in [
        Mount::Directory,
        Mount::ByPath,
        Mount::Memory,
        Mount::UpperAlone,
    ] {
        let host = Host::new();
        host.write_tree("tree");
        let (root, overlay) = host.mount(mount);
        let tree = host.path(if mount == Mount::UpperAlone {
            "upper"
        } else {
            "tree"
        });
        for name in strange {
            fs::write(
                tree.join("d").join(std::ffi::OsStr::from_bytes(name)),
                "strange",
            )
            .unwrap();
        }
        let target = std::ffi::OsStr::from_bytes(b"\xff\xfe");
        std::os::unix::fs::symlink(target, tree.join("d/strange-link")).unwrap();
        let d = dir(&root, "d");
        let illegal = Errno::IllegalByteSequence;
        assert_eq!(d.readlink_at("strange-link").unwrap_err().errno(), illegal);
        let shown = |d: &Dir| {
            let listing = d.list().unwrap();
            let count = listing
                .iter()
                .filter(|entry| entry.name.to_str().is_err())
                .count();
            assert!(listing.iter().all(|entry| {
                entry.name.to_str().is_ok() || strange.contains(&entry.name.as_bytes())
            }));
            count
        };
        assert_eq!(shown(&d), strange.len(), "{mount:?}");
        root.rename_at("d", &root, "e").unwrap();
        assert_eq!(shown(&dir(&root, "e")), strange.len(), "{mount:?}");
        assert_eq!(
            root.remove_directory_at("e").unwrap_err().errno(),
            Errno::NotEmpty
        );
        drop((root, d, overlay));
        host.must_be_untouched("names that are no text");
    }
}
