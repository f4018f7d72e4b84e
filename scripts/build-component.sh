#!/usr/bin/env bash
# Builds the composable component, in its two variants, and puts their core modules where the crate
# `wasi-overlay-compose` embeds them.
. "$(dirname "$0")/lib.sh"

out=compose/artifact
mkdir -p "$out"
built=${WASM_TARGET_DIR:-target/wasm}/wasm32-unknown-unknown/component/wasi_overlay_component.wasm

# The places of sources stand in the data of panics: without this machine's folders the component is
# the same wherever it is built.
separator=$'\x1f' # since folders may have spaces in their names
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$registry=$separator--remap-path-prefix=$PWD/="

# What Rust compiles for, and nothing that an engine of WASI 0.2 may not have.
features=(--mvp-features --enable-bulk-memory --enable-bulk-memory-opt --enable-multivalue
    --enable-mutable-globals --enable-nontrapping-float-to-int --enable-reference-types
    --enable-call-indirect-overlong --enable-sign-ext)

build() { # the name of the variant, and what cargo is to be told besides
    scripts/wasm-cargo.sh wasm32-unknown-unknown build --locked --profile component \
        -p wasi-overlay-component "${@:2}"
    # Flat code is found to be alike in more places, the second round makes use of that. In the end,
    # constants that come again and functions that are called often get short numbers.
    scripts/wasm-opt.sh --flatten --rereloop -Oz -Oz --const-hoisting --reorder-functions \
        "${features[@]}" "$built" -o "$built.small"
    # An equal file keeps its time, so that nothing is built again for it.
    cmp -s "$built.small" "$out/$1.wasm" || cp "$built.small" "$out/$1.wasm"
}

build overlay-configured --features configured
build overlay

wc -c "$out"/*.wasm
