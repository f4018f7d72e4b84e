//! Tests of the kinds of apps that can be composed.

use crate::support::{
    Wasi, app, app_module, config, count, extern_names, for_each_overlay, usual_app, usual_world,
};
use wasi_overlay_compose::{AppKind, Config};

#[test]
fn wasi_0_1_command_is_wrapped() {
    for_each_overlay(|overlay| {
        let app = r#"(module
            (import "wasi_snapshot_preview1" "path_unlink_file"
                (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")))"#;
        let composed = overlay.compose(app.as_bytes(), &config("/base")).unwrap();
        assert_eq!(composed.app, AppKind::Command);
        let (imports, exports) = extern_names(&composed.bytes);
        assert!(exports[0].starts_with("wasi:cli/run@0.2."), "{exports:?}");
        assert_eq!(imports, {
            let mut sorted = composed.imports.clone();
            sorted.sort();
            sorted
        });
        let version = format!("@{}", composed.wasi);
        assert!(
            imports.iter().all(|import| import.ends_with(&version)),
            "{imports:?}"
        );
    });
}

#[test]
fn wasi_0_1_reactor_is_wrapped() {
    for_each_overlay(|overlay| {
        let app = r#"(module
            (import "wasi_snapshot_preview1" "path_unlink_file"
                (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_initialize")))"#;
        let composed = overlay.compose(app.as_bytes(), &config("/base")).unwrap();
        assert_eq!(composed.app, AppKind::Reactor);
        assert_eq!(extern_names(&composed.bytes).1, [""; 0]);
    });
}

#[test]
fn core_module_with_component_types_is_encoded() {
    for_each_overlay(|overlay| {
        let module = app_module(&[Wasi::all(3)], &usual_world(3));
        let composed = overlay.compose(&module, &config("/base")).unwrap();
        assert_eq!(composed.app, AppKind::Typed);
        assert_eq!(extern_names(&composed.bytes).1, ["run"]);
        let component = overlay.compose(&usual_app(3), &config("/base")).unwrap();
        assert_eq!(component.app, AppKind::Component);
        assert_eq!(component.bytes, composed.bytes);
    });
}

#[test]
fn app_that_imports_only_one_filesystem_interface_is_composed() {
    for_each_overlay(|overlay| {
        let types = app(&[Wasi::all(2)], "import wasi:filesystem/types@0.2.2;");
        let composed = overlay.compose(&types, &config("/base")).unwrap();
        assert_eq!(composed.replaced, ["wasi:filesystem/types@0.2.2"]);
    });
}

#[test]
fn other_imports_and_exports_are_preserved() {
    for_each_overlay(|overlay| {
        let world = "import log: func(line: string); import wasi:io/poll@0.2.6; \
            export wasi:clocks/monotonic-clock@0.2.6; export size: func() -> u64;";
        let app = app(&[Wasi::all(6)], &(usual_world(6) + world));
        let (before_imports, before_exports) = extern_names(&app);
        let composed = overlay.compose(&app, &config("/base")).unwrap();
        let (imports, exports) = extern_names(&composed.bytes);
        assert_eq!(exports, before_exports);
        let mut reported = composed.exports.clone();
        reported.sort();
        assert_eq!(exports, reported);
        for import in before_imports {
            assert!(imports.contains(&import), "{import} is not in {imports:?}");
        }
    });
}

#[test]
fn nested_overlays_have_separate_slots() {
    for_each_overlay(|overlay| {
        let inner = overlay
            .compose(&usual_app(6), &config("/inner-layer"))
            .unwrap();
        let outer = overlay
            .compose(&inner.bytes, &config("/outer-layer"))
            .unwrap();
        for name in ["lower=/inner-layer\n", "lower=/outer-layer\n"] {
            assert_eq!(count(&outer.bytes, name), 1, "{name}");
        }
        assert_eq!(extern_names(&outer.bytes), extern_names(&inner.bytes));
    });
}

#[test]
fn slot_stays_empty_without_configuration() {
    for_each_overlay(|overlay| {
        let composed = overlay.compose(&usual_app(6), None::<&Config>).unwrap();
        assert_eq!(count(&composed.bytes, "lower=/base\n"), 0);
        let composed = overlay.compose(&usual_app(6), &config("/base")).unwrap();
        assert_eq!(count(&composed.bytes, "lower=/base\n"), 1);
    });
}

#[test]
fn composition_is_deterministic() {
    for_each_overlay(|overlay| {
        let compose = || {
            overlay
                .compose(&usual_app(6), &config("/base"))
                .unwrap()
                .bytes
        };
        assert_eq!(compose(), compose());
    });
}
