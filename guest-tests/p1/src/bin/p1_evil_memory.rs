//! Pointers outside guest memory: the host returns an error or traps, and never uses its own memory. A trap
//! ends the program, so the last line of the transcript shows how far it got.

use guests_p1::{ROOT, wasi};

fn main() {
    let far = -16;
    // SAFETY: the host checks the pointers, which is what this guest tests.
    let codes = unsafe {
        [
            wasi::wasi_snapshot_preview1::path_create_directory(ROOT as i32, 0, 0),
            wasi::wasi_snapshot_preview1::fd_prestat_dir_name(ROOT as i32, 0, 0),
        ]
    };
    println!("nothing at null: {codes:?}");
    println!("now a name far outside");
    // SAFETY: as before.
    let code = unsafe { wasi::wasi_snapshot_preview1::path_create_directory(ROOT as i32, far, 8) };
    println!("the call came back: {code}");
    // SAFETY: as before.
    let code = unsafe { wasi::wasi_snapshot_preview1::fd_readdir(ROOT as i32, far, 4096, 0, 0) };
    println!("a buffer far outside: {code}");
}
