//! A host process that changes directories during a walk: it swaps a directory with a link that leads out of the
//! mount.

use crate::kit::{CALLS, Host, ONLY_OUTSIDE, SECRET, run};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasi_overlay_core::plain::{HostDir, by_path::ByPath};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Live, Lower, Overlay, Result};
use wasi_overlay_proof::kit::capability;

/// The duration of the attack on each mount. An existing race is found within milliseconds.
fn duration() -> Duration {
    let asked = std::env::var("EVIL_SECONDS").ok();
    Duration::from_secs(asked.map_or(3, |seconds| seconds.parse().expect("a number")))
}

#[rustfmt::skip]
const PATHS: &[&str] = &[
    "t/secret", "t", "t/", "t/dir/secret", "t/dir", "t/dir/deep/secret", "t/new", "t/dir/new", "s", "s/",
    "u/t/secret", "u/t/dir/secret", "u/t", "u/t/new", "t/link", "t/empty", "t/../t/secret", "t/dir/../secret",
];

/// Creates the entries that are swapped: `t` and `u/t` (a directory and a link out), `t/dir`, `s` (a file).
fn lay(tree: &Path, outside: &Path) -> Result<(), std::io::Error> {
    for dir in ["t/dir/deep", "t/empty", "u/t/dir/deep", "t/dir2"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    for file in [
        "t/secret",
        "t/dir/secret",
        "t/dir/deep/secret",
        "u/t/secret",
        "s",
        "f",
    ] {
        fs::write(tree.join(file), "inside")?;
    }
    fs::create_dir_all(tree.join("empty"))?;
    for (link, target) in [
        ("t-out", outside.to_owned()),
        ("u/t-out", outside.to_owned()),
        ("u/t-up", PathBuf::from("../../outside")),
        ("t/dir-out", outside.join("dir")),
        ("s-out", outside.join("secret")),
    ] {
        symlink(target, tree.join(link))?;
    }
    Ok(())
}

/// Swaps entries until the attack ends. Recreates them now and then, since the guest removes and moves them, too.
fn swap(tree: &Path, outside: &Path, done: &AtomicBool) -> u64 {
    let pairs = [
        ("t", "t-out"),
        ("u/t", "u/t-out"),
        ("u/t", "u/t-up"),
        ("t/dir", "t/dir-out"),
        ("s", "s-out"),
    ];
    let mut swaps = 0;
    for round in 0.. {
        // Renames lock the whole filesystem, so let the guests run in between.
        std::thread::sleep(Duration::from_micros(20));
        if done.load(Ordering::Relaxed) {
            break;
        }
        for (one, other) in pairs {
            let (one, other) = (tree.join(one), tree.join(other));
            let swapped = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
            swaps += u64::from(swapped.is_ok());
        }
        if round % 64 == 0 {
            // Recreates missing entries, and keeps others.
            for name in ["t", "u", "s", "f", "empty", "t-out", "s-out"] {
                let path = tree.join(name);
                match fs::symlink_metadata(&path) {
                    Ok(meta) if meta.is_dir() => drop(fs::remove_dir_all(&path)),
                    Ok(_) => drop(fs::remove_file(&path)),
                    Err(_) => {}
                }
            }
            lay(tree, outside).ok();
        }
    }
    swaps
}

fn attack(
    name: &str,
    swapped: &str,
    guests: usize,
    mount: impl Fn(&Host) -> Result<(Dir, Option<Overlay>)> + Sync,
) {
    let host = Host::new();
    for dir in ["tree", "upper"] {
        fs::create_dir(host.path(dir)).unwrap();
        lay(&host.path(dir), &host.outside()).unwrap();
    }
    let tree = host.path(swapped);
    let done = AtomicBool::new(false);
    let (attempts, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    let swaps = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| swap(&tree, &host.outside(), &done));
        let guests: Vec<_> = (0..guests)
            .map(|guest| {
                let (host, mount, attempts, answered) = (&host, &mount, &attempts, &answered);
                scope.spawn(move || {
                    let end = Instant::now() + duration();
                    while Instant::now() < end {
                        // A new mount, since a mount does not query cached entries again.
                        let Ok((root, overlay)) = mount(host) else {
                            continue;
                        };
                        for (index, call) in CALLS.iter().enumerate() {
                            let path = PATHS[(index * 7
                                + guest
                                + attempts.load(Ordering::Relaxed) as usize)
                                % PATHS.len()];
                            for path in [path, PATHS[index % PATHS.len()]] {
                                attempts.fetch_add(1, Ordering::Relaxed);
                                let Ok(seen) = run(&root, path, call) else {
                                    continue;
                                };
                                answered.fetch_add(1, Ordering::Relaxed);
                                assert!(
                                    !seen.contains(SECRET) && !seen.contains(ONLY_OUTSIDE),
                                    "{name}: {call} of {path} saw what is outside: {seen}"
                                );
                            }
                        }
                        drop((root, overlay));
                    }
                })
            })
            .collect();
        // The swapper ends even if a guest panics.
        let guests: Vec<_> = guests.into_iter().map(|guest| guest.join()).collect();
        done.store(true, Ordering::Relaxed);
        for guest in guests {
            if let Err(panic) = guest {
                std::panic::resume_unwind(panic);
            }
        }
        swapper.join().unwrap()
    });
    host.must_be_untouched(name);
    let (attempts, answered) = (attempts.into_inner(), answered.into_inner());
    println!("{name}: {attempts} attempts ({answered} answered), {swaps} swaps");
    assert!(swaps > 100 && answered > 100, "there was no race");
}

