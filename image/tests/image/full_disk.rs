//! A disk that is really full.

use super::support::{Layout, assert_blobs_are_whole, files_below, noise, read_stack};
use std::path::Path;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Error, Store};
use wasi_overlay_proof::machine::SmallDisk;

fn run(path: &Path, layout: &Layout) -> Result<(), Error> {
    let store = Store::at(path)?;
    layout.add_to(&store)?;
    let image = store.image(&"app".parse().unwrap(), &Choice::default())?;
    let stack = image.stack(&Limits::default())?;
    assert_eq!(read_stack(stack, "small"), b"x");
    Ok(())
}

#[test]
fn full_disk_is_reported_and_the_next_pull_goes_on() {
    let Some(disk) = SmallDisk::mount("a full disk", "1m") else {
        return;
    };
    let mut layout = Layout::default();
    let half = [noise(500_000), vec![b'a'; 1_500_000]].concat();
    let image = layout.image("wasi/wasm", &[("f", &half), ("small", b"x")]);
    layout.name("app", &image);
    let path = disk.path().join("store");
    // Sizes at which the download fails, the tar is too large by what gzip says, and all fits.
    let mut failures = 0;
    for size in [256, 512, 768, 1024, 2048, 2304, 4096] {
        disk.resize(&format!("{size}k"));
        match run(&path, &layout) {
            Ok(()) => {
                assert_eq!(size, 4096);
                assert!(Store::at(&path).unwrap().verify(None).unwrap().is_empty());
            }
            Err(error) => {
                failures += 1;
                assert!(matches!(error, Error::NoSpace { .. }), "{size}: {error}");
                assert!(error.to_string().contains("wasi-overlay prune"), "{error}");
                assert_blobs_are_whole(&path);
                assert!(
                    files_below(&path.join(".wasi-overlay/tmp")).is_empty(),
                    "{size}"
                );
            }
        }
    }
    assert_eq!(failures, 6);
}
