//! Tests of the errors for apps that cannot be composed.

use crate::support::{Wasi, app, config, stand_in, usual_app, usual_world};
use wasi_overlay_compose::{ComposeError, Config};

/// Composes `app` and expects an error that contains all of `expected`.
#[track_caller]
fn assert_refused(app: &[u8], expected: &[&str]) -> ComposeError {
    let error = stand_in("overlay")
        .compose(app, &config("/base"))
        .expect_err("composition must fail");
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
fn app_that_is_not_webassembly_is_refused() {
    for app in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", b"  \n"] {
        assert_refused(
            app,
            &["neither a component nor a core module", ".wasm or .wat"],
        );
    }
    assert_refused(b"(module", &["not valid WebAssembly text", "expected `)`"]);
    assert_refused(
        b";; nothing\n(component (nonsense))",
        &["not valid WebAssembly text"],
    );
    assert_refused(b"\0asm", &["not valid WebAssembly ("]);
    let app = usual_app(0);
    assert_refused(&app[..app.len() - 5], &["not valid WebAssembly ("]);
}

#[test]
fn app_without_filesystem_imports_is_refused() {
    for app in [
        "(component)",
        "(module)",
        r#"(component (import "a:b/c@1.0.0" (instance)))"#,
    ] {
        assert_refused(
            app.as_bytes(),
            &["does not import `wasi:filesystem`", "would have no effect"],
        );
    }
}

#[test]
fn app_with_unsupported_imports_is_refused() {
    let app = r#"(component (import "wasi:filesystem/types@0.3.0" (instance)))"#;
    assert_refused(
        app.as_bytes(),
        &["`wasi:filesystem/types@0.3.0`", "WASI 0.2", "wasm32-wasip2"],
    );
    let app = r#"(component (import "wasi:filesystem/types@0.2.0-rc-2023-11-10" (instance)))"#;
    assert_refused(
        app.as_bytes(),
        &[
            "rc-2023-11-10`",
            "not a released version",
            "newer toolchain",
        ],
    );
    let app = r#"(module (import "wasi_unstable" "fd_write" (func)))"#;
    assert_refused(
        app.as_bytes(),
        &["`wasi_unstable::fd_write`", "wasm32-wasip1"],
    );
    let app = r#"(module (import "wasi_snapshot_preview1" "fd_magic" (func))
        (memory (export "memory") 1))"#;
    assert_refused(
        app.as_bytes(),
        &["cannot be converted to a component", "fd_magic"],
    );
    let app = r#"(module (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
        (import "env" "log" (func)))"#;
    assert_refused(app.as_bytes(), &["`env::log`", "without that import"]);
}

/// `wac_graph::plug` silently skips imports that do not match, and leaves them to the host.
#[test]
fn interface_that_does_not_match_is_refused() {
    let app = importing_types(r#"(export "shred" (func))"#);
    assert_refused(
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
    assert_refused(
        app.as_bytes(),
        &[
            "`wasi:filesystem/types@0.2.0`",
            "`[method]descriptor.sync`",
            "without a result",
        ],
    );
    let app = r#"(component (import "wasi:filesystem/links@0.2.0" (instance)))"#;
    assert_refused(
        app.as_bytes(),
        &["`wasi:filesystem/links@0.2.0`", "no such interface"],
    );
}

/// wac-graph panicked for these worlds, in an assertion and in a lookup.
#[test]
fn world_that_composer_cannot_encode_is_refused() {
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
        assert_refused(&app, &[&format!("`{import}` outside of an interface")]);
    }
    // The composer can encode these uses of resources.
    let world = "use wasi:io/streams@0.2.6.{input-stream}; use wasi:clocks/wall-clock@0.2.6.{datetime}; \
        import f: func() -> input-stream; export g: func(x: borrow<input-stream>) -> datetime;";
    let app = app(&[Wasi::all(6)], &(usual_world(6) + world));
    let composed = stand_in("overlay").compose(&app, &config("/base")).unwrap();
    crate::support::extern_names(&composed.bytes);
}

/// The host's descriptors and the overlay's have different types.
#[test]
fn app_that_gets_descriptors_from_another_import_is_refused() {
    let world = "import other: interface { use wasi:filesystem/types@0.2.6.{descriptor}; \
        open: func() -> descriptor; }";
    let app = app(&[Wasi::all(6)], &(usual_world(6) + world));
    let error = assert_refused(
        &app,
        &["must not use the types of `wasi:filesystem`", "`other`"],
    );
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// An error in the command line is reported before an error in the app.
#[test]
fn invalid_configuration_is_refused_before_invalid_app() {
    let error = stand_in("overlay").compose(b"", &Config::default());
    assert!(matches!(error, Err(ComposeError::Config(_))), "{error:?}");
}
