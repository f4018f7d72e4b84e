//! What the guests for WASI 0.3 share: the bindings, where they work, and how they tell what they
//! saw.
//!
//! A guest works in its first preopened directory. It prints a line for each thing that it tried:
//! what, and the value or the error code that came of it. What may differ from one filesystem to
//! the next (hashes, times, directory sizes) is compared in the guest and not printed, so that the
//! transcripts of two filesystems that behave alike are equal. What has to hold everywhere is
//! asserted. Lines are kept until the guest ends, or panics: to print is asynchronous here.

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

/// Makes a command of the asynchronous function that is passed.
#[macro_export]
macro_rules! command {
    ($run:path) => {
        struct Command;
        impl $crate::bindings::exports::wasi::cli::run::Guest for Command {
            async fn run() -> ::core::result::Result<(), ()> {
                $crate::tell_panics();
                $run().await;
                $crate::tell().await;
                Ok(())
            }
        }
        $crate::bindings::export!(Command with_types_in $crate::bindings);

        // Cargo builds programs, and a program has a `main`; nothing calls it.
        fn main() {}
    };
}

thread_local! {
    /// The lines that were printed and not yet told.
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sends the message of a panic to standard error: without a system, `std` knows none.
#[doc(hidden)]
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = format!("{panic}\n");
        wit_bindgen::block_on(async {
            tell().await;
            let (mut writer, reader) = bindings::wit_stream::new();
            let ended = stderr::write_via_stream(reader);
            // A guest that cannot even say so traps all the same.
            let _unsaid = writer.write_all(message.into_bytes()).await;
            drop(writer);
            let _unsaid = ended.await;
        });
    }));
}

/// Writes what was printed to standard output.
#[doc(hidden)]
pub async fn tell() {
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

/// Prints a line, as `println!` does where there is a system.
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

/// Whether the host is wasmtime-wasi, where it is known to do less.
pub fn is_stock() -> bool {
    let variables = bindings::wasi::cli::environment::get_environment();
    variables.iter().any(|(name, _)| name == "STOCK")
}

/// The name of an error code as the WIT has it.
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

/// Prints what was tried and what came of it; gives the value back.
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

/// Prints what was tried and whether it went well; gives the value back, unprinted.
pub fn tried<T>(what: impl Display, result: Result<T>) -> Option<T> {
    let (shown, value) = match result {
        Ok(value) => (Ok(()), Some(value)),
        Err(code) => (Err(code), None),
    };
    show(what, shown);
    value
}

/// Asserts that a call failed with one of the codes.
pub fn refused<T: Debug>(what: impl Display, result: Result<T>, codes: &[ErrorCode]) {
    match result {
        Ok(value) => panic!("{what} gives {value:?}, not one of {codes:?}"),
        Err(code) => assert!(codes.contains(&code), "{what}: {code:?}, not in {codes:?}"),
    }
}

/// Opens a file or directory for reading.
pub async fn open(dir: &Descriptor, path: &str) -> Result<Descriptor> {
    let flags = DescriptorFlags::READ;
    dir.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), flags)
        .await
}

/// Opens a directory for changes in it.
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
