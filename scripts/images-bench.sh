#!/usr/bin/env bash
# Times images against other tools: the start of a program in an image, the storing of a compressed layer, and a
# pull. It makes ten layers of 2,000 files each (300 MiB), whose 200 directories are in all of them, packs them, and
# runs each command in turn with the one that it is compared with. It prints the medians and quartiles of times and
# ratios, and fails if a bound of docs/speed.md is missed.
#
# usage: scripts/images-bench.sh [PAIRS]
#
# PAIRS  of each comparison (20)
. "$(dirname "$0")/lib.sh"

pairs=${1:-20}

missing=()
for program in skopeo umoci podman docker-registry zstd; do
    command -v "$program" >/dev/null || missing+=("$program")
done
need_packages "${missing[@]}"

scripts/setup.sh --build
scripts/build-guests.sh p1_files
scripts/build-component.sh
cargo build "${everything[@]}" --release --bin wasi-overlay
overlay=$(realpath "${CARGO_TARGET_DIR:-target}/release/wasi-overlay")
guest=$PWD/target/guests/p1_files.wasm
registry=$PWD/scripts/registry.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
export WASI_OVERLAY_STORE=$scratch/store

# --- Measuring --------------------------------------------------------------------------------

# Runs a function, and sets `took` to its time in microseconds. If there is a function of the same name with
# `before_` in front, runs that first, and does not time it.
took=0
run() { # function
    if declare -F "before_$1" >/dev/null; then "before_$1"; fi
    local start=${EPOCHREALTIME/./}
    "$1" >log 2>&1 || { cat log >&2 && die "$1 failed"; }
    took=$((${EPOCHREALTIME/./} - start))
}

# The median and the quartiles of a column.
quartiles() { # column
    awk -v column="$1" '{ print $column }' times | sort -g |
        awk '{ value[NR] = $1 }
            function at(part) { return value[int(part * (NR - 1) + 1.5)] }
            END { printf "%.4g (%.4g–%.4g)", at(0.5), at(0.25), at(0.75) }'
}

# Compares two functions in pairs, in changing order, after one run of each.
missed=
compare() { # names of both, functions of both, and the bound: `ratio` or `difference` (in ms), and its maximum
    local pair ours theirs column=3
    [ "$5" = ratio ] || column=4
    run "$3"
    run "$4"
    : >times
    for ((pair = 0; pair < pairs; pair++)); do
        if ((pair % 2)); then
            run "$3"
            ours=$took
            run "$4"
            theirs=$took
        else
            run "$4"
            theirs=$took
            run "$3"
            ours=$took
        fi
        awk -v a="$ours" -v b="$theirs" 'BEGIN { print a / 1000, b / 1000, a / b, (a - b) / 1000 }' >>times
    done
    printf '%s: %s ms, %s: %s ms, ratio %s, difference %s ms; at most: %s %s\n' \
        "$1" "$(quartiles 1)" "$2" "$(quartiles 2)" "$(quartiles 3)" "$(quartiles 4)" "$5" "$6"
    quartiles "$column" | awk -v max="$6" '{ exit $1 > max }' || missed="$missed $3"
}

# --- Files ------------------------------------------------------------------------------------

say "Making files, layers and an image"
# Words of a small vocabulary, with numbers between them: gzip reduces them to less than half.
perl -e '
    srand 1;
    my @words = map { join "", map { chr 97 + int rand 26 } 1 .. 3 + int rand 9 } 1 .. 4000;
    my $text = "";
    $text .= $words[rand(rand @words)] . (rand() < 0.15 ? sprintf(" %x\n", rand 1e9) : " ") while length $text < 4 << 20;
    for my $layer (0 .. 9) {
        mkdir "layer$layer";
        for my $dir (0 .. 199) {
            mkdir "layer$layer/dir$dir";
            for my $file (0 .. 9) {
                my $size = int(-15728 * log(1 - rand));
                my $name = "layer$layer/dir$dir/file$layer-$file";
                open my $out, ">", $name or die "$name: $!";
                print $out substr $text, rand(length($text) - $size), $size;
            }
        }
    }'
cp "$guest" layer9/program
umoci --log error init --layout image
umoci --log error new --image image:1
for layer in layer?; do umoci --log error insert --image image:1 "$layer" /; done
umoci --log error config --image image:1 --config.entrypoint /program --os wasip1 --architecture wasm

mkdir merged
for layer in layer?; do cp -r "$layer/." merged; done
tar -C merged -cf layer.tar .
gzip -k layer.tar
zstd -q layer.tar
wc -c layer.tar layer.tar.gz layer.tar.zst | head -n 3

# --- Start ------------------------------------------------------------------------------------

layers=()
for layer in layer?; do layers+=(--layer "$layer"); done
on_image() { "$overlay" run oci:image:1 cat dir7/file7-3; }
on_directories() { "$overlay" run "${layers[@]}" "$guest" cat dir7/file7-3; }

say "Start of run on an image of 10 layers and 20,000 files"
compare "on the image" "on directories" on_image on_directories difference 10

# --- Store ------------------------------------------------------------------------------------

before_store_gzip() { rm -rf "$WASI_OVERLAY_STORE"; }
store_gzip() { "$overlay" run --layer layer.tar.gz "$guest" cat dir7/file7-3; }
gzip_and_digest() { gzip -dc layer.tar.gz | sha256sum; }
before_store_zstd() { rm -rf "$WASI_OVERLAY_STORE"; }
store_zstd() { "$overlay" run --layer layer.tar.zst "$guest" cat dir7/file7-3; }
zstd_and_digest() { zstd -dc layer.tar.zst | sha256sum; }

say "Storing a compressed layer: both digests, index, sync"
compare "gzip" "gzip -dc | sha256sum" store_gzip gzip_and_digest ratio 0.7
compare "zstd" "zstd -dc | sha256sum" store_zstd zstd_and_digest ratio 1.0

# podman unpacks, and takes minutes for 20 pairs.
skopeo --insecure-policy copy -q oci:image:1 docker-archive:image.tar:image:1
podman() { command podman --root "$scratch/podman" --runroot "$scratch/podman-run" --storage-driver vfs "$@"; }
before_podman_load() { podman rmi -af >/dev/null 2>&1 || true; }
podman_load() { podman load -i image.tar; }
run podman_load
printf 'podman load (vfs, one run): %d ms\n' $((took / 1000))

# --- Pull -------------------------------------------------------------------------------------

# The registry runs until its input is closed.
coproc server { "$registry"; }
read -r address <&"${server[0]}"
skopeo --insecure-policy copy -q --dest-tls-verify=false oci:image:1 "docker://$address/me/image:1"
before_pull() { rm -rf "$WASI_OVERLAY_STORE"; }
pull() { "$overlay" pull -q "$address/me/image:1"; }
before_skopeo_copy() { rm -rf copied; }
skopeo_copy() {
    skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$address/me/image:1" oci:copied:1
}

say "Pull from a registry on loopback"
compare "pull" "skopeo copy" pull skopeo_copy ratio 2.0
exec {server[1]}>&-
wait "$server_PID"
[ -z "$missed" ] || die "bounds are missed:$missed"
