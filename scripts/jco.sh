#!/usr/bin/env bash
# Tests composed components under jco on node: guests must get the same results on layers as on a
# plain directory with the merged tree. The guests, the component and the command must be built.
. "$(dirname "$0")/lib.sh"

jco=1.35.0
shim=0.26.1
root=$PWD
tools=${WASM_TARGET_DIR:-$root/target/wasm}/jco-$jco
command="${CARGO_TARGET_DIR:-target}/debug/wasi-overlay"
case "$command" in /*) ;; *) command="$root/$command" ;; esac
[ -x "$command" ] || die "$command is missing: run scripts/build.sh"

if ! [ -x "$tools/node_modules/.bin/jco" ]; then
    say "Installing jco $jco"
    mkdir -p "$tools"
    (cd "$tools" && npm install --silent --no-audit --no-fund --no-package-lock \
        "@bytecodealliance/jco@$jco" "@bytecodealliance/preview2-shim@$shim") >&2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
ln -s "$tools/node_modules" node_modules
cp "$root/component/jco/run.mjs" .

# Prints the names and checksums of a tree, except the whiteout `.wh.gone`.
tree() { (cd "$1" && find . -name .wh.gone -o -print | sort | while read -r path; do
    if [ -f "$path" ] && ! [ -L "$path" ]; then echo "$path $(cksum <"$path")"; else echo "$path"; fi
done); }
# The merged tree. `layers` makes three layers and an upper that merge to it.
mkdir -p plain/dir/sub plain/emptydir plain/many
echo 'hello, world' >plain/hello.txt
echo inner >plain/dir/sub/inner
echo x >plain/x
ln -s dir/sub/inner plain/to-inner
for number in $(seq 300); do echo "$number" >"plain/many/f$number"; done
layers() {
    rm -rf base middle top changes
    mkdir -p base/dir/sub base/emptydir base/gone/deep base/many middle/dir middle/emptydir middle/many top changes
    echo stale >base/hello.txt
    echo 'hello, world' >middle/hello.txt
    cp plain/dir/sub/inner base/dir/sub/inner
    echo old >base/gone/deep/file
    : >middle/.wh.gone
    echo hidden >base/emptydir/hidden
    : >middle/emptydir/.wh..wh..opq
    cp plain/x top/x
    cp -P plain/to-inner top/to-inner
    for number in $(seq 300); do
        if [ $((number % 2)) = 0 ]; then cp "plain/many/f$number" base/many; else cp "plain/many/f$number" middle/many; fi
    done
}
names=(--lower /base --lower /middle --lower /top --upper /changes)
preopens=(/base=base /middle=middle /top=top /changes=changes)

compose() { # guest; the transpiled program gets the same name
    "$command" compose "$root/target/guests/$1.wasm" -o "$1.wasm" --force "${names[@]}" 2>errors ||
        die "$(cat errors)"
    node_modules/.bin/jco transpile "$1.wasm" -o "$1" --name app >errors 2>&1 || die "$(cat errors)"
}
on_jco() { node run.mjs "$1/app.js" "${preopens[@]}" -- "${@:2}"; }

# --- A component of WASI 0.2: compares transcripts ---------------------------------------------
say "jco: calls of a guest on layers, compared with a plain directory"
compose p2_script
layers
tree base >before
cp -a plain copy
# Times that the guest sets are not compared, because jco's shim misinterprets their unit.
strip_times() { sed 's/ at [0-9]*$//'; }
"$command" run --dir copy::/ "$root/target/guests/p2_script.wasm" | strip_times >expected
on_jco p2_script | strip_times >found
diff expected found >&2 || die "under jco the guest got different results (- expected, + found)"
tree base >after
cmp -s before after || die "under jco a layer changed"
[ ! -e changes/.wh..wh.work ] || die "under jco the work folder was not removed"

# --- A core module of WASI 0.1, through the adapter: compares trees -----------------------------
say "jco: a program on layers, in several processes one after the other"
compose p1_files
layers
rm -rf copy && cp -a plain copy
step() {
    on_jco p1_files "$@" >found
    "$command" run --dir copy::/ "$root/target/guests/p1_files.wasm" "$@" >expected
    diff expected found >&2 || die "under jco \`$*\` printed something else (- expected, + found)"
}
step tree
step write hello.txt 'changed'
step mv dir moved
step write moved/sub/inner 'changed too'
step rm x
step mv many emptydir/many
step tree
[ ! -e changes/.wh..wh.work ] || die "under jco the work folder was not removed"
[ -f changes/.wh.x ] && [ -f changes/.wh.dir ] || die "under jco a removed name has no whiteout"

echo "jco $jco, node $(node --version): transcripts and trees equal those of a plain directory" >&2
