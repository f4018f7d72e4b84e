//! Random sequences of calls on an overlay and on a plain directory: every answer and the tree
//! must be the same, with files and directories held open across calls, and with the upper
//! becoming a layer in mid-sequence.
//!
//! `OVERLAY_SEED` and `OVERLAY_STEPS` replay one sequence; `OVERLAY_SEQUENCES` sets how many.

#![cfg(all(feature = "conformance", feature = "dir"))]

mod world;

use world::{Kind, World};

/// What one sequence does before it ends, and how many layers may pile up.
const STEPS: usize = 120;
const ROTATE_EVERY: usize = 30;

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

fn run(kind: Kind, sequences: u64) {
    let replay = std::env::var("OVERLAY_SEED").is_ok();
    let seeds = match replay {
        true => {
            let seed = number("OVERLAY_SEED", 0);
            seed..seed + 1
        }
        false => 0..number("OVERLAY_SEQUENCES", sequences),
    };
    let steps = number("OVERLAY_STEPS", STEPS as u64) as usize;
    for seed in seeds {
        if let Err(story) = sequence(kind, seed, steps) {
            panic!("seed {seed} on {kind:?}:\n{story}");
        }
    }
}

/// Runs one sequence; the story of what led to a difference, if there is one.
fn sequence(kind: Kind, seed: u64, steps: usize) -> Result<(), String> {
    let mut world = World::new(kind, seed);
    let mut story = String::new();
    for step in 0..steps {
        if step % ROTATE_EVERY == ROTATE_EVERY - 1 {
            story += "-- the upper becomes a layer\n";
            world.rotate();
        } else {
            let call = world.draw();
            story += &format!("{step}: {call:?}");
            let (plain, overlay) = world.apply(&call);
            story += &format!(" = {overlay}\n");
            if plain != overlay {
                return Err(format!("{story}the plain directory answers {plain}\n"));
            }
        }
        if step % 10 == 9 {
            let (plain, overlay) = world.trees();
            if plain != overlay {
                return Err(format!("{story}plain tree:\n{plain}overlay:\n{overlay}"));
            }
        }
    }
    Ok(())
}

#[test]
fn an_upper_directory_is_like_a_plain_one() {
    run(Kind::Directory, 60);
}

#[test]
fn an_upper_whose_handles_are_paths_is_like_a_plain_directory() {
    run(Kind::ByPath, 40);
}

#[test]
fn an_upper_in_memory_is_like_a_plain_directory() {
    run(Kind::Memory, 150);
}
