//! The fuzzer of paths and symbolic links: an overlay must answer as a plain directory does, and no path
//! may leave the mount.

use crate::Choices;
use crate::kit::{capability, scratch};
use std::fs;
use std::os::unix::fs::symlink;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Live, Lower, OpenHow, Opened, Overlay};

/// Names in paths and targets.
const PARTS: [&str; 10] = ["a", "b", "f", "l", "m", "n", "..", ".", "", "x"];
/// Names that careless code mishandles.
const ODD: [&str; 8] = [
    "\0",
    "é",
    "a\0b",
    "\\",
    "...",
    ".wh.a",
    "a\nb",
    "secret of the host",
];
const LINKS: [&str; 3] = ["l", "m", "n"];
const MAX_PATHS: usize = 6;

/// Makes calls on paths that `data` chooses.
///
/// # Panics
/// If an overlay and a plain directory answer differently.
pub fn paths(data: &[u8]) {
    let mut choices = Choices::of_bytes(data);
    let temp = scratch();
    let plain = temp.path().join("plain");
    fs::create_dir_all(plain.join("a/b")).expect("directories");
    fs::write(temp.path().join("secret of the host"), "secret").expect("a file");
    let mut lower = MemoryLayer::build().dir("a/b");
    for path in ["f", "a/f", "a/b/f"] {
        fs::write(plain.join(path), path).expect("a file");
        lower = lower.file(path, path);
    }
    let mut is_reserved = false;
    for name in LINKS {
        let target = path(&mut choices);
        if target.is_empty() || target.contains('\0') || target.len() >= 4096 {
            continue;
        }
        is_reserved |= target.contains(".wh.");
        let at = format!("{}{name}", choices.of(&["", "a/", "a/b/"]));
        symlink(&target, plain.join(&at)).expect("a link");
        lower = lower.symlink(at, &target);
    }
    let lower = Lower::new("memory", lower.finish().expect("a layer"));
    let overlay = Overlay::builder().lower(lower).upper_memory(1 << 20);
    let overlay = overlay.build().expect("an overlay");
    let sides = [Live::new(capability(&plain)).root(), overlay.root()];

    for _ in 0..MAX_PATHS {
        let base = choices.of(&["", "a", "a/b"]);
        let path = path(&mut choices);
        is_reserved |= path.contains(".wh.");
        let how = OpenHow {
            follow: choices.next(3) != 0,
            // Only a plain directory allows names of whiteouts.
            create: choices.next(4) == 1 && !is_reserved,
            directory: choices.next(4) == 1,
            exclusive: choices.next(6) == 1,
            truncate: choices.next(6) == 1,
            read: true,
            write: choices.next(3) == 1,
        };
        let [plain, overlay] = sides.each_ref().map(|root| ask(root, base, &path, how));
        if path.len() >= 4096 {
            // Longer than an overlay's limit. Some calls pass it to the kernel in parts.
            assert!(overlay.iter().all(Result::is_err), "{path:?}: {overlay:?}");
        } else if no_call_takes(&path) {
            let is_error = |answer: &Result<String, Errno>| answer.is_err();
            assert!(
                plain.iter().chain(&overlay).all(is_error),
                "{path:?}: {overlay:?}"
            );
        } else {
            assert_eq!(overlay, plain, "{path:?} below {base:?}, {how:?}");
        }
        if choices.is_used_up() {
            break;
        }
    }
}

/// Whether every call fails, but not with the same error: some resolve the parent first, and Linux refuses to create
/// a file with a trailing slash before it checks the length.
fn no_call_takes(path: &str) -> bool {
    let is_long_folder = path.ends_with('/') && path.split('/').any(|name| name.len() > 255);
    path.contains('\0') || is_long_folder
}

fn path(choices: &mut Choices<'_>) -> String {
    let mut path = String::new();
    if choices.next(16) == 1 {
        path.push('/');
    }
    for _ in 0..choices.next(6) {
        match choices.next(64) {
            0 => path += choices.of(&ODD),
            1 => path += &"x".repeat(choices.of(&[254, 255, 256])),
            2 => path += &"./".repeat(choices.of(&[1000, 2040, 2100])),
            _ => path += choices.of(&PARTS),
        }
        path.push('/');
    }
    if choices.next(4) != 1 {
        path.pop();
    }
    path
}

fn ask(root: &Dir, base: &str, path: &str, how: OpenHow) -> Vec<Result<String, Errno>> {
    let opened;
    let base = match base {
        "" => root,
        base => match root.open_at(base, OpenHow::default()) {
            Ok(Opened::Dir(dir)) => {
                opened = dir;
                &opened
            }
            Ok(Opened::File(_)) => return vec![Err(Errno::NotDirectory)],
            Err(error) => return vec![Err(error.errno())],
        },
    };
    let stat = |follow| {
        say(base.stat_at(path, follow), |stat| {
            format!("{:?}", stat.kind)
        })
    };
    vec![
        stat(true),
        stat(false),
        say(base.readlink_at(path), |target| target),
        say(base.open_at(path, how), |opened| match opened {
            Opened::Dir(dir) => {
                let listing = dir.list().expect("a listing");
                let mut names: Vec<_> =
                    listing.iter().map(|entry| entry.name.to_string()).collect();
                names.sort();
                names.join(" ")
            }
            Opened::File(file) => {
                let mut data = [0; 64];
                let length = file.read_at(&mut data, 0).expect("data");
                String::from_utf8_lossy(&data[..length]).into_owned()
            }
        }),
    ]
}

fn say<T>(
    result: wasi_overlay_core::Result<T>,
    value: impl FnOnce(T) -> String,
) -> Result<String, Errno> {
    result.map(value).map_err(|error| error.errno())
}
