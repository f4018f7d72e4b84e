//! Directories as layers: overlapping layers, mount points inside layers, and files that must not be opened.

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
