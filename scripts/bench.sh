#!/usr/bin/env bash
# Times overlays of four layers, in the plugin and composed into the guest, against stock
# wasmtime-wasi on one plain directory.
#
# usage: scripts/bench.sh [--release] [--smoke | --pairs N] [--live] [--check] [--json FILE] ...
#
# --smoke counts system calls, fails if there are too many or the component is too large, and says
# nothing of times. --release
# is for numbers to show: it builds wasmtime once more, which takes ten minutes on two cores.
# Without it our crates are optimized as the dependencies are, so that the ratios are fair.
. "$(dirname "$0")/lib.sh"

profile=(--config 'profile.dev.package.wasi-overlay.opt-level=2'
    --config 'profile.dev.package.wasi-overlay-core.opt-level=2')
folder=debug
arguments=()
for argument; do
    case "$argument" in
    --release) profile=(--release) folder=release ;;
    --smoke) profile=() arguments+=("$argument") ;;
    *) arguments+=("$argument") ;;
    esac
done

scripts/setup.sh
scripts/build-guests.sh
scripts/build-component.sh
cargo build "${everything[@]}" "${profile[@]}"
# A backtrace with each error would be stock's greatest cost (docs/design.md).
RUST_BACKTRACE=0 "${CARGO_TARGET_DIR:-target}/$folder/wasi-overlay-bench" "${arguments[@]}"
