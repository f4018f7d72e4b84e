//! Printing, parsing and shrinking of plans.

use wasi_overlay_proof::{Choices, Plan, Shape};

const SHAPE: Shape = Shape {
    layers: 5,
    lines: 100,
    remount_every: 50,
    rotate_every: 100,
};

#[test]
fn plan_equals_its_parsed_text() {
    for seed in 0..200 {
        let plan = Plan::draw(&mut Choices::of_seed(seed), SHAPE);
        assert_eq!(Plan::parse(&plan.to_string()), Ok(plan), "seed {seed}");
    }
}

#[test]
fn any_bytes_make_a_plan() {
    for length in 0..300 {
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at * at) as u8).collect();
        let plan = Plan::draw(&mut Choices::of_bytes(&bytes), SHAPE);
        assert_eq!(Plan::parse(&plan.to_string()), Ok(plan), "{length} bytes");
    }
}

#[test]
fn plan_shrinks_to_the_lines_that_fail() {
    let plan = Plan::draw(&mut Choices::of_seed(5), SHAPE);
    let has = |plan: &Plan, word: &str| plan.to_string().lines().any(|line| line.starts_with(word));
    assert!(has(&plan, "rename") && has(&plan, "whiteout"), "{plan}");
    let shrunk = plan.shrink(|plan| has(plan, "rename") && has(plan, "whiteout"));
    assert_eq!(
        (shrunk.layers.len(), shrunk.lines.len()),
        (1, 1),
        "{shrunk}"
    );
    assert_eq!(shrunk.layers[0].entries().len(), 1, "{shrunk}");
}

#[test]
fn invalid_plan_is_refused() {
    for text in [
        "file a b",
        "layer\nfile a",
        "layer\nfile ../a b",
        "layer\nfile a b\nfile a/b c",
        "layer\nfile a b\nwhiteout a",
        "layer\nfile .wh.a b",
        "layer\nmount\nfile a b",
        "mount\nopen 1 0 r",
        "mount\nopen 9 0 r a",
    ] {
        assert!(Plan::parse(text).is_err(), "{text}");
    }
}
