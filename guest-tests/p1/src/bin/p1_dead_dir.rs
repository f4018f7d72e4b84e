//! A removed directory that is still open stays an empty directory forever.

use guests_p1::wasi::OFLAGS_CREAT;
use guests_p1::{ROOT, at, raw, show, show_tree, tried};
use std::fs;

fn try_every_call(dir: guests_p1::wasi::Fd) {
    tried("  stat", raw::fstat(dir).map(|_| ()));
    tried("  open", raw::open_read(dir, "inner").map(|_| ()));
    tried(
        "  create",
        raw::open_write(dir, "new", OFLAGS_CREAT).map(|_| ()),
    );
    tried("  mkdir", raw::mkdir(dir, "new"));
    tried("  symlink", raw::symlink("x", dir, "new"));
    tried("  link", raw::link(ROOT, "hello.txt", dir, "new"));
    tried("  rename in", raw::rename(ROOT, "hello.txt", dir, "new"));
    tried("  rename out", raw::rename(dir, "inner", ROOT, "new"));
    tried("  unlink", raw::unlink(dir, "inner"));
    tried("  rmdir", raw::rmdir(dir, "sub2"));
    tried("  stat at", raw::stat(dir, "inner", true).map(|_| ()));
    tried("  readlink", raw::readlink(dir, "inner", 64));
}

fn main() {
    for path in ["emptydir", "dir/sub"] {
        let dir = raw::open_dir(ROOT, path).expect("it can be opened");
        tried(format_args!("remove {path}"), fs::remove_dir_all(at(path)));
        try_every_call(dir);
        tried(format_args!("mkdir {path}"), fs::create_dir(at(path)));
        tried("make in it", fs::write(at(&format!("{path}/inner")), "new"));
        println!("with the name taken again");
        try_every_call(dir);
        show_tree(path);
        tried("close", raw::close(dir));
    }
    // Replaced by a rename.
    tried("mkdir", fs::create_dir(at("target")));
    let dir = raw::open_dir(ROOT, "target").expect("it can be opened");
    tried("rename onto it", fs::rename(at("a"), at("target")));
    tried("make in the old one", raw::mkdir(dir, "new"));
    show("list the new one", guests_p1::names("target"));
    tried("close", raw::close(dir));
}
