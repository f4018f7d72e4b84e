#!/usr/bin/env bash
# Format, clippy and the documentation, warnings refused.
. "$(dirname "$0")/lib.sh"

say "Format"
cargo fmt --all --check

say "Clippy"
cargo clippy "${everything[@]}" --all-targets -- -D warnings

# What a guest can reach must not panic, so code that is no test has stricter rules. Without the
# conformance suite, which is a test in all but name, and with the engine's own rules for the
# engine: .config/core/clippy.toml says why.
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
