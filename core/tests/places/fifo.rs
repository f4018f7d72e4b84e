//! FIFOs in layers must not be opened.
//!
//! A host process waits to write into a FIFO until another opens it for reading. An open by the engine would
//! release the writer, and its data would be lost.

use crate::kit::{builder, dirs, lower};
use rustix::fs::{CWD, Mode, OFlags};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use wasi_overlay_core::{Dir, Errno, OpenHow, Overlay};

/// Runs `calls` while a thread waits to write into the FIFO at `path`, and asserts that it still waits.
fn check_writer_waits(path: &Path, calls: impl FnOnce()) {
    let at = path.to_owned();
    let writer = std::thread::spawn(move || {
        let mut fifo = std::fs::File::options().write(true).open(at).unwrap();
        fifo.write_all(b"precious")
    });
    std::thread::sleep(Duration::from_millis(100));
    calls();
    std::thread::sleep(Duration::from_millis(100));
    let was_released = writer.is_finished();
    let mut reader = std::fs::File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .unwrap();
    let written = writer.join().unwrap();
    assert!(!was_released && written.is_ok(), "the writer was released");
    let mut data = String::new();
    reader.read_to_string(&mut data).unwrap();
    assert_eq!(data, "precious");
}

/// Makes every call that might open `name`.
fn every_call(root: &Dir, name: &str) {
    let _ = root.list();
    for follow in [true, false] {
        root.stat_at(name, follow).unwrap();
        for bits in 0..32_u8 {
            let how = OpenHow {
                read: bits & 1 != 0,
                write: bits & 2 != 0,
                create: bits & 4 != 0,
                exclusive: bits & 12 == 12,
                truncate: bits & 16 != 0,
                directory: false,
                follow,
            };
            let error = crate::kit::error(root.open_at(name, how)).errno();
            let refused = matches!(error, Errno::Unsupported | Errno::Exist | Errno::ReadOnly);
            assert!(refused, "{how:?}: {error:?}");
        }
    }
    let overlay = root.as_overlay().unwrap();
    let _ = overlay.xattrs_at(name, false);
    let _ = root.rename_at(name, root, "moved");
    let _ = root.rename_at("moved", root, name);
    let _ = root.link_at(name, root, "linked");
    let _ = root.unlink_file_at("linked");
}

fn fifo(path: &Path) {
    rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).unwrap();
}

#[test]
fn fifo_in_a_lower_is_never_opened() {
    let temp = dirs(&["base"]);
    let path = temp.path().join("base/fifo");
    fifo(&path);
    let overlay = Overlay::builder().lower(lower(&temp.path().join("base")));
    let overlay = overlay.upper_memory(1 << 20).build().unwrap();
    check_writer_waits(&path, || every_call(&overlay.root(), "fifo"));
}

#[test]
fn fifo_in_an_upper_is_never_opened() {
    let temp = dirs(&["up"]);
    let path = temp.path().join("up/fifo");
    fifo(&path);
    check_writer_waits(&path, || {
        let overlay = builder(None, &temp.path().join("up")).build().unwrap();
        every_call(&overlay.root(), "fifo");
        // The sweep after an interrupted mount visits every entry of the upper.
        drop(overlay);
        std::fs::create_dir(temp.path().join("up/.wh..wh.work")).unwrap();
        builder(None, &temp.path().join("up")).build().unwrap();
    });
}
