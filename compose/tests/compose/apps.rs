//! What an app may be.

use crate::support::{
    Wasi, app, app_module, config, count, for_each_overlay, ports, usual_app, usual_world,
};
use wasi_overlay_compose::{AppKind, Config};

#[test]
fn a_command_of_wasi_0_1_is_wrapped() {
    for_each_overlay(|overlay| {
        let app = r#"(module
            (import "wasi_snapshot_preview1" "path_unlink_file"
                (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")))"#;
        let composed = overlay.compose(app.as_bytes(), &config("/base")).unwrap();
        assert_eq!(composed.app, AppKind::Command);
        let (imports, exports) = ports(&composed.bytes);
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
fn a_reactor_of_wasi_0_1_is_wrapped() {
    for_each_overlay(|overlay| {
        let app = r#"(module
            (import "wasi_snapshot_preview1" "path_unlink_file"
                (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_initialize")))"#;
        let composed = overlay.compose(app.as_bytes(), &config("/base")).unwrap();
        assert_eq!(composed.app, AppKind::Reactor);
        assert_eq!(ports(&composed.bytes).1, [""; 0]);
    });
}

#[test]
fn a_core_module_that_carries_its_types_is_made_its_component() {
    for_each_overlay(|overlay| {
        let module = app_module(&[Wasi::all(3)], &usual_world(3));
        let composed = overlay.compose(&module, &config("/base")).unwrap();
        assert_eq!(composed.app, AppKind::Typed);
        assert_eq!(ports(&composed.bytes).1, ["run"]);
        let component = overlay.compose(&usual_app(3), &config("/base")).unwrap();
        assert_eq!(component.app, AppKind::Component);
        assert_eq!(component.bytes, composed.bytes);
    });
}

#[test]
fn an_app_with_one_of_the_two_interfaces_is_composed() {
    for_each_overlay(|overlay| {
        let types = app(&[Wasi::all(2)], "import wasi:filesystem/types@0.2.2;");
        let composed = overlay.compose(&types, &config("/base")).unwrap();
        assert_eq!(composed.replaced, ["wasi:filesystem/types@0.2.2"]);
    });
}

#[test]
fn what_else_the_app_imports_and_exports_stays() {
    for_each_overlay(|overlay| {
        let world = "import log: func(line: string); import wasi:io/poll@0.2.6; \
            export wasi:clocks/monotonic-clock@0.2.6; export size: func() -> u64;";
        let app = app(&[Wasi::all(6)], &(usual_world(6) + world));
        let (before_imports, before_exports) = ports(&app);
        let composed = overlay.compose(&app, &config("/base")).unwrap();
        let (imports, exports) = ports(&composed.bytes);
        assert_eq!(exports, before_exports);
        let mut said = composed.exports.clone();
        said.sort();
        assert_eq!(exports, said);
        for import in before_imports {
            assert!(imports.contains(&import), "{import} is not in {imports:?}");
        }
    });
}

#[test]
fn overlays_lie_on_one_another_with_a_slot_each() {
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
        assert_eq!(ports(&outer.bytes), ports(&inner.bytes));
    });
}

#[test]
fn without_a_configuration_the_slot_stays_empty() {
    for_each_overlay(|overlay| {
        let composed = overlay.compose(&usual_app(6), None::<&Config>).unwrap();
        assert_eq!(count(&composed.bytes, "lower=/base\n"), 0);
        let composed = overlay.compose(&usual_app(6), &config("/base")).unwrap();
        assert_eq!(count(&composed.bytes, "lower=/base\n"), 1);
    });
}

#[test]
fn the_same_app_gives_the_same_bytes() {
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
