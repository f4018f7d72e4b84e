#!/usr/bin/env bash
# Installs missing tools for the build and the tests. scripts/wasm-cargo.sh installs the compiler for
# wasm.
#
# usage: scripts/setup.sh [--build] [--just]
#
# --build     only the tools for the build, without those for the tests
# --just      also the command runner
. "$(dirname "$0")/lib.sh"

needs_just=
only_build=
for argument; do
    case "$argument" in
    --build) only_build=1 ;;
    --just) needs_just=1 ;;
    *) die "unknown argument $argument (usage: scripts/setup.sh [--build] [--just])" ;;
    esac
done

# --- Rust -------------------------------------------------------------------------------------
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
command -v cargo >/dev/null ||
    die "no cargo: install Rust $wanted or newer (https://rustup.rs) and run this again"
have=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ] ||
    die "rustc $have is too old: install $wanted or newer (rustup update stable)"

# --- System packages --------------------------------------------------------------------------
packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v node >/dev/null || packages+=(nodejs) # runs wasm-opt and jco
command -v npm >/dev/null || packages+=(npm)
if [ -z "$only_build" ]; then
    command -v strace >/dev/null || packages+=(strace)      # counts system calls (scripts/bench.sh)
    command -v setpriv >/dev/null || packages+=(util-linux) # tests as an unprivileged user
fi
need_packages "${packages[@]}"

# --- just -------------------------------------------------------------------------------------
if [ -n "$needs_just" ] && ! just --version >/dev/null 2>&1; then
    say "Installing just"
    # pip installs a binary. Without pip, cargo compiles it in a few minutes.
    { python3 -m pip install --quiet rust-just && hash -r && just --version; } >/dev/null 2>&1 ||
        cargo install --quiet --locked just
    hash -r
    just --version >/dev/null || die "just is installed, but not on PATH: add ~/.cargo/bin"
fi
