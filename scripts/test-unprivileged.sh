#!/usr/bin/env bash
# The engine's tests as an unprivileged user. Run as root.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || die "only root can become another user: run scripts/test.sh as you are"

# The other user may not reach this checkout: the programs are copied to where it can.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir -m 1777 "$place/tmp"
chmod 755 "$place"

# Cargo builds examples with the tests.
programs=$(cargo test "${everything[@]}" --no-run --quiet --message-format=json |
    grep '"package_id":"[^"]*#wasi-overlay-core@' | grep -v '"kind":\["example"\]' |
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4)
[ -n "$programs" ] || die "cargo named no test program of wasi-overlay-core"

# The matrix with few descriptors is left out: it ran as root, and descriptors ask for no rights.
for program in $programs; do
    cp "$program" "$place/program"
    (cd "$place/tmp" && TMPDIR="$place/tmp" HOME="$place/tmp" \
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$place/program" --quiet --skip limited::)
done
