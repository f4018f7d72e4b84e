//! What cannot be composed, and what is said about it.

use crate::support::{Wasi, app, config, stand_in, usual_app, usual_world};
use wasi_overlay_compose::{ComposeError, Config};

/// Composes `app` and expects an error that says all of this.
#[track_caller]
fn refused(app: &[u8], expected: &[&str]) -> ComposeError {
    let error = stand_in("overlay")
        .compose(app, &config("/base"))
        .expect_err("it was composed");
    for expected in expected {
        assert!(error.to_string().contains(expected), "{error}");
    }
    error
}

/// A component that imports `types` of 0.2.0 as this instance.
fn importing_types(instance: &str) -> String {
    format!(r#"(component (import "wasi:filesystem/types@0.2.0" (instance {instance})))"#)
}

#[test]
fn what_is_no_webassembly() {
    for app in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", b"  \n"] {
        refused(
            app,
            &["neither a component, nor a core module", ".wasm or .wat"],
        );
    }
    refused(b"(module", &["no valid WebAssembly text", "expected `)`"]);
    refused(
        b";; nothing\n(component (nonsense))",
        &["no valid WebAssembly text"],
    );
    refused(b"\0asm", &["no valid WebAssembly ("]);
    let app = usual_app(0);
    refused(&app[..app.len() - 5], &["no valid WebAssembly ("]);
}

#[test]
fn an_app_without_files() {
    for app in [
        "(component)",
        "(module)",
        r#"(component (import "a:b/c@1.0.0" (instance)))"#,
    ] {
        refused(
            app.as_bytes(),
            &["does not import `wasi:filesystem`", "would be the same"],
        );
    }
}

#[test]
fn an_app_of_another_wasi() {
    let app = r#"(component (import "wasi:filesystem/types@0.3.0" (instance)))"#;
    refused(
        app.as_bytes(),
        &["`wasi:filesystem/types@0.3.0`", "WASI 0.2", "wasm32-wasip2"],
    );
    let app = r#"(component (import "wasi:filesystem/types@0.2.0-rc-2023-11-10" (instance)))"#;
    refused(
        app.as_bytes(),
        &["rc-2023-11-10`", "no released version", "newer toolchain"],
    );
    let app = r#"(module (import "wasi_unstable" "fd_write" (func)))"#;
    refused(
        app.as_bytes(),
        &["`wasi_unstable::fd_write`", "wasm32-wasip1"],
    );
    let app = r#"(module (import "wasi_snapshot_preview1" "fd_magic" (func))
        (memory (export "memory") 1))"#;
    refused(app.as_bytes(), &["cannot be made a component", "fd_magic"]);
    let app = r#"(module (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
        (import "env" "log" (func)))"#;
    refused(app.as_bytes(), &["`env::log`", "without that import"]);
}

/// `wac_graph::plug` skips what does not fit without a word, and the app keeps the host's.
#[test]
fn an_interface_that_does_not_fit() {
    let app = importing_types(r#"(export "shred" (func))"#);
    refused(
        app.as_bytes(),
        &[
            "`wasi:filesystem/types@0.2.0`",
            "missing expected function export `shred`",
        ],
    );
    let app = importing_types(
        r#"(export "descriptor" (type $d (sub resource)))
        (export "[method]descriptor.sync" (func (param "self" (borrow $d))))"#,
    );
    refused(
        app.as_bytes(),
        &[
            "`wasi:filesystem/types@0.2.0`",
            "`[method]descriptor.sync`",
            "without a result",
        ],
    );
    let app = r#"(component (import "wasi:filesystem/links@0.2.0" (instance)))"#;
    refused(
        app.as_bytes(),
        &["`wasi:filesystem/links@0.2.0`", "no such interface"],
    );
}

/// wac-graph panicked at these, in an assertion and in a look-up.
#[test]
fn a_world_that_the_composer_cannot_write() {
    for (world, import) in [
        (
            "use wasi:io/streams@0.2.6.{input-stream}; \
             import f: func(x: list<tuple<u8, borrow<input-stream>>>);",
            "f",
        ),
        (
            "use wasi:io/streams@0.2.6.{stream-error}; export f: func() -> stream-error;",
            "stream-error",
        ),
        ("resource r { get: func(); }", "[method]r.get"),
    ] {
        let app = app(&[Wasi::all(6)], &(usual_world(6) + world));
        refused(&app, &[&format!("`{import}` outside of an interface")]);
    }
    // These it can.
    let world = "use wasi:io/streams@0.2.6.{input-stream}; use wasi:clocks/wall-clock@0.2.6.{datetime}; \
        import f: func() -> input-stream; export g: func(x: borrow<input-stream>) -> datetime;";
    let app = app(&[Wasi::all(6)], &(usual_world(6) + world));
    let composed = stand_in("overlay").compose(&app, &config("/base")).unwrap();
    crate::support::ports(&composed.bytes);
}

/// The host's descriptors and the overlay's are not of one type.
#[test]
fn an_app_that_gets_descriptors_from_elsewhere() {
    let world = "import other: interface { use wasi:filesystem/types@0.2.6.{descriptor}; \
        open: func() -> descriptor; }";
    let app = app(&[Wasi::all(6)], &(usual_world(6) + world));
    let error = refused(
        &app,
        &["must not use the types of `wasi:filesystem`", "`other`"],
    );
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// The first thing that is said is what is wrong with the command line, not with the app.
#[test]
fn a_configuration_that_cannot_be_used() {
    let error = stand_in("overlay").compose(b"", &Config::default());
    assert!(matches!(error, Err(ComposeError::Config(_))), "{error:?}");
}
