#!/usr/bin/env bash
# Runs the benchmark: overlays in the plugin and composed into the guest, against stock wasmtime-wasi
# on one plain directory. It also times a native program and, where they can be mounted, the
# kernel's overlayfs and fuse-overlayfs under stock wasmtime-wasi.
#
# usage: scripts/bench.sh [--release] [--smoke [--record]] [--pairs N] [--layers N,N] [--cold]
#                         [--full] [--live] [--ours] [--ext4] [--only ROW] [--check]
#                         [--json FILE] [--svg FILE] [--markdown]
#
# --smoke only counts system calls. It fails if a count exceeds the one in bench/calls.json by more
# than 5 %, or if the component is too large; with --record it writes that file. --check fails if a
# bound is missed (bench/src/workloads). --ext4 puts the trees on a loop mount and requires root.
# --markdown prints the tables of docs/speed.md; `--svg docs/bench.svg` draws the
# plot. Use --release for figures to publish: it builds wasmtime again, which takes ten minutes on
# two cores. Without it, the crates of this project are optimized as the dependencies are, so that
# the ratios are fair.
. "$(dirname "$0")/lib.sh"

profile=(--config 'profile.dev.package.wasi-overlay.opt-level=2'
    --config 'profile.dev.package.wasi-overlay-core.opt-level=2')
folder=debug
arguments=()
for argument; do
    case "$argument" in
    --release) profile=(--release) folder=release ;;
    # --record and --smoke use the same profile, because debug assertions make system calls.
    --smoke) profile=() arguments+=("$argument") ;;
    *) arguments+=("$argument") ;;
    esac
done

# These modes do not run the alternatives. An alternative that cannot be installed is skipped.
case " $* " in
*" --smoke "* | *" --ours "* | *" --live "*) ;;
*)
    command -v fuse-overlayfs >/dev/null || (need_packages fuse-overlayfs) ||
        say "Continuing without fuse-overlayfs"
    ;;
esac

scripts/setup.sh
scripts/build-guests.sh
scripts/build-component.sh
scripts/fetch-cpython.sh
cargo build "${everything[@]}" "${profile[@]}" --bin wasi-overlay-bench
# Backtraces of errors would be the largest cost of the baseline (docs/design.md).
RUST_BACKTRACE=0 "${CARGO_TARGET_DIR:-target}/$folder/wasi-overlay-bench" "${arguments[@]}"
