//! Helpers that list directories.

use crate::{Descriptor, DescriptorType, DirectoryEntry, Result, open, show};

/// The entries of a directory, in the order of the listing.
pub async fn entries(dir: &Descriptor) -> Result<Vec<DirectoryEntry>> {
    let (stream, ended) = dir.read_directory();
    let entries = stream.collect().await;
    ended.await?;
    Ok(entries)
}

/// A letter for a type: `d`, `f`, `l` or `?`.
pub fn letter(kind: &DescriptorType) -> char {
    match kind {
        DescriptorType::Directory => 'd',
        DescriptorType::RegularFile => 'f',
        DescriptorType::SymbolicLink => 'l',
        _ => '?',
    }
}

/// The names in a directory, sorted, with a letter for the type.
pub async fn names(dir: &Descriptor) -> Result<Vec<String>> {
    let entries = entries(dir).await?;
    let line = |entry: &DirectoryEntry| format!("{} {}", letter(&entry.type_), entry.name);
    let mut names: Vec<_> = entries.iter().map(line).collect();
    names.sort();
    Ok(names)
}

/// Prints the names in the directory at `path`.
pub async fn show_names(dir: &Descriptor, path: &str) {
    let listed = match open(dir, path).await {
        Ok(dir) => names(&dir).await,
        Err(code) => Err(code),
    };
    show(format_args!("list {path}"), listed);
}
