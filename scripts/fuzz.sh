#!/usr/bin/env bash
# Fuzzes the engine: each target of fuzz/ for so many seconds, from the corpus that is kept and
# whatever earlier runs found on this machine.
#
# usage: scripts/fuzz.sh [SECONDS [TARGET]...]      30 seconds and all targets unless said
#        scripts/fuzz.sh --keep                     takes what was found into the corpus, made small
#
# What fails is in fuzz/artifacts/TARGET; `cargo test -p wasi-overlay-proof --test corpus` runs it
# too once it is in fuzz/corpus/TARGET.
. "$(dirname "$0")/lib.sh"

keep=
[ "${1:-}" != --keep ] || { keep=1 && shift; }
seconds=30
case "${1:-}" in
'' | *[!0-9]*) ;;
*) seconds=$1 && shift ;;
esac
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(marks operations paths)

scripts/setup.sh
command -v c++ >/dev/null || need_packages g++ # compiles libFuzzer
need_program cargo-fuzz 0.13.2

# The engine has no unsafe code, so there is nothing for a sanitizer to find; without one the
# stable compiler does, once it is told that coverage is wanted.
export RUSTC_BOOTSTRAP=1
folder=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
for target in "${targets[@]}"; do
    say "Fuzzing $target for $seconds seconds"
    cargo fuzz build --sanitizer none --target-dir "$folder" "$target"
    found=$folder/found/$target
    mkdir -p "$found" "fuzz/artifacts/$target" "fuzz/corpus/$target"
    program=("$folder"/*/release/"$target" -artifact_prefix="fuzz/artifacts/$target/" -max_len=400)
    if [ -n "$keep" ]; then
        small=$(mktemp -d)
        "${program[@]}" -merge=1 "$small" "fuzz/corpus/$target" "$found" 2>&1 | tail -n 1
        rm -f "fuzz/corpus/$target"/*
        # A corpus in the tree is there to be read by tests: few, and the smallest.
        ls -Sr "$small" | head -n 60 | while read -r name; do cp "$small/$name" "fuzz/corpus/$target/"; done
        rm -rf "$small"
    else
        "${program[@]}" -max_total_time="$seconds" -print_final_stats=1 "$found" "fuzz/corpus/$target" 2>&1 |
            grep -v -E "NEW|REDUCE|RELOAD|pulse|^WARNING: Failed to find|# Uses|####"
    fi
done
