#!/usr/bin/env bash
# Exchanges layers with other tools: the kernel's overlayfs, fuse-overlayfs, umoci, and the storage that
# skopeo shares with podman. Installs the tools if it has the permission.
#
# usage: scripts/interop.sh [--install] [arguments of the test program]
#
# --install      only installs the tools, those with which other tests exchange images included
#
# INTEROP_SEEDS=N     random cases of each test; INTEROP_SEED=N     only this case
. "$(dirname "$0")/lib.sh"

packages=()
command -v fuse-overlayfs >/dev/null || packages+=(fuse-overlayfs)
command -v umoci >/dev/null || packages+=(umoci)
command -v skopeo >/dev/null || packages+=(skopeo)
# Tools that make and read images.
command -v buildah >/dev/null || packages+=(buildah)
command -v podman >/dev/null || packages+=(podman)
command -v containerd >/dev/null || packages+=(containerd)
command -v docker-registry >/dev/null || packages+=(docker-registry)
command -v bsdtar >/dev/null || packages+=(libarchive-tools)
command -v openssl >/dev/null || packages+=(openssl)
command -v zstd >/dev/null || packages+=(zstd)
# Tools for filesystem images, which the tests mount and reset.
command -v mkfs.ext4 >/dev/null || packages+=(e2fsprogs)
command -v mkfs.xfs >/dev/null || packages+=(xfsprogs)
command -v mkfs.btrfs >/dev/null || packages+=(btrfs-progs)
command -v mkfs.vfat >/dev/null || packages+=(dosfstools)

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

if [ ${#packages[@]} -gt 0 ] && ! can_install && [ "${CI:-}" != true ]; then
    echo "note: missing: ${packages[*]}. The tests that need them are skipped;" \
        "install them (sudo apt-get install ${packages[*]}) to run these tests" >&2
else
    need_packages "${packages[@]}"
fi
[ "${1:-}" != --install ] || exit 0

# Root on a machine with packages can run every test, so no test may be skipped.
if can_install; then
    export OVERLAY_NO_SKIP=1
fi

say "Interoperation"
program=$(cargo test "${everything[@]}" --test interop --no-run --quiet --message-format=json |
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4)
[ -n "$program" ] || die "cargo named no test program"

# Runs in its own mount namespace, so that all mounts end with the process.
enter=()
if unshare --mount true 2>/dev/null; then
    enter=(unshare --mount --propagation private)
fi
"${enter[@]}" "$program" --nocapture "$@"
