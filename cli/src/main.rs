//! `wasi-overlay`: runs WebAssembly programs on layers of directories, archives and images.

mod app;
mod args;
mod command_line;
mod completion;
mod compose;
mod copy_notices;
mod fields;
mod guest;
mod image;
mod invoke;
mod layer_arg;
mod log;
mod messages;
mod mount;
mod mount_points;
mod mounts;
mod new_dir;
mod output;
mod run;
mod served;
mod signals;
mod slow_notice;
mod store;
mod suggest;
mod table;
mod validate;

use args::Command;
use messages::{print_error, print_notice, print_warning};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Backtraces of the host do not help the owner of a guest, and collecting them slows every error
    // down, so they stay off under `RUST_BACKTRACE` too.
    wasmtime::error::disable_backtrace();
    std::panic::set_hook(Box::new(|panic| {
        print_notice(format_args!(
            "internal error: {panic}\nThis is a bug in wasi-overlay; please report it."
        ));
    }));
    let command = command_line::parse(std::env::args_os()).command;
    // Mounts and guests share the descriptors of the process. They also work with a lower limit.
    if let Err(error) = wasi_overlay::engine::raise_descriptor_limit() {
        print_warning(format_args!(
            "cannot raise the limit of open files: {error}"
        ));
    }
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| match command {
        Command::Run(args) => run::run(*args),
        Command::Pull(args) => image::pull(&args).map(|()| 0),
        Command::Push(args) => image::push(&args).map(|()| 0),
        Command::Images(args) => image::images(&args).map(|()| 0),
        Command::Rmi(args) => image::rmi(&args).map(|()| 0),
        Command::Tag(args) => image::tag(&args).map(|()| 0),
        Command::Inspect(args) => image::inspect(&args).map(|()| 0),
        Command::History(args) => image::history(&args).map(|()| 0),
        Command::Prune(args) => image::prune(&args).map(|()| 0),
        Command::Verify(args) => image::verify(&args).map(|()| 0),
        Command::Compose(args) => compose::compose(&args).map(|()| 0),
        Command::Component(args) => compose::component(&args).map(|()| 0),
        Command::Completion(args) => completion::write(args).map(|()| 0),
    }));
    match result {
        Ok(Ok(code)) => exit_code(code),
        Ok(Err(error)) => {
            print_error(&error);
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::from(70),
    }
}

/// Truncates an exit code to its lowest eight bits, as the system does.
fn exit_code(code: i32) -> ExitCode {
    let [low, ..] = code.to_le_bytes();
    ExitCode::from(low)
}
