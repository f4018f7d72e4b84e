//! Guests and hosts with bad intent: no path leads out of a mount, and no guest can forge a whiteout.
//!
//! Files outside the mount hold a secret. No call may show it, and afterwards everything outside must
//! be unchanged, including the times ([`kit`]).

mod kit;
mod numbers;
mod paths;
mod races;
mod whiteouts;
