//! Tests of composition: accepted apps, errors, and the imports and exports of the result.
//!
//! Each test runs with a stand-in for the overlay, made from the real overlay's WIT, and also with
//! the real overlay if it has been built (`scripts/build-component.sh`). The tests of `host` run
//! composed programs.

mod apps;
mod overlay_alone;
mod refused;
mod support;
mod versions;
