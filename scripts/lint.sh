#!/usr/bin/env bash
# Checks format, clippy, documentation, vendored WIT and shell syntax. Warnings are errors.
. "$(dirname "$0")/lib.sh"

say "Format"
cargo fmt --all --check

say "Clippy"
cargo clippy "${everything[@]}" --all-targets -- -D warnings

# Code that a guest can reach must not panic, so code outside of tests has stricter rules. The
# conformance suite is excluded, because it is a test. The engine has additional rules, in
# .config/core/clippy.toml.
strict=(-D warnings -D clippy::unwrap_used -D clippy::expect_used -D clippy::panic
    -D clippy::todo -D clippy::unimplemented)
cargo clippy --workspace --locked --exclude wasi-overlay-bench --exclude wasi-overlay-proof --lib --bins -- "${strict[@]}"
for features in --features=dir --no-default-features; do
    CLIPPY_CONF_DIR="$PWD/.config/core" cargo clippy --locked -p wasi-overlay-core "$features" --lib -- "${strict[@]}"
done

scripts/doc.sh

say "Vendored WIT"
scripts/wit.sh --check

say "Shell"
for script in scripts/*.sh .ci/run; do
    bash -n "$script"
done
