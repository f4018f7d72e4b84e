#!/usr/bin/env bash
# Runs the setup, runs guests on layers, and shows the merged tree and the changes.
. "$(dirname "$0")/lib.sh"

# Builds only what the demo runs.
scripts/setup.sh --build
scripts/build-guests.sh p1_files
scripts/build-component.sh
cargo build "${everything[@]}" --bin wasi-overlay

command="${CARGO_TARGET_DIR:-target}/debug/wasi-overlay"
files="$PWD/target/guests/p1_files.wasm"
case "$command" in /*) ;; *) command="$PWD/$command" ;; esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# --- Three layers, bottom first ---------------------------------------------------------------
mkdir -p base/etc base/lib/old app/etc app/bin patch/etc patch/lib changes
echo 'name = "base"' >base/etc/app.toml
echo '127.0.0.1 localhost' >base/etc/hosts
echo 'obsolete' >base/lib/old/library
echo 'version 1' >base/lib/library
echo 'name = "app"' >app/etc/app.toml
echo 'run me' >app/bin/app
: >patch/lib/.wh.old # a whiteout that hides lib/old
echo 'version 2' >patch/lib/library

sums() { find base app patch -type f -exec sha256sum {} + | sort; }
sums >before

show() {
    printf '\n\033[1m$ wasi-overlay run %s\033[0m\n' "$*" | sed "s|$PWD/||g; s|[^ ]*/\(p._[a-z]*\.wasm\)|\1|"
    "$command" run "$@"
}
on_layers=(--layer base --layer app --layer patch --upper changes "$files")

say "The layers (.wh.old is a whiteout)"
find base app patch -type f | sort

say "The merged tree that a guest sees"
show "${on_layers[@]}" tree

say "A guest writes a file, moves a directory and removes a file, all of them in lower layers"
show "${on_layers[@]}" write etc/app.toml 'name = "mine"'
show "${on_layers[@]}" mv bin tools
show "${on_layers[@]}" rm etc/hosts
show "${on_layers[@]}" tree

say "The upper contains the changes, in the form of an OCI layer"
find changes ! -type d | sort

say "Changes in memory, which end with the program"
show --layer base --layer app --layer patch --upper memory:16m "$files"

say "The program composed with its overlay, as a component that runs on layers on any host of WASI 0.2"
"$command" compose "$files" -o on-layers.wasm --lower /base --lower /app --lower /patch --upper /changes 2>&1 | sed "s|$files|files.wasm|g"
show --dir base::/base::ro --dir app::/app::ro --dir patch::/patch::ro --dir changes::/changes on-layers.wasm tree

sums >after
cmp before after || die "a layer changed: this is a bug"
[ "$(cat base/etc/app.toml)" = 'name = "base"' ] || die "a layer changed: this is a bug"
[ "$(cat changes/etc/app.toml)" = 'name = "mine"' ] || die "the change is not in the upper: this is a bug"
say "The layers are unchanged."
