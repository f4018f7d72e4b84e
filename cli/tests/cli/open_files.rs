//! Tests of the limit of open files, which is that of the process.

use crate::support::{Ended, TestDir, ended};
use crate::wat;
use rustix::process::{Resource, getrlimit};
use std::process::{Command, Stdio};

/// `EMFILE` of WASI 0.1.
const MFILE: i32 = 33;

fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["base/d"]);
    temp.file("base/f", "x");
    temp
}

/// Runs a guest that opens `path` `count` times, under the limits of [`run_with_limits`].
fn open_many(
    temp: &TestDir,
    limits: (u64, u64),
    mount: [&str; 2],
    path: &str,
    count: u32,
) -> Option<Ended> {
    temp.file("guest.wat", wat::open_many(3, path, count));
    run_with_limits(temp, limits, &[&mount[..], &["guest.wat"]].concat())
}

/// Runs the command with a soft limit of `limit` open files and a hard limit of `hard`. None, after
/// printing the reason, if the hard limit of this process is lower.
fn run_with_limits(temp: &TestDir, (limit, hard): (u64, u64), args: &[&str]) -> Option<Ended> {
    let own = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if own < hard {
        println!("skipped: the hard limit of open files is {own}, and {hard} are needed");
        return None;
    }
    let run = temp.command(args);
    let script = format!("ulimit -Sn {limit} && ulimit -Hn {hard} && exec \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(run.get_program())
        .args(run.get_args())
        .current_dir(run.get_current_dir().expect("`TestDir` sets it"))
        .envs(
            run.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("WASMTIME_LOG", "wasi_overlay=debug")
        .stdin(Stdio::null());
    Some(ended(command.output().unwrap()))
}

const MOUNTS: [[&str; 2]; 2] = [["--layer", "base"], ["--dir", "base::/"]];

#[test]
fn soft_limit_of_open_files_is_raised() {
    let temp = test_dir();
    for mount in MOUNTS {
        // A soft limit that cannot be raised is too low for 100 files.
        let Some(ended) = open_many(&temp, (64, 64), mount, "f", 100) else {
            return;
        };
        assert_eq!(ended.code, MFILE, "{mount:?}: {ended:?}");
        let Some(ended) = open_many(&temp, (64, 1024), mount, "f", 100) else {
            return;
        };
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (0, ""),
            "{mount:?}: {ended:?}"
        );
    }
}

/// Regression: the limit was 1024 whatever the limit of the process.
#[test]
fn open_directories_of_guest_are_limited_by_limit_of_process() {
    let temp = test_dir();
    for limit in [100, 3000] {
        for (count, code) in [(limit, 0), (limit + 1, MFILE)] {
            let limits = (u64::from(limit), u64::from(limit));
            let Some(ended) = open_many(&temp, limits, ["--layer", "base"], "d", count) else {
                return;
            };
            assert_eq!(ended.code, code, "{count} of {limit}: {ended:?}");
            if code == MFILE {
                for words in [
                    "call=\"open-at\" path=\"d\" ",
                    "as Limits::open_handles allows",
                    "have the program close some, or raise the hard limit with `ulimit -Hn`",
                    "`Limits::open_handles`",
                ] {
                    assert!(ended.stderr.contains(words), "{words}: {ended:?}");
                }
            }
        }
    }
}

/// The numbers are those of docs/embedding.md.
#[test]
fn guest_may_hold_almost_half_of_descriptors() {
    let temp = test_dir();
    for (limit, most) in [(1024, 448), (4096, 1920)] {
        for (count, code) in [(most, 0), (most + 1, MFILE)] {
            let Some(ended) = open_many(&temp, (limit, limit), ["--dir", "base::/"], "f", count)
            else {
                return;
            };
            assert_eq!(ended.code, code, "{count} of {limit}: {ended:?}");
            if code == MFILE {
                for words in [
                    "call=\"open-at\" path=\"f\" ",
                    "their share of the descriptors of the process",
                    "have the program close some files, or raise the hard limit with `ulimit -Hn`",
                    "`raise_descriptor_limit`",
                ] {
                    assert!(ended.stderr.contains(words), "{words}: {ended:?}");
                }
            }
        }
    }
}

/// Each layer takes a descriptor and caches another. The command needs the cached ones for itself.
#[test]
fn command_closes_cached_descriptors_when_it_needs_one() {
    let names: Vec<String> = (0..30).map(|number| format!("l{number}")).collect();
    let mut dirs: Vec<&str> = names.iter().map(String::as_str).collect();
    dirs.push("up");
    let temp = TestDir::with_dirs(&dirs);
    temp.file("guest.wat", wat::exit(0));
    let layers = names.iter().flat_map(|name| ["--layer", name]);
    let memory: Vec<&str> = layers.clone().chain(["guest.wat"]).collect();
    let on_disk: Vec<&str> = layers.chain(["--upper", "up", "guest.wat"]).collect();
    for args in [memory, on_disk] {
        let Some(ended) = run_with_limits(&temp, (64, 64), &args) else {
            return;
        };
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
    }
}
