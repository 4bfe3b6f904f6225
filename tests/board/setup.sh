#!/usr/bin/env bash
# Fetches what the emulated control boards need: QEMU's ARM machines, Debian's kernels for ARMv7 and ARM64, and a few programs for each.
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

say "downloading QEMU, two kernels and a few programs for them"
debian_closure "$folder/debs/host" qemu-system-arm
debian_only "$folder/debs/kernel-armv7" "$(debian_meaning linux-image-armmp:armhf)"
debian_only "$folder/debs/kernel-arm64" "$(debian_meaning linux-image-arm64:arm64)"
for architecture in armhf:armv7 arm64:arm64; do
    from=${architecture%:*}
    debian_only "$folder/debs/target-${architecture#*:}" "busybox-static:$from" "bash:$from" "libtinfo6:$from" "libc6:$from" "libgcc-s1:$from"
done

say "unpacking"
debian_unpack "$folder/debs/host" "$folder/root"
for part in kernel-armv7 kernel-arm64 target-armv7 target-arm64; do
    debian_unpack "$folder/debs/$part" "$folder/$part"
done
for program in qemu-system-arm qemu-system-aarch64; do
    debian_wrap "$folder/root" "$program" "$folder/bin/$program" -L "$folder/root/usr/share/qemu"
done

"$folder/bin/qemu-system-arm" --version | head -n 1
rm -rf "$folder/debs" "$folder/apt"
debian_done "$folder" tests/board/setup.sh deploy/cross/debian.sh
say "ready in $folder ($(du --summarize --human-readable "$folder" | cut -f1))"
