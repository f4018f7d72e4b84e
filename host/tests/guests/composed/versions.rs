//! Tests of composed guests for every version of WASI 0.2.

use super::stacks::Stack;
use super::{on_stack, overlay, script_oracle};
use wasi_overlay_compose::{Overlay, WasiVersion};
use wasi_overlay_guest_artifacts::P2_SCRIPT;

#[test]
fn guests_of_every_version_run() {
    let core = std::fs::read(P2_SCRIPT.core_path()).expect("a guest that was built can be read");
    // The function that retargets the overlay's module works for every module that includes its types.
    let guest = Overlay::from_core_module(core);
    let (expected, left) = script_oracle();
    for patch in 0..=12 {
        let version: WasiVersion = format!("0.2.{patch}").parse().expect("it is a version");
        let app = guest.component(version, None).expect("it can be made");
        let composed = overlay().compose(&app, None).expect("it can be composed");
        assert_eq!(composed.wasi, version);
        for import in &composed.imports {
            assert!(import.ends_with(&format!("@{version}")), "{import}");
        }
        let (transcript, tree) = on_stack(&composed.bytes, Stack::ComposedSpread).expect("it runs");
        assert_eq!(transcript, expected, "{version}");
        assert_eq!(tree, left, "{version}");
    }
}
