#!/usr/bin/env bash
# Checks the dependencies of the engine: no WebAssembly crates and no network with any feature, and without
# default features, with and without archives, only crates that build for wasm32. The plugin knows no images,
# and images know no wasmtime. Also checks that builds without tests use the same features
# of all dependencies as the tests, since otherwise both would compile them.
. "$(dirname "$0")/lib.sh"

say "Crate graph"
tree=$(cargo tree -p wasi-overlay-core -e normal --all-features --prefix none --format '{p}' --locked)
if forbidden=$(grep -E '^(wasmtime|wit-|wiggle|wasi[^-]|wasi-preview|tokio|hyper|rustls|ureq)' <<<"$tree"); then
    die "core must not depend on WebAssembly crates or on a network, but it depends on:
$forbidden"
fi
tree=$(cargo tree -p wasi-overlay-image -e normal --all-features --prefix none --format '{p}' --locked)
if forbidden=$(grep -E '^(wasmtime|openssl(-sys)? |native-tls|aws-lc)' <<<"$tree"); then
    die "image must not depend on wasmtime or on TLS in C, but it depends on:
$forbidden"
fi
tree=$(cargo tree -p wasi-overlay -e normal --all-features --prefix none --format '{p}' --locked)
if forbidden=$(grep -E '^(wasi-overlay-image|tar-core|ureq|zstd)' <<<"$tree"); then
    die "the plugin must not depend on images, but it depends on:
$forbidden"
fi

for features in "" tar; do
    scripts/wasm-cargo.sh wasm32-unknown-unknown check --locked -p wasi-overlay-core \
        --no-default-features --features "$features"
done

features() {
    cargo tree "${everything[@]}" --prefix none --format '{p} {f}' "$@" | sed 's/ (\*)$//' | sort -u
}
if differing=$(comm -23 <(features -e no-dev) <(features) | grep .); then
    die "dev-dependencies change the features of these dependencies: enable the features in bench/Cargo.toml too:
$differing"
fi
