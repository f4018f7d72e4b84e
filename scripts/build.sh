#!/usr/bin/env bash
# The component, then the crates, the tests and the command line, which carries it, in the one
# profile that everything here uses.
. "$(dirname "$0")/lib.sh"

scripts/build-component.sh
cargo build "${everything[@]}" --all-targets
