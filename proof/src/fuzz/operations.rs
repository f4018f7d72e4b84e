//! The fuzzer of plans: an overlay in memory must answer as the reference does.

use crate::{Checks, Choices, Kind, Plan, Shape, world};

/// Runs the plan that `data` chooses.
///
/// # Panics
/// If the overlay answers or shows anything else, with the plan.
pub fn operations(data: &[u8]) {
    let mut choices = Choices::of_bytes(data);
    let checks = Checks::all(choices.next(2) == 1);
    let shape = Shape {
        layers: 3,
        lines: 40,
        remount_every: 20,
        rotate_every: 20,
    };
    let plan = Plan::draw(&mut choices, shape);
    if let Err(story) = world::check(&plan, Kind::Lasting, checks) {
        panic!("{story}\n\nthe plan:\n{plan}");
    }
}
