//! Proposals of names in messages: "did you mean".

use std::cmp::Reverse;

/// The most names that a message lists.
const MAX_NAMES: usize = 10;

/// How similar two names must be for a message to propose one instead of the other: clap's bound.
const MIN_SIMILARITY: f64 = 0.7;

/// Describes the exported `names` in a message about `wanted`, which is not one of them: proposes the most
/// similar name if one is similar, and lists up to [`MAX_NAMES`] names, the most similar one first.
pub(crate) fn describe_exports(wanted: &str, mut names: Vec<String>) -> String {
    // Only the order counts, so a similarity of two decimals in a number that can be compared will do.
    let rank = |name: &String| {
        let similarity = strsim::jaro(wanted, name);
        Reverse((similarity * 1000.0) as u32)
    };
    names.sort_by_cached_key(|name| (rank(name), name.clone()));
    names.dedup();
    let Some(first) = names.first() else {
        return "it exports no function".to_owned();
    };
    let proposal = if strsim::jaro(wanted, first) > MIN_SIMILARITY {
        format!("did you mean `{first}`? It")
    } else {
        "it".to_owned()
    };
    let listed = names.iter().take(MAX_NAMES).map(|name| format!("`{name}`"));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(MAX_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{proposal} exports {listed}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn most_similar_name_comes_first() {
        assert_eq!(
            describe_exports("ad", names(&["sub", "add", "mul"])),
            "did you mean `add`? It exports `add`, `mul`, `sub`"
        );
        assert_eq!(
            describe_exports("x", names(&["sub", "add"])),
            "it exports `add`, `sub`"
        );
        assert_eq!(describe_exports("x", Vec::new()), "it exports no function");
    }

    #[test]
    fn long_list_is_cut() {
        let many: Vec<_> = (0..25).map(|index| format!("f{index:02}")).collect();
        let text = describe_exports("zzz", many);
        assert!(text.ends_with("`f09` and 15 more"), "{text}");
    }
}
