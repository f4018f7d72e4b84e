//! Tests of filesystems that are mounted inside a layer, with and without `cross-mounts`.

use crate::log::{GUESTS, failed_call_lines, write_guests};
use crate::support::TestDir;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// A tmpfs that is unmounted on drop.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// None, after printing the reason, if this process may not mount.
    fn mount(point: PathBuf) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none"]).arg(&point);
        let reason = match mount.output() {
            Ok(output) if output.status.success() => return Some(Self(point)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        println!("skipped: cannot mount a tmpfs: {reason}");
        None
    }
}

impl Drop for Tmpfs {
    /// Retries for a while: a process that another test forks holds copies of all descriptors until
    /// its `exec`, which keeps the mount busy.
    fn drop(&mut self) {
        let unmount = || Command::new("umount").arg(&self.0).output().unwrap();
        let mut ended = unmount();
        for _ in 0..100 {
            if ended.status.success() {
                return;
            }
            sleep(Duration::from_millis(20));
            ended = unmount();
        }
        let reason = String::from_utf8_lossy(&ended.stderr);
        assert!(std::thread::panicking(), "cannot unmount: {reason}");
    }
}

#[test]
fn filesystem_mounted_inside_layer_needs_cross_mounts() {
    let temp = TestDir::with_dirs(&["base/inside"]);
    let Some(_tmpfs) = Tmpfs::mount(temp.path("base/inside")) else {
        return;
    };
    temp.file("base/inside/secret", "words");
    write_guests(&temp);
    let script = "open 1 0 r inside/secret\nread 1 0 100\n";
    let log = Some("wasi_overlay=debug");
    for guest in GUESTS {
        for (args, layer) in [
            (["--layer", "base"], "--layer base"),
            (["--mount", "dst=/,layer=base"], "--mount dst=/,layer=base"),
        ] {
            let (ended, found) = failed_call_lines(&temp, log, guest, &args, script);
            assert_eq!(
                ended.stdout, "open 1 0 r inside/secret = not-permitted\nread 1 0 100 = -\n",
                "{args:?}"
            );
            let [line] = &found[..] else {
                panic!("{args:?}: {found:#?}")
            };
            for words in [
                "call=\"open-at\" path=\"inside/secret\" ",
                &format!(" layer=\"{layer}\""),
                "inside is a mount point, and not entered",
                "`--mount dst=/,layer=DIR,cross-mounts`",
                "`HostDir::cross_mounts`",
            ] {
                assert!(line.contains(words), "{words}: {line}");
            }
        }
        for args in [
            ["--mount", "dst=/,layer=base,cross-mounts"],
            ["--dir", "base::/"],
        ] {
            let (ended, found) = failed_call_lines(&temp, log, guest, &args, script);
            assert!(found.is_empty(), "{args:?}: {found:#?}");
            assert!(ended.stdout.contains("words"), "{args:?}: {ended:?}");
        }
    }
}
