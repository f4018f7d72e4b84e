//! Tests of closing the upper after a guest ends by return, trap, signal or kill.

use crate::support::{TestDir, ended};
use crate::wat;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const ARGS: [&str; 5] = ["--layer", "base", "--upper", "up", "guest.wat"];

fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["up"]);
    temp.file("base/a", "a of base");
    temp
}

/// Waits until a guest has created this file.
fn wait_for(temp: &TestDir, name: &str) {
    let started = Instant::now();
    while !temp.path(name).exists() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the guest does not start"
        );
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn upper_is_closed_however_guest_ends() {
    for (then, code) in [
        ("", 0),
        ("(call $proc_exit (i32.const 5))", 5),
        ("unreachable", 134),
    ] {
        let temp = test_dir();
        temp.file("guest.wat", wat::write(3, "a", "changed", then));
        let ended = temp.run(ARGS);
        assert_eq!(ended.code, code, "{ended:?}");
        // The work folder is removed.
        assert_eq!(temp.tree("up"), ["a"], "{then}");
    }
}

#[test]
fn program_that_cannot_be_linked_leaves_upper_unchanged() {
    let temp = test_dir();
    temp.file("guest.wat", "(module (import \"env\" \"f\" (func)))");
    assert_eq!(temp.run(ARGS).code, 1);
    assert_eq!(temp.tree("up"), [""; 0]);
}

#[test]
fn upper_in_use_is_refused_until_other_mount_ends() {
    let temp = test_dir();
    // The guest waits for stdin, with the file open.
    let wait = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";
    temp.file("guest.wat", wat::write(3, "started", "x", wait));
    let mut first = temp.command(ARGS).stdin(Stdio::piped()).spawn().unwrap();
    wait_for(&temp, "up/started");
    let second = temp.run(ARGS);
    assert_eq!(second.code, 1);
    assert_eq!(
        second.stderr,
        "error: --upper up: the directory is in use as the upper of another mount: end that \
         mount, or give this one an upper of its own\n"
    );
    drop(first.stdin.take());
    assert_eq!(ended(first.wait_with_output().unwrap()).code, 0);
    assert_eq!(temp.run(ARGS).code, 0);
    assert_eq!(temp.tree("up"), ["started"]);
}

/// The same command with the default action for `signal`. Otherwise the run could inherit an ignored
/// signal, such as SIGINT from a shell that runs the tests in the background, and would keep ignoring it.
fn with_default_action(run: &Command, signal: &str) -> Command {
    let mut command = Command::new("env");
    command
        .arg(format!("--default-signal={signal}"))
        .arg(run.get_program())
        .args(run.get_args())
        .current_dir(run.get_current_dir().expect("`TestDir` sets it"))
        .envs(
            run.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    command
}

/// The signals that end a process and can be caught, except those that report a fault of the process
/// itself, with their numbers. A run whose terminal was closed (HUP) or that got Ctrl-\ (QUIT) used
/// to leave its upper as a crash does; so did one that hit `ulimit -t` (XCPU), or that a supervisor
/// stopped with one of the others.
const TERMINATING: [(&str, i32); 11] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
];

const SPIN: &str = "(loop $again (br $again))";

fn send(signal: &str, to: &Child) {
    let pid = to.id().to_string();
    let kill = Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(kill.unwrap().success());
}

#[test]
fn terminating_signals_close_upper_first() {
    for (signal, number) in TERMINATING {
        let temp = test_dir();
        temp.file("guest.wat", wat::write(3, "a", "changed", SPIN));
        let child = with_default_action(&temp.command(ARGS), signal)
            .spawn()
            .unwrap();
        wait_for(&temp, "up/a");
        send(signal, &child);
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 1000 + number, "{signal}: {ended:?}");
        assert_eq!(temp.tree("up"), ["a"], "{signal}");
    }
}

#[test]
fn signal_ignored_at_start_stays_ignored() {
    // `nohup`, and shells for background jobs, start programs like this.
    for (signal, _) in TERMINATING
        .into_iter()
        .filter(|(signal, _)| *signal != "TERM")
    {
        let temp = test_dir();
        temp.file("guest.wat", wat::write(3, "a", "changed", SPIN));
        let command = with_default_action(&temp.command(ARGS), "TERM");
        let mut ignoring = Command::new("env");
        ignoring
            .arg(format!("--ignore-signal={signal}"))
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap())
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null());
        let child = ignoring.spawn().unwrap();
        wait_for(&temp, "up/a");
        send(signal, &child);
        sleep(Duration::from_millis(100));
        assert!(temp.tree("up").len() > 1, "{signal} closed the upper");
        send("TERM", &child);
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 1015, "{signal}: {ended:?}");
        assert_eq!(temp.tree("up"), ["a"], "{signal}");
    }
}

#[test]
fn upper_with_foreign_work_folder_is_refused_and_unchanged() {
    let temp = test_dir();
    temp.file("guest.wat", wat::exit(0));
    temp.file("up/.wh..wh.work/strange", "");
    let ended = temp.run(ARGS);
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stderr,
        "error: --upper up: the work folder .wh..wh.work contains strange, which this version did \
         not create: mount the upper with the program that did, or remove the folder if nothing in \
         it is needed\n"
    );
    assert_eq!(temp.tree("up"), [".wh..wh.work", ".wh..wh.work/strange"]);
}

#[test]
fn failed_mount_closes_previous_mounts() {
    let temp = test_dir();
    temp.file("guest.wat", wat::exit(0));
    temp.file("other/.wh..wh.work/strange", "");
    let more = ["--mount", "dst=/d,upper=other"];
    let ended = temp.run([&more[..], &ARGS].concat());
    assert_eq!(ended.code, 1);
    let begin = "error: --mount dst=/d,upper=other: the work folder .wh..wh.work contains strange";
    assert!(ended.stderr.starts_with(begin), "{ended:?}");
    assert_eq!(temp.tree("up"), [""; 0]);
}

#[test]
fn next_run_repairs_upper_of_killed_run() {
    let temp = test_dir();
    let wait = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";
    temp.file("guest.wat", wat::write(3, "a", "changed", wait));
    let mut killed = temp.command(ARGS).stdin(Stdio::piped()).spawn().unwrap();
    wait_for(&temp, "up/a");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(temp.tree("up").len() > 1, "the work folder is still there");
    temp.file("guest.wat", wat::unlink(3, "a"));
    let ended = temp.run(ARGS);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(temp.tree("up"), [".wh.a"]);
}
