#!/usr/bin/env bash
# Builds both variants of the composable component, and writes their core modules to
# compose/artifact, from where the crate `wasi-overlay-compose` embeds them.
. "$(dirname "$0")/lib.sh"

out=compose/artifact
mkdir -p "$out"
built=${WASM_TARGET_DIR:-target/wasm}/wasm32-unknown-unknown/component/wasi_overlay_component.wasm

# Panic messages contain source paths. Without this machine's folders in them, the component is the
# same on every machine.
separator=$'\x1f' # because folder names may contain spaces
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$registry=$separator--remap-path-prefix=$PWD/="

# The features that Rust uses, which every engine with WASI 0.2 supports.
features=(--mvp-features --enable-bulk-memory --enable-bulk-memory-opt --enable-multivalue
    --enable-mutable-globals --enable-nontrapping-float-to-int --enable-reference-types
    --enable-call-indirect-overlong --enable-sign-ext)

build() { # name of the variant, additional arguments of cargo
    scripts/wasm-cargo.sh wasm32-unknown-unknown build --locked --profile component \
        -p wasi-overlay-component "${@:2}"
    # Flattening exposes more duplicate code, which the second -Oz merges. The last two passes give
    # short indices to repeated constants and to functions that are called often.
    scripts/wasm-opt.sh --flatten --rereloop -Oz -Oz --const-hoisting --reorder-functions \
        "${features[@]}" "$built" -o "$built.small"
    # Keeps the modification time of an unchanged file, so that cargo does not rebuild its users.
    cmp -s "$built.small" "$out/$1.wasm" || cp "$built.small" "$out/$1.wasm"
}

build overlay-configured --features configured
build overlay

wc -c "$out"/*.wasm
