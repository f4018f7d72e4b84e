#!/usr/bin/env bash
# All tests, from nothing: sets up, builds the guests, runs every test of the workspace; as
# root, those of the engine once more as an unprivileged user, since root never meets EACCES.
#
# usage: scripts/test.sh [arguments of `cargo test`]
. "$(dirname "$0")/lib.sh"

scripts/setup.sh
scripts/build-guests.sh
scripts/build-component.sh
# A large program that nobody here wrote, for the tests; fetched once, by hash.
scripts/fetch-cpython.sh
# Other people's tools, whose layers are read and who read ours.
scripts/interop.sh --install

say "Tests"
cargo test "${everything[@]}" "$@"

scripts/jco.sh

if [ "$(id -u)" = 0 ]; then
    say "Tests of the engine, unprivileged"
    scripts/test-unprivileged.sh
else
    echo "note: run as root as well to test what only root can do (owners, devices, trusted xattrs)" >&2
fi
