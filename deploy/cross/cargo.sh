#!/usr/bin/env bash
# Runs cargo for an ARM target with the toolchain that toolchain.sh made:
#
#   deploy/cross/cargo.sh armv7|arm64|armv7-musl|arm64-musl COMMAND [ARGUMENT ...]
#
# The last two give static programs, and need what musl.sh adds to the toolchain. They have the standard library built along (std.sh),
# and so have the first two with CROSS_STD=own, which is for firmware: a program that unwinds needs the library as Debian has built it.
# Tests and programs that cargo runs go through qemu-user, or through $CROSS_RUNNER.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath "${CROSS_TOOLCHAIN:-target/cross}")
[ -e "$folder/complete" ] || { echo "no toolchain in $folder: run deploy/cross/toolchain.sh first"; exit 1; }

case "${1:-}" in
armv7)
    target=armv7-unknown-linux-gnueabihf linker=arm-linux-gnueabihf-gcc emulator="qemu-arm -L /usr/arm-linux-gnueabihf" ;;
arm64)
    target=aarch64-unknown-linux-gnu linker=aarch64-linux-gnu-gcc emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu" ;;
armv7-musl)
    target=armv7-unknown-linux-musleabihf linker=arm-linux-gnueabihf-gcc emulator=qemu-arm
    headers=$folder/musl/armhf/usr/include/arm-linux-musleabihf ;;
arm64-musl)
    target=aarch64-unknown-linux-musl linker=aarch64-linux-gnu-gcc emulator=qemu-aarch64
    headers=$folder/musl/arm64/usr/include/aarch64-linux-musl ;;
*)
    echo "usage: deploy/cross/cargo.sh armv7|arm64|armv7-musl|arm64-musl COMMAND [ARGUMENT ...]"; exit 2 ;;
esac
command=${2:?a cargo command, as build or test}
shift 2

name=${target//-/_}
if [ -n "${headers:-}" ]; then
    [ -e "$folder/musl/complete" ] || { echo "no musl in $folder: run deploy/cross/musl.sh first"; exit 1; }
    export "CC_$name=$linker" "CFLAGS_$name=-isystem $headers -fno-stack-protector -U_FORTIFY_SOURCE"
    CROSS_STD=own
fi
if [ "${CROSS_STD:-}" = own ]; then
    [ -e "$folder/std/complete" ] || { echo "no source of the standard library in $folder: run deploy/cross/std.sh first"; exit 1; }
    # Building the standard library is no stable feature of cargo. Of its features, one is wanted: none prints the functions that led to
    # a panic, which a stripped program without unwind tables cannot name anyhow. Where it was, a panic tells all the same.
    export RUSTC_BOOTSTRAP=1
    set -- -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size "$@"
fi
name=${name^^}
export RUSTC=$folder/bin/rustc-cross
export "CARGO_TARGET_${name}_LINKER=$linker"
export "CARGO_TARGET_${name}_RUNNER=${CROSS_RUNNER:-$folder/bin/$emulator}"
exec cargo "$command" --target "$target" --target-dir "${CROSS_TARGET_DIR:-target/cross-build}" "$@"
