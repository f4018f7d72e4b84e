#!/usr/bin/env bash
# Checks that the plugin compiles without warnings for each version of WASI alone, and for each pair.
#
# usage: scripts/features.sh
#
# The features of wasmtime-wasi differ from those of the workspace, so this has a target folder of its
# own, and the first run takes some minutes.
. "$(dirname "$0")/lib.sh"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/features"
for features in "" p1 p2 p3 p1,p2 p1,p3 p2,p3; do
    say "Checking wasi-overlay with --features '$features'"
    cargo clippy --package wasi-overlay --lib --locked --no-default-features --features "$features" \
        -- --deny warnings
done
