//! Whiteout formats (skeleton).
