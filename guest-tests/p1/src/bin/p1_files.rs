//! The guest of the demonstration, with a few commands on files: `tree`, `cat FILE`, `write FILE TEXT`,
//! `mkdir DIR`, `mv FROM TO`, `rm PATH`. Without arguments it runs each in a new directory.

use guests_p1::at;
use std::fs;
use std::io;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if words.is_empty() {
        run_each_once();
    } else if let Err(error) = command(&words) {
        eprintln!("{}: {error}", words.join(" "));
        std::process::exit(1);
    }
}

fn run_each_once() {
    for words in [
        &["mkdir", "files"][..],
        &["write", "files/one", "first"],
        &["write", "files/one", "second"],
        &["cat", "files/one"],
        &["mkdir", "files/dir"],
        &["mv", "files/one", "files/dir/two"],
        &["mv", "files/dir", "files/moved"],
        &["tree", "files"],
        &["rm", "files/moved"],
        &["tree", "files"],
        &["rm", "files"],
    ] {
        println!("> {}", words.join(" "));
        command(words).expect("it can be done");
    }
}

fn command(words: &[&str]) -> io::Result<()> {
    match *words {
        ["tree"] => tree(&at("."), 0),
        ["tree", dir] => tree(&at(dir), 0),
        ["cat", file] => {
            println!("{}", fs::read_to_string(at(file))?);
            Ok(())
        }
        ["write", file, text] => fs::write(at(file), text),
        ["mkdir", dir] => fs::create_dir(at(dir)),
        ["mv", from, to] => fs::rename(at(from), at(to)),
        ["rm", path] if fs::symlink_metadata(at(path))?.is_dir() => fs::remove_dir_all(at(path)),
        ["rm", path] => fs::remove_file(at(path)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a command: tree, cat FILE, write FILE TEXT, mkdir DIR, mv FROM TO, rm PATH",
        )),
    }
}

/// Prints the tree below a directory, sorted, with the first line of each file.
fn tree(dir: &Path, depth: usize) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let indent = "  ".repeat(depth);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            println!("{indent}{name}/");
            tree(&entry.path(), depth + 1)?;
        } else if kind.is_symlink() {
            println!(
                "{indent}{name} -> {}",
                fs::read_link(entry.path())?.display()
            );
        } else {
            let text = fs::read_to_string(entry.path())?;
            let line = text.lines().next().unwrap_or_default();
            println!("{:24}{line}", format!("{indent}{name}"));
        }
    }
    Ok(())
}
