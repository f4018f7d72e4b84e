#!/usr/bin/env bash
# Builds the guest programs of guest-tests/ into target/guests/, where the tests of `host` find them.
# Requires cargo. scripts/wasm-cargo.sh installs a toolchain for wasm if there is none.
#
# usage: scripts/build-guests.sh [NAME]...      only these guests, by default all
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
wasm=${WASM_TARGET_DIR:-$root/target/wasm}
manifest=$root/guest-tests/Cargo.toml

p1=() p2=() p3=()
for name; do
    case $name in
    p1_*) p1+=(--bin "$name") ;;
    p2_*) p2+=(--bin "$name") ;;
    p3_*) p3+=(--bin "$name") ;;
    *)
        echo "error: no guest $name: a name starts with p1_, p2_ or p3_" >&2
        exit 1
        ;;
    esac
done

build() { # target, additional arguments of cargo
    "$root/scripts/wasm-cargo.sh" "$1" build --locked --release --manifest-path "$manifest" "${@:2}"
}
# `-p` selects the same packages in each run, so that their dependencies have the same features.
if [ $# = 0 ] || [ ${#p1[@]} -gt 0 ]; then
    build wasm32-wasip1 -p guests-p1 "${p1[@]}"
fi
if [ $# = 0 ] || [ $((${#p2[@]} + ${#p3[@]})) -gt 0 ]; then
    build wasm32-unknown-unknown -p guests-p2 -p guests-p3 "${p2[@]}" "${p3[@]}"
fi
# A native program. It has its own target folder because the compiler may differ.
CARGO_TARGET_DIR=$wasm/tools cargo run --quiet --locked --manifest-path "$manifest" -p guests-componentize -- \
    "$wasm/wasm32-wasip1/release" "$wasm/wasm32-unknown-unknown/release" "$root/target/guests" "$@"

echo "guests: $(find "$root/target/guests" -maxdepth 1 -name '*.wasm' | wc -l) programs in $root/target/guests"
