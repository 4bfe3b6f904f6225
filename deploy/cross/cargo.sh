#!/usr/bin/env bash
# Runs cargo for an ARM target with the toolchain that toolchain.sh made:
#
#   deploy/cross/cargo.sh armv7|arm64 COMMAND [ARGUMENT ...]
#
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
*)
    echo "usage: deploy/cross/cargo.sh armv7|arm64 COMMAND [ARGUMENT ...]"; exit 2 ;;
esac
command=${2:?a cargo command, as build or test}
shift 2

name=${target//-/_}
name=${name^^}
export RUSTC=$folder/bin/rustc-cross
export "CARGO_TARGET_${name}_LINKER=$linker"
export "CARGO_TARGET_${name}_RUNNER=${CROSS_RUNNER:-$folder/bin/$emulator}"
exec cargo "$command" --target "$target" --target-dir "${CROSS_TARGET_DIR:-target/cross-build}" "$@"
