#!/usr/bin/env bash
# The documentation of our crates, warnings refused.
. "$(dirname "$0")/lib.sh"

say "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${everything[@]}" --no-deps
