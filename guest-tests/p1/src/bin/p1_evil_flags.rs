//! Undefined flags: the host returns an error or traps, and changes nothing. A trap ends the program, so the
//! last line of the transcript shows how far it got.

use guests_p1::{ROOT, raw, wasi};

fn main() {
    let file = raw::open_write(ROOT, "dir/one", 0).expect("it can be opened");
    println!("flags of a descriptor");
    // SAFETY: a call to the host; numbers only.
    let set = unsafe { wasi::fd_fdstat_set_flags(file, 0xff00) };
    println!("{set:?}");
    println!("flags of an open");
    let mut fd = 0_u32;
    let path = "hello.txt";
    // SAFETY: the path and the place for the result outlive the call.
    let opened = unsafe {
        wasi::wasi_snapshot_preview1::path_open(
            ROOT as i32,
            0,
            path.as_ptr() as i32,
            path.len() as i32,
            1 << 5,
            2,
            2,
            0,
            (&raw mut fd) as i32,
        )
    };
    println!("{opened}");
}
