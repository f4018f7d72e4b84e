#!/usr/bin/env bash
# Runs cargo for a wasm target with whichever toolchain this machine has or can get:
#
#   scripts/wasm-cargo.sh wasm32-wasip1 build --release --manifest-path guest-tests/Cargo.toml
#
# 1. The Rust toolchain in use has the target, or rustup can add it. This is the usual case.
# 2. Debian's `rustc-web`, which builds the standard library from `rust-web-src`: for machines
#    that reach the package registries but not Rust's own servers.
#
# What is missing is installed: with rustup, and as root with apt-get. WASM_TOOLCHAIN=rustup or
# =debian takes that way only.
#
# Output goes to WASM_TARGET_DIR, else `target/wasm` of this repository: apart from the host's,
# whose compiler may be another one and who may be building at the same time.
set -euo pipefail

die() {
    echo "wasm-cargo: $*" >&2
    exit 1
}

[ $# -ge 2 ] || die "usage: $0 TARGET CARGO-ARGS..."
target=$1
shift
case $target in
wasm32-wasip1) libc=wasi-libc ;;
wasm32-unknown-unknown) libc= ;;
*) die "$target is not supported: use wasm32-wasip1 or wasm32-unknown-unknown" ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR=${WASM_TARGET_DIR:-$root/target/wasm}
want=${WASM_TOOLCHAIN:-any}
case $want in any | rustup | debian) ;; *) die "WASM_TOOLCHAIN=$want is neither rustup nor debian" ;; esac

command -v cargo >/dev/null || die "cargo is not in PATH: install Rust from https://rustup.rs"
# The toolchain that the repository pins is the one that has to have the target.
cd "$root"
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')

has_target() { compgen -G "$sysroot/lib/rustlib/$target/lib/libstd-*" >/dev/null; }

debian_rustc=/usr/bin/rustc
debian_packages="rustc-web rust-web-src $libc"
# Debian's first release of the compiler is older than the one in its updates.
is_new_enough() {
    local needed have
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    have=$($debian_rustc -V | cut -d' ' -f2)
    [ "$(printf '%s\n' "$needed" "$have" | sort -V | head -n 1)" = "$needed" ]
}
has_debian() {
    [ -x $debian_rustc ] && is_new_enough &&
        [ -e "$($debian_rustc --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml" ] &&
        { [ -z "$libc" ] || [ -e /usr/lib/wasm32-wasi/libc.a ]; }
}

add_with_rustup() {
    command -v rustup >/dev/null || return 1
    # A machine without a way to Rust's servers must not wait for long.
    RUSTUP_MAX_RETRIES=1 timeout 300 rustup target add "$target" >&2 || return 1
    has_target
}

add_with_apt() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        echo "wasm-cargo: not root, so nothing is installed with apt-get" >&2
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    # With lists of long ago, the first release is what there is.
    apt-get update >&2 || true
    # shellcheck disable=SC2086 # a list of packages
    apt-get install -y --no-install-recommends $debian_packages >&2 || return 1
    has_debian
}

with_rustup() { exec cargo "$@" --target "$target"; }

with_debian() {
    # Debian's compiler comes without a linker for wasm; the Rust toolchain in use has one.
    local bin=$sysroot/lib/rustlib/$host/bin
    if [ ! -x "$bin/rust-lld" ]; then
        die "no rust-lld in $bin: install the Rust toolchain with rustup, or add $target to yours"
    fi
    export RUSTC=$debian_rustc
    # -Zbuild-std is a flag of the nightly cargo.
    export RUSTC_BOOTSTRAP=1
    if [ "$target" = wasm32-wasip1 ]; then
        export PATH=$bin:$bin/gcc-ld:$PATH
        export RUSTFLAGS="${RUSTFLAGS:-} -L /usr/lib/wasm32-wasi"
    else
        export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$bin/rust-lld
    fi
    exec cargo "$@" --target "$target" -Zbuild-std=std,panic_abort
}

if [ "$want" != debian ] && has_target; then with_rustup "$@"; fi
if [ "$want" != rustup ] && has_debian; then with_debian "$@"; fi
if [ "$want" != debian ] && add_with_rustup; then with_rustup "$@"; fi
if [ "$want" != rustup ] && add_with_apt; then with_debian "$@"; fi

die "no compiler for $target as new as Cargo.toml asks for. Do one of these, then run the command again:
  rustup target add $target
  sudo apt-get update && sudo apt-get install --no-install-recommends $debian_packages   (Debian 12 or later)"
