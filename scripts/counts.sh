#!/usr/bin/env bash
# Counts the instructions of the engine's hot paths (core/examples/hot.rs) and compares them with the
# recorded counts in core/examples/hot.counts. Growth by more than 5 % is an error. Unlike times,
# counts do not depend on the load of the machine.
#
# They do depend on the compiler and the C library. If those differ from the recorded ones, the
# counts are printed without a comparison. `--update` records the counts.
#
# usage: scripts/counts.sh [--update]
. "$(dirname "$0")/lib.sh"

file=core/examples/hot.counts

command -v valgrind >/dev/null || need_packages valgrind

cargo build --release --locked -p wasi-overlay-core --all-features --example hot
hot=target/release/examples/hot

# Prints the instructions of a whole run.
run() { # path, rounds
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$hot" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# Prints the instructions of one round, from the difference of two runs, which excludes the start.
count_once() { # path, rounds
    local short long
    short=$(run "$1" "$2")
    long=$(run "$1" $((3 * $2)))
    [ -n "$short" ] && [ -n "$long" ] || die "valgrind counted nothing for $1"
    echo $(((long - short) / (2 * $2)))
}

count() { # path
    local length
    case $1 in
    list-*) count_once "$1" 200 ;;
    # Some hash seeds take 6 % more than others. The seed depends on the address of the stack, and
    # that on the size of the environment. Take the minimum of three sizes.
    stat-each-*)
        for length in 1 50 100; do
            SEED=$(printf "%${length}s" x) count_once "$1" 20
        done | sort -n | head -n 1
        ;;
    *) count_once "$1" 4000 ;;
    esac
}

by="$(rustc --version), $(getconf GNU_LIBC_VERSION), $(uname -m)"
say "Instructions of hot paths, $by"
counts=
for path in $("$hot" --names); do
    counts+="$path $(count "$path")"$'\n'
done

if [ "${1:-}" = --update ]; then
    printf '# Instructions of one round of each hot path: scripts/counts.sh --update\n# by %s\n%s' \
        "$by" "$counts" >"$file"
fi

known=$(sed -n 's/^# by //p' "$file")
if [ "$known" != "$by" ]; then
    printf '%s' "$counts"
    echo "note: not compared, since the counts in $file were recorded with $known" >&2
    exit 0
fi

awk '
    FNR == NR { if ($1 != "#") known[$1] = $2; next }
    !($1 in known) { print $1 ": not recorded"; bad = 1; next }
    {
        change = ($2 / known[$1] - 1) * 100
        printf "%-24s%12d%+9.1f %%\n", $1, $2, change
        if (change > 5) { bad = 1 }
        delete known[$1]
    }
    END {
        for (path in known) { print path ": recorded, but not counted"; bad = 1 }
        exit bad
    }
' "$file" <(printf '%s' "$counts") ||
    die "a hot path takes over 5 % more instructions, or the paths changed: if that is intended, run \
scripts/counts.sh --update and give the reason in the commit"
