//! Tests of the built binary: command lines, their output and exit codes.

mod arguments;
mod bad_input;
mod close;
mod compose;
mod compose_bad_input;
mod cross_mounts;
mod killed;
mod log;
mod open_files;
mod options;
mod overlays;
mod programs;
mod support;
mod wasi_0_3;
mod wat;
