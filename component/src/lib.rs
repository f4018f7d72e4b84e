//! wasi-overlay as a component.
#![cfg(target_family = "wasm")]
mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "overlay",
        generate_all,
        merge_structurally_equal_types: true,
    });
}
