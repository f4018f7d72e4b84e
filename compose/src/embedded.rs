//! The core modules of the overlay, where they were built.

include!(concat!(env!("OUT_DIR"), "/artifact.rs"));
