//! The matrix as an unprivileged user, since root never gets `Access`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The user and group called `nobody` on Linux.
const NOBODY: u32 = 65534;

#[test]
fn matrix_passes_for_an_unprivileged_user() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: the other tests are run without privileges already");
        return;
    }
    // The user may have no access to the directory of the test program.
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = temp.path().join("matrix");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let output = Command::new(&copy)
        // A memory upper enforces no permissions.
        .args([
            "on_an_upper_directory",
            "on_an_upper_written_by_other_tools",
        ])
        .args(["without_an_upper", "names::"])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
