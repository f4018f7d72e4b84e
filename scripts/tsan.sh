#!/usr/bin/env bash
# Runs the engine's threads under ThreadSanitizer, which finds data races. The engine has no unsafe
# code, but its dependencies have. This builds the standard library again, since the sanitizer must
# see all of the program.
#
# Needs the library's source: rustup's (`rustup component add rust-src`), or Debian's, which this
# script installs. The sanitizer's own library comes with the Rust toolchain.
#
# usage: scripts/tsan.sh [arguments of the test program]
. "$(dirname "$0")/lib.sh"

host=$(rustc -vV | sed -n 's/^host: //p')
sysroot=$(rustc --print sysroot)
runtime=$(compgen -G "$sysroot/lib/rustlib/$host/lib/librustc-*_rt.tsan.a" | head -n 1) ||
    die "$sysroot has no ThreadSanitizer: install the Rust toolchain with rustup"
if [ ! -e "$sysroot/lib/rustlib/src/rust/library/std/Cargo.toml" ]; then
    [ -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml ] ||
        need_packages rustc-web rust-web-src
    export RUSTC=/usr/bin/rustc
fi

# Links the sanitizer's library explicitly, since the compiler may come without it. The library refers
# to some functions of glibc by names that a linker does not find (`tmpnam` and similar), which the
# tests never call.
link="-Clink-arg=-Wl,--whole-archive,$runtime,--no-whole-archive,--warn-unresolved-symbols"
export RUSTFLAGS="-Zsanitizer=thread -Zexternal-clangrt $link -Clink-arg=-lpthread -Clink-arg=-lm -Clink-arg=-lc"
# The flags are the nightly compiler's.
export RUSTC_BOOTSTRAP=1
# Build scripts must not contain the sanitizer.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/tsan
export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
cargo test -Zbuild-std --target "$host" -p wasi-overlay-core --all-features --locked \
    --test threads -- --nocapture "$@"
