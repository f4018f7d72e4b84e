#!/usr/bin/env bash
# Times the copy-up of a file of 1 GiB against `cp`, on tmpfs, ext4, btrfs and xfs. The latter two share
# the data of files, so the copy takes constant time. The filesystems are made in image files and mounted,
# which requires root. A filesystem that cannot be mounted is skipped, and the reason printed.
#
# usage: scripts/copy-up.sh [MIB]
. "$(dirname "$0")/lib.sh"

mib=${1:-1024}
scratch=$(mktemp -d)
trap 'umount "$scratch"/*/ 2>/dev/null; rm -rf "$scratch"' EXIT

missing=()
command -v mkfs.xfs >/dev/null || missing+=(xfsprogs)
command -v mkfs.btrfs >/dev/null || missing+=(btrfs-progs)
command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
need_packages "${missing[@]}"

copy() { # directory, and environment of the test
    env OVERLAY_COPY_MIB="$mib" OVERLAY_COPY_DIR="$1" "${@:2}" \
        cargo test --locked -q -p wasi-overlay-core --all-features --test exhaustion \
        -- --nocapture a_large_file_is_copied | grep copy-up
}

on() { # filesystem, and environment of the test
    local at=$scratch/$1 why
    mkdir "$at"
    truncate -s $((3 * mib + 512))M "$at.img"
    "mkfs.$1" -q "$at.img" >/dev/null
    if ! why=$(mount -o loop "$at.img" "$at" 2>&1); then
        echo "$1: skipped: $why"
        return
    fi
    printf '%s: ' "$1"
    copy "$at" "${@:2}"
    umount "$at"
    rm "$at.img"
}

printf 'tmpfs: '
copy /dev/shm
on ext4
on btrfs OVERLAY_COPY_SHARES=1
on xfs OVERLAY_COPY_SHARES=1
