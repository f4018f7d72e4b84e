//! Code that the guests for WASI 0.2 share: the bindings, the working directory, and the transcript.
//!
//! A guest works in its first preopened directory. It prints a line for each call that it tries, with the
//! value or the error code. It compares values that may differ between filesystems (hashes, times,
//! directory sizes) itself and does not print them, so that two filesystems that behave alike have equal
//! transcripts. It asserts what has to hold on every filesystem.

use std::fmt::{Debug, Display};

#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "guest",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "guests_p2::bindings",
    });
}
pub use bindings::wasi::clocks::wall_clock;
pub use bindings::wasi::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags, filesystem_error_code,
};
pub use bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

use bindings::wasi::cli::{stderr, stdout};
use bindings::wasi::filesystem::preopens;

/// A result of a filesystem call.
pub type Result<T> = std::result::Result<T, ErrorCode>;

/// Exports a function as the command `wasi:cli/run`.
#[macro_export]
macro_rules! command {
    ($run:path) => {
        struct Command;
        impl $crate::bindings::exports::wasi::cli::run::Guest for Command {
            fn run() -> ::core::result::Result<(), ()> {
                $crate::report_panics();
                $run();
                Ok(())
            }
        }
        $crate::bindings::export!(Command with_types_in $crate::bindings);

        // Cargo needs a `main` to build a program; nothing calls it.
        fn main() {}
    };
}

/// Sends panic messages to standard error, which `std` cannot do on `wasm32-unknown-unknown`.
#[doc(hidden)]
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // If writing fails, the guest still traps.
        let _unsaid =
            stderr::get_stderr().blocking_write_and_flush(format!("{panic}\n").as_bytes());
    }));
}

/// Prints a line.
pub fn print(line: impl Display) {
    let line = format!("{line}\n");
    let out = stdout::get_stdout();
    for piece in line.as_bytes().chunks(4096) {
        out.blocking_write_and_flush(piece)
            .expect("standard output takes all");
    }
}

/// Prints a line, as `println!` does on other targets.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::print(format_args!($($arg)*)) };
}

/// The first preopened directory.
pub fn root() -> Descriptor {
    let mut directories = preopens::get_directories();
    assert!(!directories.is_empty(), "there is a preopened directory");
    directories.swap_remove(0).0
}

/// Prints `what` was tried and the result; returns the value.
pub fn show<T: Debug>(what: impl Display, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => {
            say!("{what}: {value:?}");
            Some(value)
        }
        Err(code) => {
            say!("{what}: {}", code.name());
            None
        }
    }
}

/// Prints `what` was tried and whether it succeeded; returns the value without printing it.
pub fn tried<T>(what: impl Display, result: Result<T>) -> Option<T> {
    let (shown, value) = match result {
        Ok(value) => (Ok(()), Some(value)),
        Err(code) => (Err(code), None),
    };
    show(what, shown);
    value
}

/// The length of some data, a checksum and its first bytes.
pub fn digest(data: &[u8]) -> String {
    // FNV-1a.
    let sum = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let start = String::from_utf8_lossy(&data[..data.len().min(24)])
        .escape_debug()
        .to_string();
    format!("{} bytes, {sum:016x}, {start}", data.len())
}

/// Opens a file or directory for reading.
pub fn open(dir: &Descriptor, path: &str) -> Result<Descriptor> {
    dir.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        OpenFlags::empty(),
        DescriptorFlags::READ,
    )
}

/// Opens a directory for changes of its entries.
pub fn open_dir(dir: &Descriptor, path: &str) -> Result<Descriptor> {
    let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    dir.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::DIRECTORY, flags)
}

/// Opens a file for reading and writing.
pub fn open_write(dir: &Descriptor, path: &str, how: OpenFlags) -> Result<Descriptor> {
    dir.open_at(
        PathFlags::SYMLINK_FOLLOW,
        path,
        how,
        DescriptorFlags::READ | DescriptorFlags::WRITE,
    )
}

/// Reads all of a file.
pub fn read_all(file: &Descriptor) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let (data, end) = file.read(64 * 1024, all.len() as u64)?;
        let none = data.is_empty();
        all.extend(data);
        if end || none {
            return Ok(all);
        }
    }
}

/// Opens a file and reads all of it.
pub fn read_file(dir: &Descriptor, path: &str) -> Result<Vec<u8>> {
    read_all(&open(dir, path)?)
}

/// Writes a file, which is created or truncated.
pub fn write_file(dir: &Descriptor, path: &str, data: &[u8]) -> Result<()> {
    let file = open_write(dir, path, OpenFlags::CREATE | OpenFlags::TRUNCATE)?;
    let mut done = 0;
    while done < data.len() {
        let count = file.write(&data[done..], done as u64)?;
        assert!(count > 0, "a write of something writes something");
        done += usize::try_from(count).expect("no more than was passed");
    }
    Ok(())
}

/// Prints a digest of a file's data.
pub fn show_file(dir: &Descriptor, path: &str) {
    show(
        format_args!("read {path}"),
        read_file(dir, path).map(|data| digest(&data)),
    );
}

/// The names in a directory, sorted, with a letter for the type: `d`, `f`, `l` or `?`.
pub fn names(dir: &Descriptor) -> Result<Vec<String>> {
    let stream = dir.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = stream.read_directory_entry()? {
        let letter = match entry.type_ {
            DescriptorType::Directory => 'd',
            DescriptorType::RegularFile => 'f',
            DescriptorType::SymbolicLink => 'l',
            _ => '?',
        };
        names.push(format!("{letter} {}", entry.name));
    }
    names.sort();
    Ok(names)
}

/// Prints the names in the directory at `path`.
pub fn show_names(dir: &Descriptor, path: &str) {
    show(
        format_args!("list {path}"),
        open(dir, path).and_then(|dir| names(&dir)),
    );
}
