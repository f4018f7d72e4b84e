#!/usr/bin/env bash
# Checks the dependencies of the engine: no WebAssembly crates with any feature, and without default
# features only crates that build for wasm32.
. "$(dirname "$0")/lib.sh"

say "Crate graph"
tree=$(cargo tree -p wasi-overlay-core -e normal --all-features --prefix none --format '{p}' --locked)
if forbidden=$(grep -E '^(wasmtime|wit-|wiggle|wasi[^-]|wasi-preview)' <<<"$tree"); then
    die "core must not depend on WebAssembly crates, but it depends on:
$forbidden"
fi

scripts/wasm-cargo.sh wasm32-unknown-unknown check --locked -p wasi-overlay-core --no-default-features
