//! Storage of layers: layers that share storage, mounts inside layers, and files that are never opened.

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
