//! `wasi-overlay`: runs WebAssembly programs on layers of directories.

mod app;
mod args;
mod compose;
mod copies;
mod fields;
mod guest;
mod invoke;
mod log;
mod mount;
mod mounts;
mod output;
mod patience;
mod run;
mod served;
mod signals;
mod store;
mod validate;

use args::{Cli, Command};
use clap::Parser;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

fn main() -> ExitCode {
    // What a user sees is what happened and what to do, under `RUST_BACKTRACE` too: our own
    // frames say nothing to the owner of a guest, and collecting them slows every error down.
    wasmtime::error::disable_backtrace();
    std::panic::set_hook(Box::new(|panic| {
        complain(&format!(
            "internal error: {panic}\nThis is a bug of wasi-overlay: please report it."
        ));
    }));
    let command = Cli::parse().command;
    // Mounts and guests share what the process may have open. With less they go on too.
    if let Err(error) = wasi_overlay::engine::raise_descriptor_limit() {
        complain(&format!(
            "warning: cannot raise the limit of open files: {error}"
        ));
    }
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| match command {
        Command::Run(args) => run::run(*args),
        Command::Compose(args) => compose::compose(&args).map(|()| 0),
        Command::Component(args) => compose::component(&args).map(|()| 0),
    }));
    match done {
        Ok(Ok(code)) => exit_code(code),
        Ok(Err(error)) => {
            complain(&format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::from(70),
    }
}

/// What the system keeps of an exit code: its lowest eight bits.
fn exit_code(code: i32) -> ExitCode {
    let [low, ..] = code.to_le_bytes();
    ExitCode::from(low)
}

/// Prints to stderr. Where nobody listens there is nobody to tell, so a failure is no failure.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "{}", message.trim_end());
}
