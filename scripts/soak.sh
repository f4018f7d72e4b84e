#!/usr/bin/env bash
# Random plans against a tree without layers, round after round until one fails or it is stopped.
# What fails is shrunk, printed, and can be run again (OVERLAY_PLAN=FILE); kept in proof/plans/ it is
# run by the tests from then on.
#
# usage: [OVERLAY_SEED=N] [OVERLAY_OPERATIONS=N] scripts/soak.sh
#
# OVERLAY_SEED        the first plan; the time of day unless said
# OVERLAY_OPERATIONS  calls of each kind of upper in one round
. "$(dirname "$0")/lib.sh"

seed=${OVERLAY_SEED:-$(date +%s)}
export OVERLAY_OPERATIONS=${OVERLAY_OPERATIONS:-500000}
while :; do
    say "From seed $seed"
    OVERLAY_SEED=$seed cargo test -p wasi-overlay-proof --all-features --locked --test model -- --nocapture
    # More plans than a round draws.
    seed=$((seed + OVERLAY_OPERATIONS))
done
