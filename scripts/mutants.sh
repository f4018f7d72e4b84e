#!/usr/bin/env bash
# Breaks the engine in one place at a time and looks whether a test notices (cargo-mutants).
#
# usage: scripts/mutants.sh --sample       a few, always the same, for CI
#        scripts/mutants.sh [ARGUMENTS]    all (a day), or what the arguments of cargo-mutants say,
#                                          such as `--file core/src/overlay/rename.rs`
#
# What no test notices is in target/mutants/mutants.out/missed.txt. What nobody can notice, and why, is in
# docs/mutants.md.
. "$(dirname "$0")/lib.sh"

arguments=("$@")
# The sixth of 250 parts, taken evenly from all files.
[ "${1:-}" != --sample ] || arguments=(--shard 5/250 --sharding round-robin "${@:2}")

need_program cargo-mutants 27.1.0
mkdir -p target/mutants
# Random plans of each kind: enough to notice, few enough to wait for.
OVERLAY_OPERATIONS=${OVERLAY_OPERATIONS:-20000} \
    cargo mutants --output target/mutants --no-shuffle --colors never "${arguments[@]}"
