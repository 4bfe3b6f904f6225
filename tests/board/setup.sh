#!/usr/bin/env bash
# Fetches what the emulated control board needs: QEMU's ARM machines, Debian's kernel for ARMv7, and a few programs of armhf.
#
#   tests/board/setup.sh [FOLDER]      default: target/board
#
# Everything is unpacked into FOLDER; nothing but small tools is installed on the host.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/cross/debian.sh
folder=$(realpath --canonicalize-missing "${1:-target/board}")

debian_complete "$folder" tests/board/setup.sh deploy/cross/debian.sh && exit 0
debian_host

say() { echo "board: $*"; }

say "installing the device-tree compiler and what packs an image"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet >/dev/null
apt-get install --yes --quiet --no-install-recommends \
    device-tree-compiler kmod cpio xz-utils e2fsprogs python3 >/dev/null

mkdir -p "$folder/bin"
debian_begin "$folder" trixie

say "downloading QEMU, the kernel and armhf programs"
debian_closure "$folder/debs/host" qemu-system-arm
debian_only "$folder/debs/kernel" "$(debian_meaning linux-image-armmp:armhf)"
debian_only "$folder/debs/target" busybox-static:armhf bash:armhf libtinfo6:armhf libc6:armhf libgcc-s1:armhf

say "unpacking"
debian_unpack "$folder/debs/host" "$folder/root"
debian_unpack "$folder/debs/kernel" "$folder/kernel"
debian_unpack "$folder/debs/target" "$folder/target"
debian_wrap "$folder/root" qemu-system-arm "$folder/bin/qemu-system-arm" -L "$folder/root/usr/share/qemu"

"$folder/bin/qemu-system-arm" --version | head -n 1
rm -rf "$folder/debs" "$folder/apt"
debian_done "$folder" tests/board/setup.sh deploy/cross/debian.sh
say "ready in $folder ($(du --summarize --human-readable "$folder" | cut -f1))"
