//! The list of deviations in the README equals `deviations.toml`.

use std::collections::BTreeSet;
use wasi_overlay_proof::deviations;

const README: &str = include_str!("../../README.md");

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn readme_lists_exactly_the_deviations() {
    let (_, after) = README
        .split_once("**From a plain directory**")
        .expect("the README says what differs from a plain directory");
    let (section, _) = after.split_once("**From ").expect("and from other things");
    let points = section.split("\n- ").skip(1).map(one_line);
    let said: BTreeSet<_> = points.collect();
    let listed: BTreeSet<_> = deviations::list()
        .iter()
        .map(|listed| one_line(&listed.what))
        .collect();
    assert_eq!(listed, said);
}

#[test]
fn each_deviation_has_a_unique_name_and_a_reason() {
    let list = deviations::list();
    let names: BTreeSet<_> = list.iter().map(|listed| &listed.name).collect();
    assert_eq!(names.len(), list.len());
    for listed in &list {
        assert!(listed.why.ends_with('.'), "{}", listed.name);
    }
}
