//! Evil guests and evil hosts: nothing leads out of a mount, and nothing inside can be forged.
//!
//! Outside lie files that hold a secret. No call may show it, and afterwards all that is outside
//! must be as it was, to the times ([`kit`]).
#![cfg(all(feature = "conformance", feature = "dir"))]

mod kit;
mod marks;
mod numbers;
mod paths;
mod races;
