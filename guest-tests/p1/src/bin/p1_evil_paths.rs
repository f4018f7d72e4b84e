//! Paths that only a hostile program would use.

use guests_p1::wasi::OFLAGS_CREAT;
use guests_p1::{ROOT, is_wrapped, raw, show_tree, tried, wasi};

fn main() {
    let long = "x/".repeat(40_000);
    let ups = "../".repeat(10_000);
    let dots = "./".repeat(1000);
    let paths = [
        "nul\0",
        "\0",
        "hello.txt\0",
        "hello.txt\0x",
        "dir/\0/x",
        "nul\0/..",
        "//",
        "///hello.txt",
        "./",
        "././.",
        ".//",
        "...",
        "dir/...",
        "a//b",
        "\\",
        "..\\x",
        "C:\\x",
        "hello.txt\n",
        "-",
        "~",
        "*",
        "%2e%2e/x",
        "\u{202e}txt",
        "\u{feff}",
        "e\u{301}",
        "dir/../dir/../..",
        &long,
        &ups,
        &dots,
    ];
    for path in paths {
        let shown = path.escape_debug().to_string();
        println!("{} ({} bytes)", &shown[..shown.len().min(24)], path.len());
        tried("  stat", raw::stat(ROOT, path, true).map(|_| ()));
        tried("  mkdir", raw::mkdir(ROOT, path));
        tried(
            "  create",
            raw::open_write(ROOT, path, OFLAGS_CREAT).and_then(raw::close),
        );
        tried("  symlink to", raw::symlink(path, ROOT, "link"));
        tried("  through it", raw::stat(ROOT, "link", true).map(|_| ()));
        tried("  unlink it", raw::unlink(ROOT, "link"));
        tried("  rename to", raw::rename(ROOT, "empty", ROOT, path));
        tried("  rename from", raw::rename(ROOT, path, ROOT, "empty"));
        tried("  rmdir", raw::rmdir(ROOT, path));
        tried("  unlink", raw::unlink(ROOT, path));
    }
    // Bytes that are not UTF-8, although WASI's strings have to be.
    let no_utf8 = [&b"\xff"[..], b"dir/\xc3", b"\xed\xa0\x80"];
    for bytes in no_utf8.into_iter().filter(|_| !is_wrapped()) {
        // SAFETY: the host accepts any bytes, which is what this guest tests.
        let made = unsafe {
            wasi::wasi_snapshot_preview1::path_create_directory(
                ROOT as i32,
                bytes.as_ptr() as i32,
                bytes.len() as i32,
            )
        };
        println!("mkdir {bytes:?}: {made}");
    }
    show_tree("dir");
}
