//! Links are followed by the calls that should follow them, and not by the others.

use guests_p1::wasi::{OFLAGS_DIRECTORY, RIGHTS_FD_READ};
use guests_p1::{ROOT, at, raw, show, show_data, show_tree, tried};
use std::fs;

fn main() {
    for link in [
        "rel",
        "dangling",
        "dangling-dir",
        "dir",
        "chain",
        "up",
        "dot",
        "loop1",
        "self",
        "escape",
        "abs",
    ] {
        let link = format!("links/{link}");
        show(
            format_args!("readlink {link}"),
            raw::readlink(ROOT, &link, 256),
        );
        show(
            format_args!("lstat {link}"),
            raw::stat(ROOT, &link, false).map(|stat| (stat.filetype.raw(), stat.size)),
        );
        show(
            format_args!("stat {link}"),
            raw::stat(ROOT, &link, true).map(|stat| stat.filetype.raw()),
        );
        tried(
            format_args!("open {link}"),
            raw::open_read(ROOT, &link).and_then(raw::close),
        );
        tried(
            format_args!("open {link} as a directory"),
            raw::open_dir(ROOT, &link).and_then(raw::close),
        );
        let unfollowed = raw::open(ROOT, &link, false, 0, RIGHTS_FD_READ, 0);
        tried(
            format_args!("open {link} itself"),
            unfollowed.and_then(raw::close),
        );
        tried(
            format_args!("open {link}/"),
            raw::open(
                ROOT,
                &format!("{link}/"),
                false,
                OFLAGS_DIRECTORY,
                RIGHTS_FD_READ,
                0,
            )
            .and_then(raw::close),
        );
    }
    for path in [
        "links/dir/one",
        "links/chain/inner",
        "links/up/hello.txt",
        "links/dot/dot/dot/rel",
        "links/up/links/up/links/rel",
        "links/dir/../hello.txt",
        "links/rel/x",
        "links/rel/",
        "links/dangling/x",
        "links/loop1/x",
    ] {
        show_data(format_args!("read {path}"), fs::read(at(path)));
    }
    for path in [
        "hello.txt",
        "dir",
        "missing",
        "links/dir/",
        "links/rel/",
        "",
    ] {
        show(
            format_args!("readlink {path:?}"),
            raw::readlink(ROOT, path, 256),
        );
    }
    show(
        "readlink into a small buffer",
        raw::readlink(ROOT, "links/rel", 4),
    );

    // New links are followed, written through and removed.
    for (target, path) in [
        ("dir/two", "made"),
        ("../dir", "a/made"),
        ("nowhere", "made-dangling"),
        ("made", "made-of-made"),
        ("hello.txt", "gone-file"),
        ("x", "hello.txt"),
        ("x", "dir"),
        ("x", "missing/x"),
        ("x", "links/dangling"),
        ("", "made-empty"),
        ("/hello.txt", "made-absolute"),
        ("../../out", "made-outward"),
        ("x", "slash/"),
        ("x", ""),
    ] {
        tried(
            format_args!("symlink {path:?} to {target:?}"),
            raw::symlink(target, ROOT, path),
        );
    }
    for path in [
        "made",
        "a/made/two",
        "made-of-made",
        "gone-file",
        "made-dangling",
        "made-outward",
    ] {
        show_data(format_args!("read {path}"), fs::read(at(path)));
    }
    tried(
        "write through two links",
        fs::write(at("made-of-made"), "written through"),
    );
    show_data("dir/two", fs::read(at("dir/two")));
    tried(
        "write through a dangling one",
        fs::write(at("made-dangling"), "somewhere"),
    );
    show_data("nowhere", fs::read(at("nowhere")));
    tried(
        "write through a link of a lower",
        fs::write(at("links/rel"), "hello again"),
    );
    show_data("hello.txt", fs::read(at("hello.txt")));
    tried("unlink", raw::unlink(ROOT, "made-of-made"));
    tried("mkdir through a link", fs::create_dir(at("links/dir/made")));
    show_tree("dir");
    show_tree("links");
}
