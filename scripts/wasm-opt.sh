#!/usr/bin/env bash
# Runs binaryen's wasm-opt. The version is pinned, because its output is measured and tested. It is
# installed once into the target folder, from npm, which requires no compiler.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
version=130.0.0
tools=${WASM_TARGET_DIR:-$root/target/wasm}/binaryen-$version

if ! [ -x "$tools/node_modules/.bin/wasm-opt" ]; then
    command -v npm >/dev/null || {
        echo "wasm-opt: npm is required: run scripts/setup.sh, or install nodejs and npm" >&2
        exit 1
    }
    mkdir -p "$tools"
    (cd "$tools" && npm install --silent --no-audit --no-fund --no-package-lock "binaryen@$version") >&2
fi
exec "$tools/node_modules/.bin/wasm-opt" "$@"
