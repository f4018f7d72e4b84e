//! Random plans on random layers: the engine must answer as the reference does, which has no layers.
//!
//! `OVERLAY_OPERATIONS` is the minimum number of calls of each test, or `OVERLAY_SECONDS` its duration.
//! `OVERLAY_SEED` is the first plan, and `OVERLAY_PLAN` a file with a plan to run instead.

use std::time::{Duration, Instant};
use wasi_overlay_proof::{Checks, Choices, Counts, Kind, Plan, Shape, world};

const LINES: usize = 200;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

/// The plan of a seed, and how often it is compared.
fn draw(seed: u64) -> (Plan, Checks) {
    let mut choices = Choices::of_seed(seed);
    let checks = Checks {
        changed_every: choices.of(&[1, 1, 7]),
        tree_every: choices.of(&[20, 40, LINES]),
        tight: choices.one_in(3),
    };
    let shape = Shape {
        layers: 5,
        lines: LINES,
        remount_every: 60,
        rotate_every: 80,
    };
    (Plan::draw(&mut choices, shape), checks)
}

fn run(kind: Kind, calls: u64) {
    if let Some(plan) = Plan::to_replay() {
        for tight in [false, true] {
            if let Err(story) = world::check(&plan, kind, Checks::all(tight)) {
                panic!("on {kind:?}, tight: {tight}:\n{story}");
            }
        }
        return;
    }
    let calls = number("OVERLAY_OPERATIONS").unwrap_or(calls);
    let mut seed = number("OVERLAY_SEED").unwrap_or(0);
    let end = number("OVERLAY_SECONDS").map(|left| Instant::now() + Duration::from_secs(left));
    let mut counts = Counts::default();
    while end.map_or(counts.calls < calls, |end| Instant::now() < end) {
        let (plan, checks) = draw(seed);
        match world::check(&plan, kind, checks) {
            Ok(more) => counts += more,
            Err(_) => {
                let plan = plan.shrink(|plan| world::check(plan, kind, checks).is_err());
                let story = world::check(&plan, kind, checks).err().unwrap_or_default();
                panic!("seed {seed} on {kind:?}, {checks:?}:\n{story}\n\nthe plan:\n{plan}");
            }
        }
        seed += 1;
    }
    println!("{kind:?}: {counts}");
}

#[test]
fn memory_upper_matches_the_reference() {
    run(Kind::Memory, 1_000_000);
}

#[test]
fn lasting_memory_upper_matches_the_reference() {
    run(Kind::Lasting, 1_000_000);
}

#[test]
fn archives_match_the_reference() {
    run(Kind::Archives, 200_000);
}

#[test]
fn directory_upper_matches_the_reference() {
    run(Kind::Directory, 50_000);
}

#[test]
fn by_path_upper_matches_the_reference() {
    run(Kind::ByPath, 50_000);
}

#[test]
fn live_mount_matches_the_reference() {
    run(Kind::Live, 50_000);
}

#[test]
fn overlay_without_an_upper_matches_the_read_only_reference() {
    run(Kind::ReadOnly, 100_000);
}

#[test]
fn read_only_live_mount_matches_the_read_only_reference() {
    run(Kind::ReadOnlyLive, 50_000);
}
