//! The store when the process stops, or a call fails, at each step of each change.

use super::support::{Layout, assert_blobs_are_whole, files_below, noise, read_stack};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Error, Faults, Prune, Reference, Step, Store};

fn layout() -> Layout {
    let mut layout = Layout::default();
    for name in ["one", "two"] {
        let image = layout.image("wasi/wasm", &[("f", name.as_bytes()), ("n", &noise(1000))]);
        layout.name(name, &image);
    }
    layout
}

/// All changes of a store, one after the other.
fn change(path: &Path, faults: Option<Faults>) -> Result<(), Error> {
    let store = match faults {
        Some(faults) => Store::with_faults(path, faults)?,
        None => Store::at(path)?,
    };
    let reference = |name: &str| name.parse::<Reference>().unwrap();
    layout().add_to(&store)?;
    for name in ["one", "two"] {
        let image = store.image(&reference(name), &Choice::default())?;
        let stack = image.stack(&Limits::default())?;
        assert_eq!(read_stack(stack, "f"), name.as_bytes());
    }
    store.tag(&reference("one"), &reference("three"))?;
    store.remove_image(&reference("two"))?;
    let prune = Prune {
        min_age: Duration::ZERO,
        ..Prune::default()
    };
    store.prune(&prune)?;
    Ok(())
}

/// What has to hold at any time: whole blobs only, and no name of an image that is not there.
fn assert_is_consistent(path: &Path, step: usize) {
    assert_blobs_are_whole(path);
    if !path.join("index.json").exists() {
        return;
    }
    let store = Store::at(path).unwrap_or_else(|error| panic!("step {step}: {error}"));
    let problems = store.verify(None).unwrap();
    assert!(problems.is_empty(), "step {step}: {problems:?}");
}

fn assert_is_final(path: &Path, step: usize) {
    assert_is_consistent(path, step);
    let store = Store::at(path).unwrap();
    let names: Vec<_> = store
        .entries()
        .unwrap()
        .into_iter()
        .filter_map(|entry| entry.name)
        .collect();
    let expected = [
        "docker.io/library/one:latest",
        "docker.io/library/three:latest",
    ];
    assert_eq!(names, expected, "step {step}");
    let blobs = files_below(&path.join("blobs")).len();
    // A manifest, a config, a compressed layer and a plain one.
    assert_eq!(blobs, 4, "step {step}");
    let left: Vec<_> = ["tmp", "partial"]
        .iter()
        .flat_map(|folder| files_below(&path.join(".wasi-overlay").join(folder)))
        .collect();
    assert!(left.is_empty(), "step {step}: {left:?}");
}

/// Runs all changes once for each step, with a fault there; `fault` decides by the number of the step and of
/// the one to fail. Then runs them again without faults.
fn for_each_step(fault: fn(usize, usize) -> Option<io::Error>, check: fn(&Path, usize, &Error)) {
    for failing in 0.. {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("store");
        let count = Arc::new(AtomicUsize::new(0));
        let faults: Faults = Arc::new(move |_: Step<'_>| {
            let step = count.fetch_add(1, Ordering::Relaxed);
            fault(step, failing).map_or(Ok(()), Err)
        });
        match change(&path, Some(faults)) {
            Ok(()) => {
                assert!(failing > 60, "only {failing} steps");
                assert_is_final(&path, failing);
                return;
            }
            Err(error) => check(&path, failing, &error),
        }
        assert_is_consistent(&path, failing);
        change(&path, None).unwrap_or_else(|error| panic!("step {failing}: {error}"));
        assert_is_final(&path, failing);
    }
}

#[test]
fn process_that_stops_at_any_step_leaves_a_whole_store() {
    for_each_step(
        |step, failing| (step >= failing).then(|| io::Error::other("stopped")),
        |_, _, _| {},
    );
}

#[test]
fn full_disk_at_any_step_is_reported_and_leaves_nothing() {
    for_each_step(
        |step, failing| (step == failing).then(|| io::ErrorKind::StorageFull.into()),
        |path, step, error| {
            assert!(
                matches!(error, Error::NoSpace { .. }),
                "step {step}: {error:?}"
            );
            if path.join(".wasi-overlay/tmp").exists() {
                let left = files_below(&path.join(".wasi-overlay/tmp"));
                // The step that failed may have been the removal itself.
                assert!(left.len() <= 1, "step {step}: {left:?}");
            }
        },
    );
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Written,
    Synced,
}

/// A file is synced after its last write and before its rename, and the folder right after it.
#[test]
fn file_is_synced_before_it_has_its_name_and_the_folder_after() {
    #[derive(Default)]
    struct Seen {
        files: std::collections::HashMap<String, Change>,
        unsynced_folder: Option<String>,
        renames: usize,
        error: Option<String>,
    }
    let dir = TempDir::new().unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let recorded = Arc::clone(&seen);
    let faults: Faults = Arc::new(move |step: Step<'_>| {
        let mut seen = recorded.lock().unwrap();
        let is_cache = |path: &str| {
            ["index/", "unpacked/", "files/"]
                .iter()
                .any(|folder| path.starts_with(&format!(".wasi-overlay/{folder}")))
        };
        if let Some(folder) = seen.unsynced_folder.take()
            && step != Step::SyncDir(&folder)
        {
            seen.error = Some(format!("{step:?} before {folder} was synced"));
        }
        match step {
            Step::Create(path) | Step::Write(path) | Step::Truncate(path) => {
                seen.files.insert(path.to_owned(), Change::Written);
            }
            Step::Sync(path) => {
                seen.files.insert(path.to_owned(), Change::Synced);
            }
            Step::Rename(from, to) if !is_cache(to) => {
                seen.renames += 1;
                if seen.files.get(from) != Some(&Change::Synced) {
                    seen.error = Some(format!("{to} got its name unsynced"));
                }
                let folder = to.rsplit_once('/').map_or(".", |(folder, _)| folder);
                seen.unsynced_folder = Some(folder.to_owned());
            }
            Step::Rename(..) | Step::CreateDir(_) | Step::SyncDir(_) | Step::Remove(_) => {}
        }
        Ok(())
    });
    change(&dir.path().join("store"), Some(faults)).unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.error, None);
    assert_eq!(seen.unsynced_folder, None);
    assert!(seen.renames > 10, "{}", seen.renames);
}
