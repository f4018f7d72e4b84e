#!/usr/bin/env bash
# Runs random plans against a tree without layers, in rounds, until one fails or the script is
# stopped. It shrinks and prints a failing plan, which OVERLAY_PLAN=FILE runs again. The tests run all
# plans in proof/plans/, so add it there.
#
# usage: [OVERLAY_SEED=N] [OVERLAY_OPERATIONS=N] scripts/soak.sh
#
# OVERLAY_SEED        the first seed; by default the current time
# OVERLAY_OPERATIONS  number of calls per round, for each kind of upper
. "$(dirname "$0")/lib.sh"

seed=${OVERLAY_SEED:-$(date +%s)}
export OVERLAY_OPERATIONS=${OVERLAY_OPERATIONS:-500000}
while :; do
    say "Starting at seed $seed"
    OVERLAY_SEED=$seed cargo test -p wasi-overlay-proof --all-features --locked --test model -- --nocapture
    # A round has fewer plans than calls, so no seed is used twice.
    seed=$((seed + OVERLAY_OPERATIONS))
done
