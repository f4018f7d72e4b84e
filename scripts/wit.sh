#!/usr/bin/env bash
# Updates the vendored WIT from the version of wasmtime-wasi in Cargo.lock. With --check, fails if that
# would change anything.
#
# usage: scripts/wit.sh [--check]
. "$(dirname "$0")/lib.sh"

check=
case "${1:-}" in
"") ;;
--check) check=1 ;;
*) die "usage: scripts/wit.sh [--check]" ;;
esac

manifest=$(cargo metadata --format-version 1 --locked |
    grep -o '"manifest_path":"[^"]*/wasmtime-wasi-[0-9.]*/Cargo.toml"' | head -n 1 | cut -d'"' -f4)
[ -n "$manifest" ] || die "cargo metadata does not list wasmtime-wasi: run cargo fetch"
source=${manifest%/Cargo.toml}/src

for folder in wit/deps host/wit/p2/deps guest-tests/p2/wit/deps host/wit/p3/deps guest-tests/p3/wit/deps; do
    case $folder in */p3/*) version=p3 ;; *) version=p2 ;; esac
    for file in "$folder"/*.wit; do
        cmp -s "$source/$version/wit/deps/${file##*/}" "$file" && continue
        [ -z "$check" ] || die "$file differs from that of wasmtime-wasi: run scripts/wit.sh"
        cp "$source/$version/wit/deps/${file##*/}" "$file"
        echo "$file"
    done
done
