#!/usr/bin/env bash
# Mutates the engine in one place at a time, and checks that a test fails (cargo-mutants).
#
# usage: scripts/mutants.sh --sample       the mutants of .cargo/mutants.sample, for CI
#        scripts/mutants.sh [ARGUMENTS]    all mutants (two days), or those selected by arguments of
#                                          cargo-mutants, such as
#                                          `--file core/src/overlay/rename.rs` or `--shard 0/250`
#
# target/mutants/mutants.out/missed.txt lists the mutants that no test detects. docs/testing.md lists
# those that were found, and why some of them are not gaps.
. "$(dirname "$0")/lib.sh"

arguments=("$@")
need_program cargo-mutants 27.1.0
if [ "${1:-}" = --sample ]; then
    mapfile -t sample < <(grep -v '^#' .cargo/mutants.sample)
    # All other files are excluded by name: no regular expression excludes deletions of fields, and
    # `--file` adds to the configured files.
    arguments=("${@:2}")
    for mutant in "${sample[@]}"; do arguments+=(--re "$mutant"); done
    mapfile -t others < <(git ls-files 'core/src/*.rs' |
        grep -vxFf <(printf '%s\n' "${sample[@]}" | sed -E 's|^(.*)\\.rs.*|core/src/\1.rs|'))
    for file in "${others[@]}"; do arguments+=(--exclude "$file"); done
    found=$(cargo mutants --list "${arguments[@]}" | wc -l)
    [ "$found" = ${#sample[@]} ] ||
        die ".cargo/mutants.sample has ${#sample[@]} expressions, but they match $found mutants: update it"
fi

mkdir -p target/mutants
# Random plans of each kind, as a compromise between coverage and time.
OVERLAY_OPERATIONS=${OVERLAY_OPERATIONS:-20000} \
    cargo mutants --output target/mutants --no-shuffle --colors never "${arguments[@]}"
