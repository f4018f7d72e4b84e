//! Layers in memory (skeleton).

/// A tree in memory.
pub struct MemoryLayer;
/// Builds a [`MemoryLayer`].
pub struct MemoryBuilder;
