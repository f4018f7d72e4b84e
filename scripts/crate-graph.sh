#!/usr/bin/env bash
# What the engine may stand on: no WebAssembly runtime in any feature, and without default
# features nothing that wasm32 lacks.
. "$(dirname "$0")/lib.sh"

say "Crate graph"
tree=$(cargo tree -p wasi-overlay-core -e normal --all-features --prefix none --format '{p}' --locked)
if forbidden=$(grep -E '^(wasmtime|wit-|wiggle|wasi[^-]|wasi-preview)' <<<"$tree"); then
    die "core must stand on no WebAssembly crate, but it does on:
$forbidden"
fi

scripts/wasm-cargo.sh wasm32-unknown-unknown check --locked -p wasi-overlay-core --no-default-features
