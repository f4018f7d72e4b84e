//! Warnings about conditions that affect every guest of a mount, which are logged once.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use wasi_overlay_core::{Error, Lower, Overlay};

fn lower(at: &Path) -> Lower {
    Lower::dir("the layer", capability(at)).unwrap()
}

/// The warnings among `lines`.
fn warnings(lines: &[Line]) -> Vec<&Line> {
    lines
        .iter()
        .filter(|line| line.level == Level::WARN)
        .collect()
}

#[test]
fn absolute_link_is_warned_about_once_per_mount() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/etc/file", folder.path().join("absolute")).unwrap();
    symlink("/etc", folder.path().join("other")).unwrap();
    for _mount in 0..2 {
        let overlay = Overlay::builder()
            .lower(lower(folder.path()))
            .build()
            .unwrap();
        let root = overlay.root();
        let ((), lines) = lines_of(Level::WARN, || {
            for path in ["absolute", "other", "absolute"] {
                assert!(root.stat_at(path, true).is_err());
                assert!(root.readlink_at(path).is_err());
            }
        });
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(line.level, Level::WARN);
        assert_eq!(line.get("path"), "\"absolute\"");
        assert!(line.get("reason").contains("`/etc/file`"), "{line:?}");
        assert!(
            line.get("remedy").contains("--absolute-symlinks root"),
            "{line:?}"
        );
    }
}

#[test]
fn warning_is_given_after_the_log_level_filtered_it() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/etc/file", folder.path().join("absolute")).unwrap();
    let overlay = Overlay::builder()
        .lower(lower(folder.path()))
        .build()
        .unwrap();
    assert!(overlay.root().stat_at("absolute", true).is_err());
    let (_, lines) = lines_of(Level::ERROR, || overlay.root().stat_at("absolute", true));
    assert!(lines.is_empty());
    let (_, lines) = lines_of(Level::DEBUG, || overlay.root().stat_at("absolute", true));
    assert_eq!(warnings(&lines).len(), 1, "{lines:?}");
    let (_, lines) = lines_of(Level::DEBUG, || overlay.root().stat_at("absolute", true));
    assert_eq!((lines.len(), warnings(&lines).len()), (1, 0), "{lines:?}");
}

#[test]
fn broken_whiteout_is_warned_about_once_per_mount() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/.wh..."), "").unwrap();
    let overlay = Overlay::builder()
        .lower(lower(folder.path()))
        .build()
        .unwrap();
    let ((), lines) = lines_of(Level::WARN, || {
        for path in ["d/x", "d/y"] {
            let error = overlay.root().stat_at(path, true).unwrap_err();
            assert_eq!(error.errno(), Errno::Unsupported);
        }
        assert!(dir(&overlay.root(), "d").list().is_err());
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(line.get("call"), "stat-at");
    assert_eq!(line.get("layer"), "\"the layer\"");
    assert!(
        line.get("reason").contains("in d: the whiteout `.wh...`"),
        "{line:?}"
    );
    assert!(line.get("remedy").contains("remove the file"), "{line:?}");
}

#[test]
fn unsupported_layer_is_warned_about_once_per_mount() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&path, "user.overlay.redirect", b"/elsewhere", flags).unwrap();
    }
    let overlay = Overlay::builder()
        .lower(lower(folder.path()))
        .build()
        .unwrap();
    let ((), lines) = lines_of(Level::WARN, || {
        for path in ["one/x", "two/x", "one/x"] {
            let error = overlay.root().stat_at(path, true).unwrap_err();
            assert_eq!(error.errno(), Errno::Unsupported);
        }
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(line.get("path"), "\"one/x\"");
    assert_eq!(line.get("layer"), "\"the layer\"");
    let reason = line.get("reason");
    assert!(reason.contains("user.overlay.redirect"), "{line:?}");
    assert!(line.get("remedy").contains("copy the merged"), "{line:?}");
}

#[test]
fn full_memory_upper_is_warned_about_once_per_mount() {
    let overlay = Overlay::builder().upper_memory(1000).build().unwrap();
    let root = overlay.root();
    let file = file(&root, "f", CREATE);
    let ((), lines) = lines_of(Level::WARN, || {
        for _ in 0..3 {
            let error = file.write_at(&[1; 100_000], 0).unwrap_err();
            assert_eq!(error.errno(), Errno::InsufficientSpace);
        }
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(line.get("call"), "write");
    assert_eq!(line.get("path"), "\"f\"");
    assert_eq!(line.get("layer"), "\"memory\"");
    assert!(line.get("reason").contains("1000 bytes"), "{line:?}");
    assert!(line.get("remedy").contains("memory:SIZE"), "{line:?}");
}

/// The copy-up of a large file and the rename of a lower directory take long, so a program can show their progress.
#[test]
fn long_copy_up_is_a_span() {
    let folder = tempfile::tempdir().unwrap();
    for dir in ["layer/dir", "upper"] {
        fs::create_dir_all(folder.path().join(dir)).unwrap();
    }
    let layer = folder.path().join("layer");
    for (name, size) in [("large", 16 << 20), ("small", (16 << 20) - 1)] {
        let file = fs::File::create(layer.join(name)).unwrap();
        file.set_len(size).unwrap();
    }
    fs::write(layer.join("dir/file"), "data").unwrap();
    let overlay = Overlay::builder()
        .lower(lower(&layer))
        .upper_dir("upper", capability(&folder.path().join("upper")))
        .build()
        .unwrap();
    let root = overlay.root();
    let spans = spans_of(Level::INFO, || {
        file(&root, "small", WRITE);
        file(&root, "large", WRITE);
        root.rename_at("dir", &root, "moved").unwrap();
    });
    let found: Vec<_> = spans
        .iter()
        .map(|span| (span.level, span.get("path"), span.get("bytes")))
        .collect();
    assert_eq!(
        found,
        [(Level::INFO, "large", "16777216"), (Level::INFO, "dir", "")]
    );
}

#[test]
fn concurrent_threads_warn_once() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/etc/file", folder.path().join("absolute")).unwrap();
    let overlay = Overlay::builder()
        .lower(lower(folder.path()))
        .build()
        .unwrap();
    let warned: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (_, lines) = lines_of(Level::WARN, || {
                        for _ in 0..100 {
                            assert!(overlay.root().stat_at("absolute", true).is_err());
                        }
                    });
                    lines.len()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(warned, 1);
}

#[test]
fn errors_are_not_formatted_without_a_log() {
    struct Never;
    impl std::fmt::Display for Never {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("formatted without a log");
        }
    }
    for level in [
        None,
        Some(Level::ERROR),
        Some(Level::WARN),
        Some(Level::INFO),
    ] {
        let because = || Error::because(Errno::NoEntry, || Never).with_remedy(|| Never);
        let error = match level {
            Some(level) => lines_of(level, because).0,
            None => because(),
        };
        assert!(!error.has_details());
    }
    let (error, _) = lines_of(Level::DEBUG, || Error::because(Errno::NoEntry, || "why"));
    assert_eq!(error.to_string(), "why");
}
