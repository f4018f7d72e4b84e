#!/usr/bin/env bash
# Runs the engine's tests as an unprivileged user. Run this as root.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || die "only root can become another user: run scripts/test.sh as you are"

# The other user may lack access to this checkout, so the programs are copied to where it has it.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir -m 1777 "$place/tmp"
chmod 755 "$place"

# All test programs of the engine, and those of the proofs that test it. Cargo builds examples too.
machines='crash|evil|handles|matrix'
programs=$(cargo test "${everything[@]}" --no-run --quiet --message-format=json |
    grep -E "\"package_id\":\"[^\"]*#(wasi-overlay-core@|wasi-overlay-proof@.*\"kind\":\[\"test\"\].*\"name\":\"($machines)\")" |
    grep -v '"kind":\["example"\]' |
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4)
[ "$(wc -l <<<"$programs")" -gt 20 ] || die "cargo named too few test programs: $programs"

# Leaves out the matrix with few descriptors: it ran as root, and a limit of descriptors does not depend
# on rights.
for program in $programs; do
    cp "$program" "$place/program"
    (cd "$place/tmp" && TMPDIR="$place/tmp" HOME="$place/tmp" \
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$place/program" --quiet --skip limited::)
done
