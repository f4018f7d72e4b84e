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

# Installs packages of the system where that is possible; else says what to do, and ends.
need_packages() {
    [ $# -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] ||
        die "missing: $*. Install them (sudo apt-get install $*) and run this again"
    command -v apt-get >/dev/null ||
        die "missing: $*, and this system has no apt-get. Install them and run this again"
    say "Installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Installs a program of cargo's, in that version, if it is not there. Unoptimized, since such a
# program only starts others.
need_program() {
    if ! cargo install --list | grep -q "^$1 v$2"; then
        say "Installing $1 $2"
        cargo install --quiet --locked --debug --force "$1" --version "$2"
    fi
    export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
}
