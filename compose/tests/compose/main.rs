//! What is composed, and what is refused.
//!
//! All of it runs with a stand-in for the overlay, made from the WIT of the real one, and with
//! the real one where it was built (`scripts/build-component.sh`). What composed programs do is
//! tested where they can be run, in the tests of the component.

mod apps;
mod bare;
mod refused;
mod support;
mod versions;
