#!/usr/bin/env bash
# The engine's threads under ThreadSanitizer, which finds memory that two of them touch at once
# without a lock between: in the engine there is no unsafe code, but in what it stands on there is.
# The standard library is built anew, as the sanitizer has to see all of the program.
#
# Needs the library's source: rustup's (`rustup component add rust-src`), or Debian's, which is
# installed. The sanitizer's own library comes with the Rust toolchain.
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

# The sanitizer's library is linked by hand, since the compiler may be one that comes without it. It
# asks for some functions of glibc by names that a linker does not find (`tmpnam` and its kin), which
# nobody here calls.
link="-Clink-arg=-Wl,--whole-archive,$runtime,--no-whole-archive,--warn-unresolved-symbols"
export RUSTFLAGS="-Zsanitizer=thread -Zexternal-clangrt $link -Clink-arg=-lpthread -Clink-arg=-lm -Clink-arg=-lc"
# The flags are the nightly compiler's.
export RUSTC_BOOTSTRAP=1
# The sanitizer cannot be in what runs while building.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/tsan
export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
cargo test -Zbuild-std --target "$host" -p wasi-overlay-core --all-features --locked \
    --test threads -- --nocapture "$@"
