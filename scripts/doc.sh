#!/usr/bin/env bash
# Builds the documentation of all crates. Warnings are errors.
. "$(dirname "$0")/lib.sh"

say "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${everything[@]}" --no-deps
