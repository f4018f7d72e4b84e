#!/usr/bin/env bash
# Makes the packages that a release publishes, and checks outside the repository that they compile. The
# command has to contain the component.
#
# Only files of the packages are compiled. What stays of the repository are the members that are not
# published: with the same members, cargo gives dependencies the same features, and uses what clippy
# checked. So this checks six crates and not wasmtime.
#
# usage: scripts/package.sh      The packages are in target/package.
. "$(dirname "$0")/lib.sh"

# The published members, in the order of publication.
published=(config core image compose host cli)
root=$PWD
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac

scripts/setup.sh --build
scripts/build-component.sh

say "Packages"
exclude=()
for manifest in */Cargo.toml; do
    member=$(dirname "$manifest")
    case " ${published[*]} fuzz guest-tests " in
    *" $member "*) ;;
    *)
        grep -q '^publish = false' "$manifest" ||
            die "$manifest has no \`publish = false\`, and scripts/package.sh does not publish it"
        exclude+=(--exclude "$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -n 1)")
        ;;
    esac
done
rm -rf "$target/package"
# The compiled component is not in git, so `--allow-dirty` is needed in a clean checkout too. Tests
# are not published.
cargo package --workspace "${exclude[@]}" --locked --no-verify --allow-dirty --target-dir "$target" 2>&1 |
    grep -v '^warning: ignoring \(test\|example\)\|Updating' >&2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
workspace=$scratch/workspace
mkdir "$workspace"
git ls-files -z Cargo.toml Cargo.lock bench component proof guest-tests |
    tar --create --null --files-from=- | tar --extract --directory "$workspace"
echo '[patch.crates-io]' >>"$workspace/Cargo.toml"

for member in "${published[@]}"; do
    name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$member/Cargo.toml" | head -n 1)
    tar --extract --file "$target/package/$name-"[0-9]*.crate --directory "$scratch"
    mv "$scratch/$name-"[0-9]* "$workspace/$member"
    echo "$name = { path = \"$member\" }" >>"$workspace/Cargo.toml"
    for file in LICENSE NOTICE; do
        [ ! -L "$workspace/$member/$file" ] && cmp "$file" "$workspace/$member/$file" ||
            die "the package $name has no copy of $file"
    done
    # A link to a file of the repository works only there.
    [ -f "$workspace/$member/README.md" ] || die "the package $name has no README.md"
    if grep -nE '(\]\(|^\[[^]]+\]: *)(\.|/|[A-Za-z0-9_-]+[/.])' "$workspace/$member/README.md"; then
        die "the README of $name has a link that works only in the repository"
    fi
    if [ "$member" = compose ]; then
        cmp compose/artifact/overlay.wasm "$workspace/compose/artifact/overlay.wasm"
        cmp compose/artifact/overlay-configured.wasm "$workspace/compose/artifact/overlay-configured.wasm"
    fi
done

say "A check of the packages, outside the repository"
cd "$workspace"
# Shares the compiled dependencies, but leaves the command of the repository as it is.
export CARGO_BUILD_BUILD_DIR=$target CARGO_TARGET_DIR=$scratch/target
cargo check --offline --workspace --all-features --bin wasi-overlay
# With their own features. The others depend on wasmtime or its tools, which would be checked again.
for name in config core image; do
    cargo check --offline --manifest-path "$name/Cargo.toml"
done
cd "$root"

# The build script of compose writes the constants of the component.
code=$(grep -lF "$workspace/" "$target"/debug/build/wasi-overlay-compose-*/out/artifact.rs) ||
    die "the build script of compose did not run"
[ "$(grep -c 'Some(include_bytes!' "$code")" = 2 ] ||
    die "the packages do not contain the component: $(cat "$code")"
ls -l "$target"/package/*.crate
