//! Directories are renamed with all their content, whichever layers it comes from.

use guests_p1::{ROOT, at, raw, show, show_data, show_tree, tried};
use std::fs;

fn rename(from: &str, to: &str) {
    tried(
        format_args!("rename {from} to {to}"),
        fs::rename(at(from), at(to)),
    );
}

fn main() {
    let inner = raw::open_dir(ROOT, "dir/sub").expect("it can be opened");
    rename("dir", "folder");
    show_tree("folder");
    show_tree("dir");
    // A descriptor that was opened before is still of the same directory.
    show_data(
        "through the open directory",
        raw::open_read(inner, "inner").and_then(|fd| raw::pread(fd, 64, 0)),
    );
    tried(
        "make a file through it",
        raw::open_write(inner, "made", guests_p1::wasi::OFLAGS_CREAT),
    );
    show_tree("folder/sub");
    tried("close", raw::close(inner));

    // The old name is free, and the old content does not reappear when it is reused.
    tried("mkdir dir", fs::create_dir(at("dir")));
    show_tree("dir");
    rename("folder/sub", "dir/sub");
    show_tree("dir");
    rename("dir", "emptydir");
    show_tree("emptydir");
    rename("emptydir", "dir");
    rename("folder", "gone-dir");
    show_tree("gone-dir");
    rename("gone-dir", "a/b/c/down");
    rename("a", "z");
    show_tree("z");
    rename("many", "z/many");
    show(
        "entries of z/many",
        fs::read_dir(at("z/many")).map(|entries| entries.count()),
    );
    tried(
        "write in the renamed",
        fs::write(at("z/many/f0007"), "seven"),
    );
    show_data("z/many/f0007", fs::read(at("z/many/f0007")));
    rename("z/many", "many");
    show_data("many/f0007", fs::read(at("many/f0007")));
    show_data("many/f0008", fs::read(at("many/f0008")));
    tried("remove in it", fs::remove_file(at("many/f0008")));
    rename("many", "few");
    show(
        "entries of few",
        fs::read_dir(at("few")).map(|entries| entries.count()),
    );
    // A relative link in a renamed directory resolves from its new location.
    rename("links", "z/links");
    show_data("z/links/rel", fs::read(at("z/links/rel")));
    rename("z/links", "links");
    show_data("links/rel", fs::read(at("links/rel")));
    show_tree("z");
}
