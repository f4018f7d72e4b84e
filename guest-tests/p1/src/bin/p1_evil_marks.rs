//! A guest of an overlay can neither see, make nor remove a whiteout by its name. On a plain directory the
//! same names are ordinary.

use guests_p1::wasi::OFLAGS_CREAT;
use guests_p1::{ROOT, raw, show_tree, tried};

fn main() {
    for path in [
        ".wh.hello.txt",
        ".wh..wh..opq",
        ".wh..wh.work",
        ".wh..wh.work/x",
        "dir/.wh.one",
        "dir/.wh..wh..opq",
        ".wh.gone-file",
        ".wh.",
        ".wh.x/y",
        "dir/.wh.gone",
        ".wh..",
        ".wh.new/",
    ] {
        println!("{path}");
        tried("  stat", raw::stat(ROOT, path, false).map(|_| ()));
        tried("  open", raw::open_read(ROOT, path).and_then(raw::close));
        tried("  list", raw::open_dir(ROOT, path).and_then(raw::close));
        tried("  readlink", raw::readlink(ROOT, path, 64));
        tried("  mkdir", raw::mkdir(ROOT, path));
        tried("  rmdir", raw::rmdir(ROOT, path));
        tried(
            "  create",
            raw::open_write(ROOT, path, OFLAGS_CREAT).and_then(raw::close),
        );
        tried("  unlink", raw::unlink(ROOT, path));
        tried("  symlink", raw::symlink("x", ROOT, path));
        tried("  unlink", raw::unlink(ROOT, path));
        tried("  link", raw::link(ROOT, "empty", ROOT, path));
        tried("  unlink", raw::unlink(ROOT, path));
        tried("  rename to", raw::rename(ROOT, "empty", ROOT, path));
        tried("  rename from", raw::rename(ROOT, path, ROOT, "empty"));
        tried("  as a target", raw::symlink(path, ROOT, "link"));
        tried("  through it", raw::stat(ROOT, "link", true).map(|_| ()));
        tried(
            "  create through it",
            raw::open_write(ROOT, "link", OFLAGS_CREAT).and_then(raw::close),
        );
        tried("  unlink it", raw::unlink(ROOT, "link"));
    }
    // Names that only resemble whiteouts.
    for path in [".wh", "wh.x", ".WH.x", "..wh.x", "x.wh.x"] {
        tried(
            format_args!("create {path}"),
            raw::open_write(ROOT, path, OFLAGS_CREAT).and_then(raw::close),
        );
    }
    show_tree(".");
}
