//! Tests of retargeting: the result has the app's versions of WASI and no others.

use crate::support::{
    Wasi, app, config, count, extern_names, for_each_overlay, overlay_imports, usual_app,
};

#[test]
fn output_has_only_version_of_app() {
    for_each_overlay(|overlay| {
        for patch in [0, 1, 4, 6, 9, 12] {
            let composed = overlay
                .compose(&usual_app(patch), &config("/base"))
                .unwrap();
            let (imports, exports) = extern_names(&composed.bytes);
            for import in &imports {
                assert!(import.ends_with(&format!("@0.2.{patch}")), "{import}");
            }
            for import in overlay_imports(patch) {
                assert!(imports.contains(&import), "{import} is not in {imports:?}");
            }
            assert_eq!(exports, ["run"]);
            assert_eq!(composed.wasi.to_string(), format!("0.2.{patch}"));
            assert_eq!(composed.replaced.len(), 2);
            if patch != 12 {
                assert_eq!(count(&composed.bytes, "@0.2.12"), 0, "0.2.{patch}");
            }
        }
    });
}

/// Tools that make components raise versions interface by interface, so an app can have several.
#[test]
fn app_with_mixed_versions_keeps_them() {
    for_each_overlay(|overlay| {
        let wasi = Wasi {
            io: 9,
            clocks: 1,
            filesystem: 6,
        };
        let app = app(
            &[wasi],
            "import wasi:filesystem/types@0.2.6; import wasi:filesystem/preopens@0.2.6;",
        );
        let composed = overlay.compose(&app, &config("/base")).unwrap();
        let (imports, _) = extern_names(&composed.bytes);
        for import in imports {
            let expected = match import.split('/').next().unwrap() {
                "wasi:io" => "@0.2.9",
                "wasi:clocks" => "@0.2.1",
                "wasi:filesystem" => "@0.2.6",
                other => panic!("{other}"),
            };
            assert!(import.ends_with(expected), "{import}");
        }
    });
}

/// An app that is itself the result of a composition may import an interface at two versions.
/// `wac_graph::plug` would connect one of them and leave the other to the host, which bypasses the
/// layers.
#[test]
fn interface_imported_at_two_versions_is_replaced_twice() {
    for_each_overlay(|overlay| {
        let app = app(
            &[Wasi::all(0), Wasi::all(6)],
            "import wasi:filesystem/types@0.2.0; import wasi:filesystem/preopens@0.2.0; \
             import wasi:filesystem/types@0.2.6; import wasi:filesystem/preopens@0.2.6;",
        );
        let composed = overlay.compose(&app, &config("/base")).unwrap();
        assert_eq!(composed.replaced.len(), 4);
        assert_eq!(composed.wasi.to_string(), "0.2.6");
        let (imports, _) = extern_names(&composed.bytes);
        let of_filesystem: Vec<_> = imports
            .iter()
            .filter(|import| import.starts_with("wasi:filesystem/"))
            .collect();
        // Only the overlay's own imports are left.
        assert_eq!(
            of_filesystem,
            [
                "wasi:filesystem/preopens@0.2.6",
                "wasi:filesystem/types@0.2.6"
            ]
        );
    });
}

#[test]
fn app_newer_than_this_crate_is_composed() {
    for_each_overlay(|overlay| {
        let composed = overlay.compose(&usual_app(19), &config("/base")).unwrap();
        assert_eq!(composed.wasi.to_string(), "0.2.19");
        assert_eq!(count(&composed.bytes, "@0.2.12"), 0);
    });
}
