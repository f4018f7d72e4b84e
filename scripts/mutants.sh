#!/usr/bin/env bash
# Changes the engine in one place at a time, and checks that a test notices (cargo-mutants).
#
# usage: scripts/mutants.sh --sample       a few, always the same, for CI
#        scripts/mutants.sh [ARGUMENTS]    all (two days), or what the arguments of cargo-mutants
#                                          say: `--file core/src/overlay/rename.rs`, `--shard 0/250`
#
# target/mutants/mutants.out/missed.txt lists the mutants that no test notices. docs/testing.md says which
# ones were found, and why some of them are no gap.
. "$(dirname "$0")/lib.sh"

arguments=("$@")
need_program cargo-mutants 27.1.0
if [ "${1:-}" = --sample ]; then
    mapfile -t sample < <(grep -v '^#' .cargo/mutants.sample)
    # No expression leaves out the deletion of a field, and `--file` adds to what is configured: all other
    # files are left out by name.
    arguments=("${@:2}")
    for mutant in "${sample[@]}"; do arguments+=(--re "$mutant"); done
    mapfile -t others < <(git ls-files 'core/src/*.rs' |
        grep -vxFf <(printf '%s\n' "${sample[@]}" | sed -E 's|^(.*)\\.rs.*|core/src/\1.rs|'))
    for file in "${others[@]}"; do arguments+=(--exclude "$file"); done
    found=$(cargo mutants --list "${arguments[@]}" | wc -l)
    [ "$found" = ${#sample[@]} ] ||
        die ".cargo/mutants.sample names ${#sample[@]} mutants, and $found are found: bring it up to date"
fi

mkdir -p target/mutants
# Random plans of each kind, as a compromise between coverage and time.
OVERLAY_OPERATIONS=${OVERLAY_OPERATIONS:-20000} \
    cargo mutants --output target/mutants --no-shuffle --colors never "${arguments[@]}"
