#!/usr/bin/env bash
# Builds the guest programs of guest-tests/ into target/guests/, where the tests of `host` find them.
# Requires cargo. scripts/wasm-cargo.sh installs a toolchain for wasm if there is none.
#
# usage: scripts/build-guests.sh [NAME]...      all guests, or only these guests for WASI 0.1
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
wasm=${WASM_TARGET_DIR:-$root/target/wasm}
manifest=$root/guest-tests/Cargo.toml

if [ $# -gt 0 ]; then
    "$root/scripts/wasm-cargo.sh" wasm32-wasip1 build --locked --release --manifest-path "$manifest" -p guests-p1 \
        $(printf -- '--bin %s ' "$@")
    mkdir -p "$root/target/guests"
    for name; do
        built=$wasm/wasm32-wasip1/release/$name.wasm
        # Keeps the time of an unchanged file.
        cmp -s "$built" "$root/target/guests/$name.wasm" || cp "$built" "$root/target/guests/$name.wasm"
    done
    exit 0
fi

"$root/scripts/wasm-cargo.sh" wasm32-wasip1 build --locked --release --manifest-path "$manifest" -p guests-p1
"$root/scripts/wasm-cargo.sh" wasm32-unknown-unknown build --locked --release --manifest-path "$manifest" -p guests-p2 -p guests-p3
# A native program. It has its own target folder because the compiler may differ.
CARGO_TARGET_DIR=$wasm/tools cargo run --quiet --locked --manifest-path "$manifest" -p guests-componentize -- \
    "$wasm/wasm32-wasip1/release" "$wasm/wasm32-unknown-unknown/release" "$root/target/guests"

echo "guests: $(find "$root/target/guests" -maxdepth 1 -name '*.wasm' | wc -l) programs in $root/target/guests"
