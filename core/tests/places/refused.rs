//! Directories that cannot be layers together.
//!
//! An embedder used one directory as the lower and as the upper, or one inside the other, and the guest's files and
//! whiteouts ended up in a base that many guests shared. Only the command line checked this.

use crate::kit::{builder, dirs, error, lower, open};
use std::sync::Arc;
use std::time::Instant;
use wasi_overlay_core::layer::{Durability, MemoryLayer, Upper};
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Errno, Limits, Lower, LowerStack, Overlay};

#[test]
fn upper_that_overlaps_its_lower_is_refused() {
    let temp = dirs(&["base/sub/deep", "apart"]);
    let at = |path: &str| temp.path().join(path);
    for (low, up, relation) in [
        ("base", "base", "it is stored in the same place as lower"),
        ("base", "base/sub/deep", "it lies inside lower"),
        ("base/sub", "base", "it contains lower"),
        ("base/sub", "base/sub/../../base", "it contains lower"),
    ] {
        let error = error(builder(Some(&at(low)), &at(up)).build());
        let message = error.to_string();
        assert_eq!(error.errno(), Errno::Busy, "{message}");
        let begin = format!("upper: {relation}, which is in use as a lower layer");
        assert!(message.starts_with(&begin), "{low} and {up}: {message}");
        assert!(message.contains("give the upper"), "{message}");
        let entries = std::fs::read_dir(at(up)).unwrap();
        assert!(
            entries.flatten().all(|e| e.file_name() != ".wh..wh.work"),
            "it was mounted"
        );
    }
    builder(Some(&at("base")), &at("apart")).build().unwrap();
}

#[test]
fn overlap_is_detected_through_symbolic_links() {
    let temp = dirs(&["base/sub"]);
    let link = temp.path().join("link");
    std::os::unix::fs::symlink("base/sub", &link).unwrap();
    let base = temp.path().join("base");
    let error = error(builder(Some(&base), &link).build());
    assert_eq!(error.errno(), Errno::Busy);
}

#[test]
fn mounted_upper_cannot_be_a_lower_or_a_second_upper() {
    let temp = dirs(&["base", "above/up/sub"]);
    let at = |path: &str| temp.path().join(path);
    let (base, above) = (at("base"), at("above"));
    let at = |path: &str| above.join(path);
    let overlay = builder(Some(&base), &at("up")).build().unwrap();
    for path in ["up", "up/sub", ""] {
        let stack = LowerStack::new([lower(&at(path))], &Limits::default());
        let error = error(stack);
        let message = error.to_string();
        assert_eq!(error.errno(), Errno::Busy, "{message}");
        assert!(
            message.contains("upper, which is in use as the upper of a mount"),
            "{message}"
        );
    }
    for path in ["up", "up/sub", ""] {
        let error = error(builder(None, &at(path)).build());
        let message = error.to_string();
        assert_eq!(error.errno(), Errno::Busy, "{message}");
        assert!(message.contains("the upper of another mount"), "{message}");
    }
    overlay.close().unwrap();
    // `close` releases the upper, although the overlay still exists.
    let stack = LowerStack::new([lower(&at("up"))], &Limits::default()).unwrap();
    let error = error(builder(None, &at("up/sub")).build());
    assert!(error.to_string().contains("a lower layer"), "{error}");
    drop(stack);
    builder(None, &at("up/sub")).build().unwrap();
}

#[test]
fn lower_cannot_be_an_upper_until_its_stack_is_dropped() {
    let temp = dirs(&["base"]);
    let stack = LowerStack::new([lower(temp.path())], &Limits::default()).unwrap();
    let overlay = Overlay::builder()
        .stack(Arc::clone(&stack))
        .upper_memory(1 << 20)
        .build()
        .unwrap();
    drop(stack);
    let upper = temp.path().join("base");
    assert_eq!(error(builder(None, &upper).build()).errno(), Errno::Busy);
    drop(overlay);
    builder(None, &upper).build().unwrap();
}

#[test]
fn memory_layer_cannot_be_both_lower_and_upper() {
    let layer = MemoryLayer::with_capacity(1 << 20);
    let lower = || Lower::new("memory as lower", layer.clone());
    let upper = || Overlay::builder().upper("memory as upper", layer.clone());
    let refused = error(upper().lower(lower()).build());
    assert_eq!(refused.errno(), Errno::Busy);
    let message = refused.to_string();
    assert!(
        message.starts_with("memory as upper: ") && message.contains("memory as lower"),
        "{message}"
    );

    let overlay = upper().build().unwrap();
    let refused = error(LowerStack::new([lower()], &Limits::default()));
    assert_eq!(refused.errno(), Errno::Busy);
    drop(overlay);
    let stacks = [lower(), lower()].map(|lower| LowerStack::new([lower], &Limits::default()));
    assert!(stacks.iter().all(Result::is_ok));
    assert!(upper().build().is_err());
    drop(stacks);
    upper().build().unwrap();
}

#[test]
fn failed_build_releases_its_directories() {
    let temp = dirs(&["base", "up"]);
    let at = |path: &str| temp.path().join(path);
    // The upper is locked by a mount outside of the process's table.
    let other = Marked::upper(HostDir::new(open(&at("up")), "other"));
    other.mount(Durability::Durable).unwrap();
    let refused = error(builder(Some(&at("base")), &at("up")).build());
    assert_eq!(refused.errno(), Errno::Busy);
    builder(None, &at("base")).build().unwrap();
    other.unmount().unwrap();
    builder(Some(&at("base")), &at("up")).build().unwrap();
}

/// A removed directory is empty, so a base that was deleted by mistake was an overlay without a base.
#[test]
fn removed_directory_cannot_be_a_layer() {
    let temp = dirs(&["gone"]);
    let path = temp.path().join("gone");
    let (as_lower, as_upper) = (open(&path), open(&path));
    std::fs::remove_dir(&path).unwrap();
    let refused = error(Lower::dir("gone", as_lower));
    assert_eq!(refused.errno(), Errno::NoEntry);
    assert!(refused.to_string().starts_with("gone: "), "{refused}");
    let refused = error(Overlay::builder().upper_dir("gone", as_upper).build());
    assert_eq!(refused.errno(), Errno::NoEntry);
    assert!(refused.to_string().starts_with("gone: "), "{refused}");
}

/// As on a server. The table of layers does not grow.
#[test]
fn thousands_of_overlays_on_one_stack_cost_microseconds_each() {
    const COUNT: u32 = 10_000;
    let temp = dirs(&["base"]);
    let stack = LowerStack::new([lower(&temp.path().join("base"))], &Limits::default()).unwrap();
    let start = Instant::now();
    let overlays: Vec<_> = (0..COUNT)
        .map(|_| {
            let builder = Overlay::builder().stack(Arc::clone(&stack));
            builder.upper_memory(1 << 20).build().unwrap()
        })
        .collect();
    let each = start.elapsed() / COUNT;
    println!("an overlay on a shared stack: {each:?}");
    assert!(each.as_micros() < 500, "{each:?}");
    drop((overlays, stack));
    builder(None, &temp.path().join("base")).build().unwrap();
}
