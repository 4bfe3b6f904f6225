#!/usr/bin/env bash
# Prints the RUSTFLAGS of a firmware build:
#
#   deploy/firmware/rustflags.sh [x86-64|armv7|arm64|armv7-musl|arm64-musl]
#
# Equal functions are kept once, relocations are packed (needs glibc 2.36 or musl 1.2.4 to load), unwind tables go. x86-64 is linked by
# rustc's own lld, the others by the toolchain's. ARMv7 code is Thumb-2, which takes a quarter less room; rustc 1.85 warns that the feature's
# name may change. What stands in many functions there becomes one of its own, as is LLVM's habit for small ARM64 code anyway; it hardly
# finds such in what hashes, which .ci/instructions.sh holds to its limits.
set -euo pipefail
toolchain=$(realpath --canonicalize-missing "${CROSS_TOOLCHAIN:-$(dirname "$0")/../../target/cross}")
cd "$(dirname "$0")"
common="-Clink-arg=-Wl,--icf=all -Clink-arg=-Wl,-z,pack-relative-relocs \
-Clink-arg=-Wl,-T,$PWD/discard-unwind-tables.ld -Clink-arg=-Wl,--no-eh-frame-hdr"
# Panics tell where they were: of other crates and the standard library no path of the machine that has built it. Cargo keeps each
# registry's crates in a folder of its own, which is there once one was fetched.
for registry in "${CARGO_HOME:-${HOME:-}/.cargo}"/registry/src/*/; do
    [ ! -d "$registry" ] || common+=" --remap-path-prefix=${registry%/}="
done
std=root/usr/lib/rustlib/src/rust
arm="--remap-path-prefix=$toolchain/$std=rust --remap-path-prefix=target/cross/$std=rust -Clink-arg=-fuse-ld=lld -Clink-arg=-B$toolchain/lld -Cforce-unwind-tables=no"
thumb="-Ctarget-feature=+thumb-mode -Cllvm-args=-enable-machine-outliner=always"
case "${1:-x86-64}" in
x86-64) echo "$common -Clink-arg=-s" ;;
armv7) echo "$common $arm $thumb" ;;
arm64 | arm64-musl) echo "$common $arm" ;;
# A static program finds its unwind tables by these names, and it has none.
armv7-musl) echo "$common $arm $thumb -Clink-arg=-Wl,--defsym=__exidx_start=0,--defsym=__exidx_end=0" ;;
*) echo "usage: deploy/firmware/rustflags.sh [x86-64|armv7|arm64|armv7-musl|arm64-musl]" >&2; exit 2 ;;
esac
