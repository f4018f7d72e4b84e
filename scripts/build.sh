#!/usr/bin/env bash
# Builds the component, then the crates, the tests and the command line, which contains the
# component, in the profile that all scripts use.
. "$(dirname "$0")/lib.sh"

scripts/build-component.sh
cargo build "${everything[@]}" --all-targets
