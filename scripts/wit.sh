#!/usr/bin/env bash
# Updates the vendored WIT and WITX from the version of wasmtime-wasi in Cargo.lock. With --check, fails if that
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
package=${manifest%/Cargo.toml}
source=$package/src

# Updates a vendored file from another one, unless they are equal.
update() { # from, to
    cmp -s "$1" "$2" && return
    [ -z "$check" ] || die "$2 differs from that of wasmtime-wasi: run scripts/wit.sh"
    cp "$1" "$2"
    echo "$2"
}

for folder in wit/deps host/wit/p2/deps guest-tests/p2/wit/deps host/wit/p3/deps guest-tests/p3/wit/deps; do
    case $folder in */p3/*) version=p3 ;; *) version=p2 ;; esac
    for file in "$folder"/*.wit; do
        update "$source/$version/wit/deps/${file##*/}" "$file"
    done
done

for file in typenames.witx wasi_snapshot_preview1.witx; do
    update "$package/witx/p1/$file" "host/witx/p1/$file"
done
filesystem=$(mktemp)
trap 'rm -f "$filesystem"' EXIT
awk -f scripts/witx.awk host/witx/p1/wasi_snapshot_preview1.witx >"$filesystem"
update "$filesystem" host/witx/p1/filesystem.witx
