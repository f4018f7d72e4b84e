//! Tests that need a limit of descriptors of their own run in a process of their own.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::Command;

/// Says which test the process runs.
const VARIABLE: &str = "WASI_OVERLAY_LIMITED";

/// Runs `test` where at most `most` descriptors can be open: this program once more, for the test of
/// this `name` alone.
pub(crate) fn limited(name: &str, most: u64, test: impl FnOnce()) {
    if std::env::var(VARIABLE).is_ok_and(|running| running == name) {
        let limit = Rlimit {
            current: Some(most),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "with {most} descriptors:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
