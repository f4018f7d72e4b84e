//! The list of deviations in the docs equals `deviations.toml`.

use std::collections::BTreeSet;
use wasi_overlay_proof::deviations;

const DIFFERENCES: &str = include_str!("../../docs/differences.md");

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn docs_list_the_deviations() {
    let (_, after) = DIFFERENCES
        .split_once("## From a plain directory")
        .expect("the page says what differs from a plain directory");
    let (section, _) = after.split_once("\n## ").expect("and from other things");
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
