//! Tests of the engine that generate their cases: plans and scripts of calls, an interpreter that makes
//! the calls, and oracles that predict each answer.
//!
//! ```text
//!   choices ──► plan ──► run ──────► answers, one line for each step
//!   (seed,     (text)    │ on an overlay, or a live directory
//!    bytes)              └ reference: the same without any layers
//! ```
//!
//! A [`Plan`] is text: layers, then steps. It is drawn from [`Choices`]. A failing plan is
//! [shrunk](Plan::shrink) and printed, and can be run again from a file (`OVERLAY_PLAN`).
//!
//! A [`Script`] is the same steps and shorter forms of them, for tests with cases written by hand
//! ([`matrix`]).

#![forbid(unsafe_code)]

pub mod archive;
mod archived;
pub mod checker;
pub mod choices;
pub mod deviations;
mod draw;
pub mod fuzz;
pub mod kit;
pub mod layers;
pub mod machine;
pub mod matrix;
pub mod merged;
pub mod mount;
pub mod outcome;
pub mod plan;
pub mod read_only_layer;
pub mod reference;
pub mod registry;
pub mod run;
pub mod script;
pub mod setting;
pub mod snapshot;
mod split;
pub mod view;
pub mod world;

pub use choices::Choices;
pub use draw::{Shape, draw_step};
pub use layers::Layer;
pub use merged::Merged;
pub use plan::{Line, Plan};
pub use reference::Reference;
pub use run::Runner;
pub use script::Script;
pub use setting::{Checks, Counts, Kind};
pub use world::World;
