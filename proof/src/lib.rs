//! What is needed to prove the engine right: plans, a driver that makes their calls, and oracles
//! that say what each has to answer.
//!
//! ```text
//!   choices ──► plan ──► run ──────► answers, a line a step
//!   (seed,     (text)    │ on an overlay, or a live directory
//!    bytes)              └ reference: the same without any layers
//! ```
//!
//! A [`Plan`] is text: layers, then steps. It is drawn from [`Choices`], printed when it fails,
//! [shrunk](Plan::shrink) to what it needs for that, and run again from a file (`OVERLAY_PLAN`).

#![forbid(unsafe_code)]

pub mod checker;
pub mod choices;
pub mod deviations;
mod draw;
pub mod frozen;
pub mod fuzz;
pub mod kit;
pub mod layers;
pub mod machine;
pub mod matrix;
pub mod merged;
pub mod mount;
pub mod outcome;
pub mod plan;
pub mod reference;
pub mod run;
pub mod script;
pub mod seen;
pub mod setting;
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
