//! The conformance suite on a layer in memory.

#![cfg(feature = "conformance")]

use wasi_overlay_core::layer::{Durability, MemoryBuilder, MemoryLayer, Upper, conformance};

fn make() -> MemoryLayer {
    MemoryLayer::with_capacity(64 << 20)
}

macro_rules! passes {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            conformance::$name(&make);
        }
    )*};
}

passes! {
    names creates staging publishes copies removes removed_objects renames sequences links writes sizes sparse
    times modes xattrs threads
}

#[test]
fn the_whole_suite_passes() {
    conformance::upper(&make);
}

#[test]
fn mounting() {
    conformance::mounting(&|| {
        let layer = make();
        (layer.clone(), layer)
    });
}

#[test]
fn reads_what_was_written() {
    let layer = make();
    layer.mount(Durability::Durable).unwrap();
    conformance::plant(&layer, &conformance::fixture());
    conformance::reads(&layer);
}

#[test]
fn reads_what_was_built() {
    use conformance::Entry;
    let build = |builder: MemoryBuilder, entry| match entry {
        Entry::Dir(path) => builder.dir(path),
        Entry::OpaqueDir(path) => builder.opaque(path),
        Entry::File(path, data) => builder.file(path, data),
        Entry::Symlink(path, target) => builder.symlink(path, target),
        Entry::Whiteout(path) => builder.whiteout(path),
    };
    let built = conformance::fixture()
        .into_iter()
        .fold(MemoryLayer::build(), build);
    conformance::reads(&built.finish().unwrap());
}
