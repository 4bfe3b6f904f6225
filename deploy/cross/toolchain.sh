#!/usr/bin/env bash
# Makes a cross toolchain for ARMv7 and ARM64 from Debian's packages, from nothing, in one private folder.
#
#   deploy/cross/toolchain.sh [FOLDER]      default: target/cross
#
# rustup's own standard libraries for ARM are not needed: Debian ships `rustc-web` with a `libstd-rust-web-dev` for armhf and arm64 of
# the same version. That compiler is unpacked, not installed, and runs through its own dynamic loader; cargo stays the
# host's. Linkers and C libraries come from the host's own Debian release.
#
# The compiler is bookworm's 1.85, the oldest that the project promises to build with. The 1.96 of trixie is no choice: its
# library for armhf reads numbers with the registers d16 to d31, which the target does not promise, and every program that does so
# dies on processors without NEON.
#
# Leaves FOLDER/bin/{rustc-cross,qemu-arm,qemu-aarch64}, which deploy/cross/cargo.sh uses, and FOLDER/lld for deploy/firmware/rustflags.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/cross/debian.sh
folder=$(realpath --canonicalize-missing "${1:-target/cross}")

debian_complete "$folder" deploy/cross/toolchain.sh deploy/cross/debian.sh && exit 0
debian_host

say() { echo "cross toolchain: $*"; }

say "installing linkers and C libraries of the host's release"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet >/dev/null
# The host's own compiler is for build scripts, and for what of a dependency is C.
apt-get install --yes --quiet --no-install-recommends make gcc libc6-dev \
    gcc-arm-linux-gnueabihf gcc-aarch64-linux-gnu libc6-dev-armhf-cross libc6-dev-arm64-cross >/dev/null
# One linker for all targets, where a cross compiler looks when it is told so. bookworm's own lld, 14, packs relocations without
# naming what loads them.
apt-get install --yes --quiet --no-install-recommends lld-16 >/dev/null 2>&1 ||
    apt-get install --yes --quiet --no-install-recommends lld >/dev/null
mkdir -p "$folder/lld"
ln --symbolic --force "$(command -v ld.lld-16 || command -v ld.lld)" "$folder/lld/ld.lld"

say "downloading the compiler and its two standard libraries"
mkdir -p "$folder/bin"
debian_begin "$folder" bookworm
debian_closure "$folder/debs/compiler" rustc-web
debian_only "$folder/debs/compiler" libstd-rust-web-dev:armhf libstd-rust-web-dev:arm64

say "downloading qemu-user"
debian_begin "$folder" trixie
debian_closure "$folder/debs/qemu" qemu-user

say "unpacking"
debian_unpack "$folder/debs/compiler" "$folder/root"
debian_unpack "$folder/debs/qemu" "$folder/qemu"
debian_wrap "$folder/root" rustc "$folder/bin/rustc-cross" --sysroot "$folder/root/usr"
debian_wrap "$folder/qemu" qemu-arm "$folder/bin/qemu-arm"
debian_wrap "$folder/qemu" qemu-aarch64 "$folder/bin/qemu-aarch64"

"$folder/bin/rustc-cross" --version
rm -rf "$folder/debs" "$folder/apt"
debian_done "$folder" deploy/cross/toolchain.sh deploy/cross/debian.sh
say "ready in $folder ($(du --summarize --human-readable "$folder" | cut -f1))"
