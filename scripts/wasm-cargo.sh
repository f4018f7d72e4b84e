#!/usr/bin/env bash
# Runs cargo for a wasm target, with a toolchain that is installed or can be installed:
#
#   scripts/wasm-cargo.sh wasm32-wasip1 build --release --manifest-path guest-tests/Cargo.toml
#
# 1. The current Rust toolchain has the target, or rustup can add it. This is the usual case.
# 2. Debian's `rustc-web` builds the standard library from `rust-web-src`. This is for machines that
#    can access the package registries but not Rust's own servers.
#
# Installs missing parts with rustup, or as root with apt-get. WASM_TOOLCHAIN=rustup or =debian allows
# only that toolchain.
#
# Output goes to WASM_TARGET_DIR, by default target/wasm of this repository. It is separate from the
# native target folder, because the compiler may differ and native builds may run at the same time.
. "$(dirname "$0")/lib.sh"

[ $# -ge 2 ] || die "usage: scripts/wasm-cargo.sh TARGET CARGO-ARGS..."
target=$1
shift
case $target in
wasm32-wasip1) libc=wasi-libc ;;
wasm32-unknown-unknown) libc= ;;
*) die "$target is not supported: use wasm32-wasip1 or wasm32-unknown-unknown" ;;
esac

export CARGO_TARGET_DIR=${WASM_TARGET_DIR:-$PWD/target/wasm}
want=${WASM_TOOLCHAIN:-any}
case $want in any | rustup | debian) ;; *) die "WASM_TOOLCHAIN=$want is neither rustup nor debian" ;; esac

command -v cargo >/dev/null || die "cargo is not in PATH: install Rust from https://rustup.rs"
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')

has_target() { compgen -G "$sysroot/lib/rustlib/$target/lib/libstd-*" >/dev/null; }

debian_rustc=/usr/bin/rustc
debian_packages="rustc-web rust-web-src $libc"
# The compiler in Debian's release is older than the one in its updates.
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
    # Gives up soon if Rust's servers cannot be reached.
    RUSTUP_MAX_RETRIES=1 timeout 300 rustup target add "$target" >&2 || return 1
    has_target
}

add_with_apt() {
    # shellcheck disable=SC2086 # a list of packages
    (need_packages $debian_packages) && has_debian
}

with_rustup() {
    command -v rustup >/dev/null || return 1
    # Gives up soon if Rust's servers cannot be reached.
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
    # Outdated package lists have only the compiler of the release.
    apt-get update >&2 || true
    # shellcheck disable=SC2086 # a list of packages
    apt-get install -y --no-install-recommends $debian_packages >&2 || return 1
    has_debian
}

with_rustup() { exec cargo "$@" --target "$target"; }

with_debian() {
    # Debian's compiler has no linker for wasm, but the current Rust toolchain has one.
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

die "no compiler for $target that is as new as Cargo.toml requires. Do one of these, then run the command again:
  rustup target add $target
  sudo apt-get update && sudo apt-get install --no-install-recommends $debian_packages   (Debian 12 or later)"
