#!/usr/bin/env bash
# Installs what is missing to build and test; does nothing where nothing is missing. The compiler
# for wasm is looked after by scripts/wasm-cargo.sh, which knows two ways to one.
#
# usage: scripts/setup.sh [--just]      --just: the command runner too
. "$(dirname "$0")/lib.sh"

needs_just=
for argument; do
    case "$argument" in
    --just) needs_just=1 ;;
    *) die "unknown argument $argument (usage: scripts/setup.sh [--just])" ;;
    esac
done

# --- Rust -------------------------------------------------------------------------------------
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
command -v cargo >/dev/null ||
    die "no cargo: install Rust $wanted or newer (https://rustup.rs) and run this again"
have=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ] ||
    die "rustc $have is too old: install $wanted or newer (rustup update stable)"

# --- Packages of the system -------------------------------------------------------------------
packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v strace >/dev/null || packages+=(strace)         # counts system calls (scripts/bench.sh)
command -v setpriv >/dev/null || packages+=(util-linux)    # tests as an unprivileged user
command -v node >/dev/null || packages+=(nodejs)           # makes the component small, runs it under jco
command -v npm >/dev/null || packages+=(npm)
need_packages "${packages[@]}"

# --- just -------------------------------------------------------------------------------------
if [ -n "$needs_just" ] && ! just --version >/dev/null 2>&1; then
    say "Installing just"
    # A wheel with the binary in it where there is pip; else a few minutes of compiling.
    { python3 -m pip install --quiet rust-just && hash -r && just --version; } >/dev/null 2>&1 ||
        cargo install --quiet --locked just
    hash -r
    just --version >/dev/null || die "just is installed, but not on PATH: add ~/.cargo/bin"
fi
