//! Checks of a path that need no system call.

/// Whether `path` is a single name in the directory itself: looking it up needs no sandbox, as long as
/// a symbolic link is not followed.
pub(super) fn is_single_name(path: &str) -> bool {
    !path.contains('/') && !matches!(path, "" | "." | "..")
}

/// Whether `path` does not end in a name but in `/`, `.` or `..`. Such a path refers to a directory, and
/// never to an entry that could be created or removed.
pub(super) fn ends_without_name(path: &str) -> bool {
    matches!(path.rsplit('/').next(), None | Some("" | "." | ".."))
}

/// `path` without trailing slashes, unless it has nothing else.
pub(super) fn without_slashes(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => path,
        trimmed => trimmed,
    }
}

/// The directory that holds the entry at `path`. `None` if it is the directory that the path is relative
/// to.
pub(super) fn parent(path: &str) -> Option<&str> {
    if ends_without_name(path) {
        return Some(path);
    }
    path.rfind('/').map(|slash| &path[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_name_is_a_single_name() {
        for yes in ["a", "...", ".a", "a b"] {
            assert!(is_single_name(yes), "{yes}");
        }
        for no in ["", ".", "..", "a/", "/a", "a/b", "/"] {
            assert!(!is_single_name(no), "{no}");
        }
    }

    #[test]
    fn the_parent_holds_the_last_name() {
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
    fn trailing_slashes_are_removed_except_from_the_root() {
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
