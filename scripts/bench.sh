#!/usr/bin/env bash
# Times overlays, in the plugin and composed into the guest, against stock wasmtime-wasi on one
# plain directory; beside them, where they can be mounted, the kernel's overlayfs and
# fuse-overlayfs under stock wasmtime-wasi, and a native program.
#
# usage: scripts/bench.sh [--release] [--smoke [--record]] [--pairs N] [--layers N,N] [--cold]
#                         [--full] [--live] [--ours] [--ext4] [--only ROW] [--check]
#                         [--json FILE] [--svg FILE] [--markdown]
#
# --smoke counts system calls, fails if there are more than bench/calls.json says by 5 % or the
# component is too large, and times nothing; with --record it writes that file. --check fails where
# a target is missed (bench/src/work). --ext4 puts the trees on a loop mount, which takes root.
# --markdown prints the README's tables, and `--svg docs/bench.svg` draws its plot. --release
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
    # Record and smoke run in one profile: assertions make system calls.
    --smoke) profile=() arguments+=("$argument") ;;
    *) arguments+=("$argument") ;;
    esac
done

# Who is not compared with others needs no others. What cannot be installed is left out.
case " $* " in
*" --smoke "* | *" --ours "* | *" --live "*) ;;
*)
    command -v fuse-overlayfs >/dev/null || (need_packages fuse-overlayfs) ||
        say "Going on without fuse-overlayfs"
    ;;
esac

scripts/setup.sh
scripts/build-guests.sh
scripts/build-component.sh
scripts/fetch-cpython.sh
cargo build "${everything[@]}" "${profile[@]}" --bin wasi-overlay-bench
# A backtrace with each error would be stock's greatest cost (docs/design.md).
RUST_BACKTRACE=0 "${CARGO_TARGET_DIR:-target}/$folder/wasi-overlay-bench" "${arguments[@]}"
