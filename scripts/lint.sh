#!/usr/bin/env bash
# Format, clippy and the documentation, warnings refused.
. "$(dirname "$0")/lib.sh"

say "Format"
cargo fmt --all --check

say "Clippy"
cargo clippy "${everything[@]}" --all-targets -- -D warnings

# What a guest can reach must not panic, so code that is no test has stricter rules.
cargo clippy "${everything[@]}" --exclude wasi-overlay-bench --lib --bins -- -D warnings \
    -D clippy::unwrap_used -D clippy::expect_used -D clippy::panic -D clippy::todo -D clippy::unimplemented
# The engine's own code (not its tests) has rules of its own; .config/core/clippy.toml says why.
CLIPPY_CONF_DIR="$PWD/.config/core" cargo clippy -p wasi-overlay-core --all-features --locked --lib -- -D warnings

scripts/doc.sh

say "Shell"
for script in scripts/*.sh .ci/run; do
    bash -n "$script"
done
