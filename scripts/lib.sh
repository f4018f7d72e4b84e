# Shared by the scripts beside it. Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One set of packages and features for every build, so that wasmtime is built once:
# cargo unifies features over the packages that it was asked for.
everything=(--workspace --all-features --locked)

# An embedder's program has no use for a backtrace of each error, and capturing one costs
# more than the call that failed.
export RUST_BACKTRACE="${RUST_BACKTRACE:-0}"
export WASMTIME_BACKTRACE_DETAILS="${WASMTIME_BACKTRACE_DETAILS:-0}"

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
