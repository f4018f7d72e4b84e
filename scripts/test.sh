#!/usr/bin/env bash
# Runs all tests on a fresh checkout: sets up, builds the guests, and runs every test of the workspace.
# As root it runs the engine's tests a second time as an unprivileged user, since root never gets EACCES.
#
# usage: scripts/test.sh [arguments of `cargo test`]
. "$(dirname "$0")/lib.sh"

scripts/setup.sh
scripts/build-guests.sh
scripts/build-component.sh
# A large third-party program for the tests, fetched once and checked by its hash.
scripts/fetch-cpython.sh
# Third-party tools that write layers for the tests and read ours.
scripts/interop.sh --install
# A registry for the tests of pulls and pushes.
scripts/registry.sh --install

say "Tests"
cargo test "${everything[@]}" "$@"

scripts/jco.sh

if [ "$(id -u)" = 0 ]; then
    say "Tests of the engine, unprivileged"
    scripts/test-unprivileged.sh
else
    echo "note: run as root as well to test what only root can do (owners, devices, trusted xattrs)" >&2
fi
