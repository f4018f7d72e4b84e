#!/usr/bin/env bash
# Checks the dependencies of the engine: no WebAssembly crates with any feature, and without default
# features only crates that build for wasm32. Also checks that builds without tests use the same features
# of all dependencies as the tests, since otherwise both would compile them.
. "$(dirname "$0")/lib.sh"

say "Crate graph"
tree=$(cargo tree -p wasi-overlay-core -e normal --all-features --prefix none --format '{p}' --locked)
if forbidden=$(grep -E '^(wasmtime|wit-|wiggle|wasi[^-]|wasi-preview)' <<<"$tree"); then
    die "core must not depend on WebAssembly crates, but it depends on:
$forbidden"
fi

scripts/wasm-cargo.sh wasm32-unknown-unknown check --locked -p wasi-overlay-core --no-default-features

features() {
    cargo tree "${everything[@]}" --prefix none --format '{p} {f}' "$@" | sed 's/ (\*)$//' | sort -u
}
if differing=$(comm -23 <(features -e no-dev) <(features) | grep .); then
    die "dev-dependencies change the features of these dependencies: enable the features in bench/Cargo.toml too:
$differing"
fi
