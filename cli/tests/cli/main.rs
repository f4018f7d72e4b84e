//! The built binary, from outside: what a user types and what they get.

mod arguments;
mod bad_input;
mod close;
mod options;
mod overlays;
mod programs;
mod support;
mod wat;
