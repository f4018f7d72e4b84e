#!/usr/bin/env bash
# Compares the API of the published libraries with the last release, and fails if a change needs a greater
# version than the one in Cargo.toml. The last release is the newest tag `v*` that is an ancestor.
. "$(dirname "$0")/lib.sh"

if ! tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
    echo "note: no tag yet: there is no release to compare the API with" >&2
    exit 0
fi

need_program cargo-semver-checks 0.51.0
say "API since $tag"
cargo semver-checks --baseline-rev "$tag" --all-features \
    -p wasi-overlay-config -p wasi-overlay-core -p wasi-overlay-compose -p wasi-overlay-image -p wasi-overlay