#[test]
fn no_path_leaves_a_changing_lower() {
    attack("a lower that is swapped", "tree", 2, |host| {
        let overlay = Overlay::builder()
            .lower(Lower::dir("tree", capability(&host.path("tree")))?)
            .upper_memory(1 << 20)
            .build()?;
        Ok((overlay.root(), Some(overlay)))
    });
}

#[test]
fn no_path_leaves_a_changing_upper() {
    attack("an upper that is swapped", "upper", 1, |host| {
        let overlay = Overlay::builder()
            .upper_dir("upper", capability(&host.path("upper")))
            .volatile(true)
            .build()?;
        Ok((overlay.root(), Some(overlay)))
    });
}

#[test]
fn no_path_leaves_an_upper_over_a_changing_lower() {
    attack(
        "an upper that is swapped, over a lower",
        "upper",
        1,
        |host| {
            let overlay = Overlay::builder()
                .lower(Lower::dir("tree", capability(&host.path("tree")))?)
                .upper_dir("upper", capability(&host.path("upper")))
                .volatile(true)
                .build()?;
            Ok((overlay.root(), Some(overlay)))
        },
    );
}

#[test]
fn no_path_leaves_a_changing_by_path_upper() {
    attack("an upper of paths that is swapped", "upper", 1, |host| {
        let plain = ByPath::new(HostDir::new(capability(&host.path("upper")), "upper"));
        let overlay = Overlay::builder()
            .upper("upper", Marked::upper(plain))
            .volatile(true)
            .build()?;
        Ok((overlay.root(), Some(overlay)))
    });
}

#[test]
fn no_path_leaves_a_changing_live_mount() {
    attack("a live mount that is swapped", "upper", 2, |host| {
        Ok((Live::new(capability(&host.path("upper"))).root(), None))
    });
}

/// Shows that the races can be found: a walk that follows links leaves the mount at once.
#[test]
fn following_links_by_path_leaves_the_mount() {
    let host = Host::new();
    fs::create_dir(host.path("tree")).unwrap();
    let tree = host.path("tree");
    lay(&tree, &host.outside()).unwrap();
    let done = AtomicBool::new(false);
    let led_out = std::thread::scope(|scope| {
        scope.spawn(|| swap(&tree, &host.outside(), &done));
        let end = Instant::now() + Duration::from_secs(20);
        let mut led_out = false;
        while !led_out && Instant::now() < end {
            let read = fs::read_to_string(tree.join("t/secret"));
            led_out = read.is_ok_and(|data| data.contains(SECRET));
        }
        done.store(true, Ordering::Relaxed);
        led_out
    });
    assert!(led_out);
}
