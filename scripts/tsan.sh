#!/usr/bin/env bash
# Runs the engine's threads under ThreadSanitizer, which finds data races. The engine has no unsafe
# code, but its dependencies have. The standard library is rebuilt too, because the sanitizer must
# instrument the whole program.
#
# Requires the source of the standard library: from rustup (`rustup component add rust-src`) or from
# Debian, which this script installs. The sanitizer's own library comes with the Rust toolchain.
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

# Links the sanitizer's library explicitly, since the compiler may not include it. The library refers
# to some functions of glibc (`tmpnam` and similar) by names that the linker cannot find. The tests do
# not call them.
link="-Clink-arg=-Wl,--whole-archive,$runtime,--no-whole-archive,--warn-unresolved-symbols"
export RUSTFLAGS="-Zsanitizer=thread -Zexternal-clangrt $link -Clink-arg=-lpthread -Clink-arg=-lm -Clink-arg=-lc"
# Allows the flags of the nightly compiler.
export RUSTC_BOOTSTRAP=1
# A separate folder, because all crates are rebuilt with the sanitizer.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/tsan
export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
# `--target` also keeps the sanitizer out of build scripts.
cargo test -Zbuild-std --target "$host" -p wasi-overlay-core --all-features --locked \
    --test threads -- --nocapture "$@"
