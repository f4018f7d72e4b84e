#!/usr/bin/env bash
# The crates, the tests and the command line, in the one profile that everything here uses.
. "$(dirname "$0")/lib.sh"

cargo build "${everything[@]}" --all-targets
