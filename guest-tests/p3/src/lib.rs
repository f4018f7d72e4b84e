//! Code that the guests for WASI 0.3 share: the bindings, the working directory, and the transcript.
//!
//! A guest works in its first preopened directory. It prints a line for each call that it tries, with the
//! value or the error code. It compares values that may differ between filesystems (hashes, times,
//! directory sizes) itself and does not print them, so that two filesystems that behave alike have equal
//! transcripts. It asserts what has to hold on every filesystem.
//! The lines are buffered until the guest ends or panics, because printing is asynchronous in WASI 0.3.

use std::cell::RefCell;
use std::fmt::{Debug, Display};

mod concurrent;
mod data;
mod descriptor;
mod names;

#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "guest",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "guests_p3::bindings",
        additional_derives: [PartialEq],
    });
}
pub use bindings::wasi::clocks::{monotonic_clock, system_clock};
pub use bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
pub use concurrent::{all, both, poll_once};
pub use data::{
    Ended, Sink, append, digest, filled, read_all, read_at, read_file, show_file, sink, write_at,
    write_file,
};
pub use descriptor::Descriptor;
pub use names::{entries, letter, names, show_names};
pub use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use bindings::wasi::cli::{stderr, stdout};
use bindings::wasi::filesystem::preopens;

/// A result of a filesystem call.
pub type Result<T> = std::result::Result<T, ErrorCode>;

/// Exports an asynchronous function as the command `wasi:cli/run`.
#[macro_export]
macro_rules! command {
    ($run:path) => {
        struct Command;
        impl $crate::bindings::exports::wasi::cli::run::Guest for Command {
            async fn run() -> ::core::result::Result<(), ()> {
                $crate::report_panics();
                $run().await;
                $crate::flush_lines().await;
                Ok(())
            }
        }
        $crate::bindings::export!(Command with_types_in $crate::bindings);

        // Cargo needs a `main` to build a program; nothing calls it.
        fn main() {}
    };
}

thread_local! {
    /// The printed lines that are not on standard output yet.
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sends panic messages to standard error, which `std` cannot do on `wasm32-unknown-unknown`.
#[doc(hidden)]
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = format!("{panic}\n");
        wit_bindgen::block_on(async {
            flush_lines().await;
            let (mut writer, reader) = bindings::wit_stream::new();
            let ended = stderr::write_via_stream(reader);
            // If writing fails, the guest still traps.
            let _unsaid = writer.write_all(message.into_bytes()).await;
            drop(writer);
            let _unsaid = ended.await;
        });
    }));
}

/// Writes the printed lines to standard output.
#[doc(hidden)]
pub async fn flush_lines() {
    let lines = LINES.take();
    let (mut writer, reader) = bindings::wit_stream::new();
    let ended = stdout::write_via_stream(reader);
    let left = writer.write_all(lines.into_bytes()).await;
    assert!(left.is_empty(), "standard output takes all");
    drop(writer);
    ended.await.expect("standard output takes all");
}

/// Prints a line.
pub fn print(line: impl Display) {
    LINES.with_borrow_mut(|lines| {
        lines.push_str(&line.to_string());
        lines.push('\n');
    });
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
    Descriptor(directories.swap_remove(0).0)
}

/// Whether the host is stock wasmtime-wasi, for cases in which it is known to do less.
pub fn is_stock() -> bool {
    let variables = bindings::wasi::cli::environment::get_environment();
    variables.iter().any(|(name, _)| name == "STOCK")
}

/// The name of an error code in the WIT.
pub fn code(code: &ErrorCode) -> String {
    let text = format!("{code:?}");
    let mut name = String::new();
    for letter in text.strip_prefix("ErrorCode::").unwrap_or(&text).chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// Prints `what` was tried and the result; returns the value.
pub fn show<T: Debug>(what: impl Display, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => {
            say!("{what}: {value:?}");
            Some(value)
        }
        Err(error) => {
            say!("{what}: {}", code(&error));
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

/// Asserts that a call failed with one of the codes.
pub fn assert_refused<T: Debug>(what: impl Display, result: Result<T>, codes: &[ErrorCode]) {
    match result {
        Ok(value) => panic!("{what} returned {value:?}, not one of {codes:?}"),
        Err(code) => assert!(codes.contains(&code), "{what}: {code:?}, not in {codes:?}"),
    }
}

/// Opens a file or directory for reading.
pub async fn open(dir: &Descriptor, path: &str) -> Result<Descriptor> {
    let flags = DescriptorFlags::READ;
    dir.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), flags)
        .await
}

/// Opens a directory for changes of its entries.
pub async fn open_dir(dir: &Descriptor, path: &str) -> Result<Descriptor> {
    let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    dir.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::DIRECTORY, flags)
        .await
}

/// Opens a file for reading and writing.
pub async fn open_write(dir: &Descriptor, path: &str, how: OpenFlags) -> Result<Descriptor> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    dir.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags)
        .await
}
