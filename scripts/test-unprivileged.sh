#!/usr/bin/env bash
# Runs the engine's tests as an unprivileged user. Run this as root.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || die "only root can switch to another user: run scripts/test.sh instead"

# The other user may have no access to this checkout, so the programs are copied to a folder where it
# has.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -m 1777 "$scratch/tmp"
chmod 755 "$scratch"

# The test programs of wasi-overlay-core, and these of wasi-overlay-proof. Cargo lists examples too. Without
# those that take long and do not depend on permissions, and the matrix, whose run as root has an unprivileged
# part.
proofs='evil'
programs=$(cargo test "${everything[@]}" --no-run --quiet --message-format=json |
    grep -E "\"package_id\":\"[^\"]*#(wasi-overlay-core@|wasi-overlay-proof@.*\"kind\":\[\"test\"\].*\"name\":\"($proofs)\")" |
    grep -v -e '"kind":\["example"\]' -e '"name":"exhaustion"' |
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4)
[ "$(wc -l <<<"$programs")" -gt 20 ] || die "cargo named too few test programs: $programs"

for program in $programs; do
    cp "$program" "$scratch/program"
    (cd "$scratch/tmp" && TMPDIR="$scratch/tmp" HOME="$scratch/tmp" \
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$scratch/program" --quiet)
done
