//! What can be told of a path without asking the kernel.

/// Whether `path` is one name in the directory itself: the kernel needs no sandbox for that,
/// as long as it does not follow what the name stands for.
pub(super) fn is_one_name(path: &str) -> bool {
    !path.contains('/') && !matches!(path, "" | "." | "..")
}

/// Whether `path` ends in something else than a name: `/`, `.` or `..`. Such a path stands for
/// a directory as it is, never for an entry that could be made or removed.
pub(super) fn ends_in_no_name(path: &str) -> bool {
    matches!(path.rsplit('/').next(), None | Some("" | "." | ".."))
}

/// `path` without slashes at its end, if anything is left.
pub(super) fn without_slashes(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => path,
        trimmed => trimmed,
    }
}

/// The directory that `path` names an entry of; none if that is the one it is relative to.
pub(super) fn parent(path: &str) -> Option<&str> {
    if ends_in_no_name(path) {
        return Some(path);
    }
    path.rfind('/').map(|slash| &path[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_name_is_one_name() {
        for yes in ["a", "...", ".a", "a b"] {
            assert!(is_one_name(yes), "{yes}");
        }
        for no in ["", ".", "..", "a/", "/a", "a/b", "/"] {
            assert!(!is_one_name(no), "{no}");
        }
    }

    #[test]
    fn parents_are_what_holds_the_last_name() {
        let table = [
            ("a", None),
            ("a/b", Some("a/")),
            ("/a", Some("/")),
            ("a/b/", Some("a/b/")),
            ("a/.", Some("a/.")),
            ("..", Some("..")),
        ];
        for (path, expected) in table {
            assert_eq!(parent(path), expected, "{path}");
        }
    }

    #[test]
    fn slashes_at_the_end_go_but_the_root_stays() {
        for (path, expected) in [
            ("a//", "a"),
            ("a", "a"),
            ("/", "/"),
            ("", ""),
            ("a/b/", "a/b"),
        ] {
            assert_eq!(without_slashes(path), expected, "{path}");
        }
    }
}
