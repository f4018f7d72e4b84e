//! The overlay's core modules, which the build script embeds if they have been built.

include!(concat!(env!("OUT_DIR"), "/artifact.rs"));
