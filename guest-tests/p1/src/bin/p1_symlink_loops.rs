//! A chain of forty links is followed; a longer one is `LOOP`.

use guests_p1::{ROOT, at, raw, tried};
use std::fs;

fn main() {
    for path in [
        "links/self",
        "links/loop1",
        "links/loop2",
        "links/self/x",
        "links/loop1/",
    ] {
        tried(
            format_args!("stat {path}"),
            raw::stat(ROOT, path, true).map(|_| ()),
        );
        tried(
            format_args!("lstat {path}"),
            raw::stat(ROOT, path, false).map(|_| ()),
        );
        tried(
            format_args!("open {path}"),
            raw::open_read(ROOT, path).and_then(raw::close),
        );
        tried(format_args!("create {path}"), fs::write(at(path), "x"));
        tried(
            format_args!("list {path}"),
            fs::read_dir(at(path)).map(|_| ()),
        );
        tried(
            format_args!("rename to {path}/x"),
            raw::rename(ROOT, "empty", ROOT, &format!("{path}/x")),
        );
    }
    tried("mkdir", fs::create_dir(at("chain")));
    tried("end of the chain", fs::write(at("chain/0"), "end"));
    for link in 1..=45 {
        raw::symlink(&(link - 1).to_string(), ROOT, &format!("chain/{link}")).expect("it is new");
    }
    for link in [1, 20, 38, 39, 40, 41, 42, 45] {
        tried(
            format_args!("through {link} links"),
            raw::stat(ROOT, &format!("chain/{link}"), true).map(|_| ()),
        );
        tried(
            format_args!("read through {link} links"),
            fs::read(at(&format!("chain/{link}"))).map(|_| ()),
        );
    }
    // Links to directories count too, however short the path is.
    let path = |count: usize| format!("{}rel", "dot/".repeat(count));
    for count in [1, 20, 39, 40] {
        tried(
            format_args!("through {count} links and one more"),
            raw::stat(ROOT, &format!("links/{}", path(count)), true).map(|_| ()),
        );
    }
    // A link that names itself twice takes 2^n steps for a host that does not count links.
    tried("symlink", raw::symlink("bomb/bomb", ROOT, "bomb"));
    tried("bomb", raw::stat(ROOT, "bomb", true).map(|_| ()));
}
