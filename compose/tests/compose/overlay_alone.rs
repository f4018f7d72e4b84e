//! Tests of the overlay as a component of its own, without an app.

use crate::support::{
    OVERLAY_IMPORTS, config, configuration, count, extern_names, for_each_overlay, overlay_imports,
    plugged, stand_in, usual_app,
};
use wasi_overlay_compose::{ComposeError, Overlay, WasiVersion};

#[test]
fn overlay_has_requested_version() {
    for_each_overlay(|overlay| {
        for patch in 0..=12 {
            let wasi: WasiVersion = format!("0.2.{patch}").parse().unwrap();
            let component = overlay.component(wasi, None).unwrap();
            let (imports, exports) = extern_names(&component);
            assert!(
                overlay_imports(patch).iter().all(|it| imports.contains(it)),
                "{imports:?}"
            );
            assert_eq!(
                exports,
                [
                    format!("wasi:filesystem/preopens@0.2.{patch}"),
                    format!("wasi:filesystem/types@0.2.{patch}"),
                ]
            );
            let others = imports
                .iter()
                .filter(|it| !it.ends_with(&format!("@0.2.{patch}")));
            assert_eq!(others.count(), 0, "{imports:?}");
            assert_eq!(count(&component, "component-name"), 0);
        }
    });
}

/// Each import excludes the hosts that do not have it.
#[test]
fn real_overlay_imports_only_what_filesystem_needs() {
    let Ok(overlay) = Overlay::embedded() else {
        return;
    };
    let component = overlay.component(WasiVersion::FIRST, None).unwrap();
    let (imports, _) = extern_names(&component);
    let expected: Vec<_> = OVERLAY_IMPORTS.map(|it| format!("{it}@0.2.0")).into();
    assert_eq!(imports, expected);
}

#[test]
fn overlay_contains_its_configuration() {
    for_each_overlay(|overlay| {
        let component = |config| overlay.component(WasiVersion::FIRST, config).unwrap();
        assert_eq!(count(&component(None), "lower=/base\n"), 0);
        let base = config("/base");
        let filled = component(Some(&base));
        assert_eq!(count(&filled, "lower=/base\nat=/\n"), 1);
        // The file grows by the text, not by the whole slot.
        assert!(filled.len() < component(None).len() + 100);
    });
}

/// The overlays that import their configuration.
fn configured_overlays() -> Vec<Overlay> {
    let embedded = Overlay::embedded_configured().ok();
    [Some(stand_in("overlay-configured")), embedded]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn configured_overlay_imports_its_configuration() {
    for overlay in configured_overlays() {
        let component = overlay.component(WasiVersion::FIRST, None).unwrap();
        let (imports, exports) = extern_names(&component);
        let config = "wasi-overlay:component/config@0.1.0".to_owned();
        assert!(imports.contains(&config), "{imports:?}");
        assert_eq!(exports.len(), 2, "{exports:?}");
    }
}

#[test]
fn wac_plug_accepts_overlay() {
    for_each_overlay(|overlay| {
        let base = config("/base");
        let component = overlay.component("0.2.6".parse().unwrap(), Some(&base));
        let by_hand = plugged(usual_app(6), component.unwrap());
        let composed = overlay.compose(&usual_app(6), &base).unwrap();
        assert_eq!(extern_names(&by_hand), extern_names(&composed.bytes));
    });
}

#[test]
fn wac_plug_accepts_configured_overlay() {
    for overlay in configured_overlays() {
        let component = overlay.component("0.2.6".parse().unwrap(), None).unwrap();
        let by_hand = plugged(usual_app(6), plugged(component, configuration()));
        let (imports, exports) = extern_names(&by_hand);
        assert!(
            imports.iter().all(|it| it.ends_with("@0.2.6")),
            "{imports:?}"
        );
        assert_eq!(exports, ["run"]);
    }
}

#[test]
fn core_module_that_is_not_overlay_is_refused() {
    for (core, reason) in [
        (&b"\0asm\x01\0\0\0"[..], "no component types"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (b"text", "cannot be used"),
    ] {
        let overlay = Overlay::from_core_module(core.to_vec());
        let error = overlay.component(WasiVersion::FIRST, None).unwrap_err();
        assert!(matches!(error, ComposeError::Overlay { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}
