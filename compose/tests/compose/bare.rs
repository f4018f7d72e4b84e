//! The overlay alone.

use crate::support::{
    OVERLAY_IMPORTS, config, configuration, count, for_each_overlay, overlay_imports, plugged,
    ports, stand_in, usual_app,
};
use wasi_overlay_compose::{ComposeError, Overlay, WasiVersion};

#[test]
fn the_overlay_has_the_version_that_was_asked_for() {
    for_each_overlay(|overlay| {
        for patch in 0..=12 {
            let wasi: WasiVersion = format!("0.2.{patch}").parse().unwrap();
            let component = overlay.component(wasi, None).unwrap();
            let (imports, exports) = ports(&component);
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

/// The smaller the world, the more hosts there are.
#[test]
fn the_real_overlay_imports_what_a_filesystem_needs_and_nothing_else() {
    let Ok(overlay) = Overlay::embedded() else {
        return;
    };
    let component = overlay.component(WasiVersion::FIRST, None).unwrap();
    let (imports, _) = ports(&component);
    let expected: Vec<_> = OVERLAY_IMPORTS.map(|it| format!("{it}@0.2.0")).into();
    assert_eq!(imports, expected);
}

#[test]
fn the_overlay_carries_its_configuration() {
    for_each_overlay(|overlay| {
        let of = |config| overlay.component(WasiVersion::FIRST, config).unwrap();
        assert_eq!(count(&of(None), "lower=/base\n"), 0);
        let base = config("/base");
        let filled = of(Some(&base));
        assert_eq!(count(&filled, "lower=/base\nat=/\n"), 1);
        // No more than it says.
        assert!(filled.len() < of(None).len() + 100);
    });
}

/// The overlays that ask for their configuration.
fn configured() -> Vec<Overlay> {
    let embedded = Overlay::embedded_configured().ok();
    [Some(stand_in("overlay-configured")), embedded]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn the_configured_overlay_asks_for_its_configuration() {
    for overlay in configured() {
        let component = overlay.component(WasiVersion::FIRST, None).unwrap();
        let (imports, exports) = ports(&component);
        let config = "wasi-overlay:component/config@0.1.0".to_owned();
        assert!(imports.contains(&config), "{imports:?}");
        assert_eq!(exports.len(), 2, "{exports:?}");
    }
}

#[test]
fn the_overlay_is_composed_by_hand() {
    for_each_overlay(|overlay| {
        let base = config("/base");
        let bare = overlay.component("0.2.6".parse().unwrap(), Some(&base));
        let by_hand = plugged(usual_app(6), bare.unwrap());
        let composed = overlay.compose(&usual_app(6), &base).unwrap();
        assert_eq!(ports(&by_hand), ports(&composed.bytes));
    });
}

#[test]
fn the_configured_overlay_is_composed_by_hand() {
    for overlay in configured() {
        let bare = overlay.component("0.2.6".parse().unwrap(), None).unwrap();
        let by_hand = plugged(usual_app(6), plugged(bare, configuration()));
        let (imports, exports) = ports(&by_hand);
        assert!(
            imports.iter().all(|it| it.ends_with("@0.2.6")),
            "{imports:?}"
        );
        assert_eq!(exports, ["run"]);
    }
}

#[test]
fn what_is_no_overlay_is_refused() {
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
