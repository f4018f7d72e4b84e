//! What a test leaves out for want of something on the machine.

/// Says why something is not tried.
///
/// # Panics
/// As root where nothing may be left out: in CI (`CI=true`), or with `OVERLAY_NO_SKIP`.
pub(crate) fn skip(what: &str, why: &str) {
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let insists = is_ci || std::env::var_os("OVERLAY_NO_SKIP").is_some();
    assert!(
        !insists || !rustix::process::geteuid().is_root(),
        "{what} may not be skipped here: {why}"
    );
    println!("{what}: skipped: {why}");
}
