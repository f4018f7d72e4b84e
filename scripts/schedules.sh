#!/usr/bin/env bash
# Runs the engine's threads under shuttle, which decides at every lock which thread continues. Random
# schedules of concurrent calls must end as some order of whole calls does.
#
# usage: SCHEDULES=100 scripts/schedules.sh [arguments of the test program]
#
# SCHEDULES=N     schedules of each scenario; SCENARIO=TEXT     only scenarios whose name contains TEXT
. "$(dirname "$0")/lib.sh"

# Builds the engine and its few dependencies again, with shuttle's locks.
export SCHEDULES=${SCHEDULES:-300} RUSTFLAGS="--cfg shuttle"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/shuttle
cargo test -p wasi-overlay-proof --all-features --locked --test schedules -- --nocapture "$@"
