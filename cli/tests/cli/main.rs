//! Tests of the built binary: command lines, their output and exit codes.

mod arguments;
mod bad_input;
mod close;
mod command_line;
mod completion;
mod compose;
mod compose_bad_input;
mod cross_mounts;
mod help;
mod image_support;
mod images;
mod killed;
mod log;
mod mount_points;
mod open_files;
mod options;
mod overlays;
mod programs;
mod progress;
mod prune;
mod registries;
mod relay;
mod support;
mod uppers;
mod wasi_0_3;
mod wat;
