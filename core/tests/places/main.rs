//! Where layers are stored: what may share storage with what, mounts inside layers, and what is
//! never opened.

#![cfg(all(feature = "conformance", feature = "dir"))]

mod bind;
mod closed;
mod cross;
mod fifo;
mod folding;
mod image;
mod kit;
mod locks;
mod refused;
