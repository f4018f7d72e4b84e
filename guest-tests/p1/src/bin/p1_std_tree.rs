//! Trees are copied, walked, moved and removed with `std`, as programs do.

use guests_p1::{at, show, show_data, show_tree, tried};
use std::fs;
use std::path::Path;

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                left.push((entry.path(), to.join(entry.file_name())));
            } else if kind.is_file() {
                bytes += fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
    }
    Ok(bytes)
}

fn main() {
    show("copy dir", copy_tree(&at("dir"), &at("copy/of/dir")));
    show_tree("copy");
    show(
        "copy onto what is there",
        copy_tree(&at("a"), &at("copy/of/dir")),
    );
    show("copy many", copy_tree(&at("many"), &at("copy/many")));
    show_tree("copy/of");
    show(
        "copy onto itself",
        fs::copy(at("hello.txt"), at("copy/hello.txt"))
            .and_then(|_| fs::copy(at("copy/hello.txt"), at("hello.txt"))),
    );
    // Saving a file as editors do.
    tried("write aside", fs::write(at("hello.txt.tmp"), "saved\n"));
    tried(
        "move over",
        fs::rename(at("hello.txt.tmp"), at("hello.txt")),
    );
    show_data("hello.txt", fs::read(at("hello.txt")));
    tried("back up", fs::rename(at("dir"), at("dir.old")));
    tried(
        "put the copy there",
        fs::rename(at("copy/of/dir"), at("dir")),
    );
    tried("remove the backup", fs::remove_dir_all(at("dir.old")));
    tried("remove the copy", fs::remove_dir_all(at("copy")));
    show_tree("dir");
    show("exists", fs::exists(at("dir.old")));
    show("exists", fs::exists(at("dir/one")));
    tried(
        "create_dir_all over a file",
        fs::create_dir_all(at("hello.txt/x")),
    );
    tried(
        "create_dir_all of what is there",
        fs::create_dir_all(at("a/b/c")),
    );
}
