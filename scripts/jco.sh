#!/usr/bin/env bash
# Composed components under jco on node: what guests see on layers there is what they see on a plain
# directory that holds the merged tree. The guests, the component and the command must be built.
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

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
ln -s "$tools/node_modules" node_modules
cp "$root/component/jco/run.mjs" .

# The merged tree, and three layers and an upper that merge to it.
tree() { (cd "$1" && find . -name .wh.gone -o -print | sort | while read -r path; do
    if [ -f "$path" ] && ! [ -L "$path" ]; then echo "$path $(cksum <"$path")"; else echo "$path"; fi
done); }
mkdir -p plain/dir/sub plain/emptydir plain/many
echo 'hello, world' >plain/hello.txt
echo inner >plain/dir/sub/inner
echo x >plain/x
ln -s dir/sub/inner plain/to-inner
for number in $(seq 300); do echo "$number" >"plain/many/f$number"; done
layers() { # makes them anew
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

compose() { # the guest, and the name of its transpiled program
    "$command" compose "$root/target/guests/$1.wasm" -o "$1.wasm" --force "${names[@]}" 2>said ||
        die "$(cat said)"
    node_modules/.bin/jco transpile "$1.wasm" -o "$1" --name app >said 2>&1 || die "$(cat said)"
}
on_jco() { node run.mjs "$1/app.js" "${preopens[@]}" -- "${@:2}"; }

# --- A component of WASI 0.2: the same transcript ----------------------------------------------
say "jco: a guest's calls on layers, against a plain directory"
compose p2_script
layers
tree base >before
cp -a plain copy
# Less the times that the guest set: jco's shim takes them for another unit.
sans_times() { sed 's/ at [0-9]*$//'; }
"$command" run --dir copy::/ "$root/target/guests/p2_script.wasm" | sans_times >expected
on_jco p2_script | sans_times >found
diff expected found >&2 || die "under jco the guest saw something else (- expected, + found)"
tree base >after
cmp -s before after || die "under jco a layer changed"
[ ! -e changes/.wh..wh.work ] || die "under jco the work folder was left behind"

# --- A core module of WASI 0.1, through the adapter: the same tree ------------------------------
say "jco: a program on layers, one process after the other"
compose p1_files
layers
rm -rf copy && cp -a plain copy
step() {
    on_jco p1_files "$@" >found
    "$command" run --dir copy::/ "$root/target/guests/p1_files.wasm" "$@" >expected
    diff expected found >&2 || die "under jco \`$*\` said something else (- expected, + found)"
}
step tree
step write hello.txt 'changed'
step mv dir moved
step write moved/sub/inner 'changed too'
step rm x
step mv many emptydir/many
step tree
[ ! -e changes/.wh..wh.work ] || die "under jco the work folder was left behind"
[ -f changes/.wh.x ] && [ -f changes/.wh.dir ] || die "under jco what was removed has no mark"

echo "jco $jco, node $(node --version): transcripts and trees are those of a plain directory" >&2
