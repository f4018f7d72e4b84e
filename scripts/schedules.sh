#!/usr/bin/env bash
# The engine's threads under shuttle, which decides at every lock who goes on: pairs of calls in random
# orders, each of which must come out as if one had been made after the other.
#
# usage: SCHEDULES=100 scripts/schedules.sh [arguments of the test program]
#
# SCHEDULES=N     orders of each pair; SCENARIO=TEXT     pairs of which the name has this
. "$(dirname "$0")/lib.sh"

# Another build of the engine and its few dependencies: the locks are shuttle's.
export SCHEDULES=${SCHEDULES:-300} RUSTFLAGS="--cfg shuttle"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/shuttle
cargo test -p wasi-overlay-core --all-features --locked --test schedules -- --nocapture "$@"
