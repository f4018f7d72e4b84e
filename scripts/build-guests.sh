#!/usr/bin/env bash
# Builds every guest program of guest-tests/ and files it in target/guests/, where the tests of the
# host look. Needs cargo; what else is missing for wasm is installed (scripts/wasm-cargo.sh).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
wasm=${WASM_TARGET_DIR:-$root/target/wasm}
manifest=$root/guest-tests/Cargo.toml

"$root/scripts/wasm-cargo.sh" wasm32-wasip1 build --locked --release --manifest-path "$manifest" -p guests-p1
"$root/scripts/wasm-cargo.sh" wasm32-unknown-unknown build --locked --release --manifest-path "$manifest" -p guests-p2 -p guests-p3
# For the machine itself, in a folder of its own: the compiler may be another one.
CARGO_TARGET_DIR=$wasm/tools cargo run --quiet --locked --manifest-path "$manifest" -p guests-componentize -- \
    "$wasm/wasm32-wasip1/release" "$wasm/wasm32-unknown-unknown/release" "$root/target/guests"

echo "guests: $(find "$root/target/guests" -maxdepth 1 -name '*.wasm' | wc -l) programs in $root/target/guests"
