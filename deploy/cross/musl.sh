#!/usr/bin/env bash
# Adds to the cross toolchain what static programs take besides the source of the standard library (std.sh), which nobody packages built
# for musl: musl of both processors.
#
#   deploy/cross/musl.sh [FOLDER]      default: target/cross, made by toolchain.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/cross/debian.sh
folder=$(realpath --canonicalize-missing "${1:-target/cross}")
[ -e "$folder/complete" ] || { echo "no toolchain in $folder: run deploy/cross/toolchain.sh first"; exit 1; }

debian_complete "$folder/musl" deploy/cross/musl.sh deploy/cross/debian.sh && exit 0
debian_host
mkdir -p "$folder/musl"

echo "cross toolchain: downloading musl"
debian_begin "$folder/musl" trixie
for processor in armhf arm64; do
    debian_only "$folder/musl/debs/$processor" "musl-dev:$processor"
    debian_unpack "$folder/musl/debs/$processor" "$folder/musl/$processor"
done

# Where the compiler looks for what a static program begins and ends with. Unwinding is the host compiler's, which asks glibc for an
# index of tables that musl does not have: "none" is a true answer, and firmware aborts instead of unwinding.
own() { # own TARGET MUSL COMPILER
    local into=$folder/root/usr/lib/rustlib/$1/lib/self-contained name
    mkdir -p "$into"
    cp "$2"/{crt1.o,Scrt1.o,rcrt1.o,crti.o,crtn.o,libc.a} "$into/"
    for name in crtbegin.o crtend.o crtbeginS.o crtendS.o libgcc.a; do
        cp "$("$3" -print-file-name="$name")" "$into/"
    done
    cp "$("$3" -print-file-name=libgcc_eh.a)" "$into/libunwind.a"
    echo 'int _dl_find_object(void *address, void *result) { (void)address; (void)result; return -1; }' |
        "$3" -Os -fno-stack-protector -x c -c -o "$into/find.o" -
    "${3%gcc}ar" r "$into/libunwind.a" "$into/find.o" 2>/dev/null
    rm "$into/find.o"
}
own armv7-unknown-linux-musleabihf "$folder/musl/armhf/usr/lib/arm-linux-musleabihf" arm-linux-gnueabihf-gcc
own aarch64-unknown-linux-musl "$folder/musl/arm64/usr/lib/aarch64-linux-musl" aarch64-linux-gnu-gcc

rm -rf "$folder/musl/debs" "$folder/musl/apt"
debian_done "$folder/musl" deploy/cross/musl.sh deploy/cross/debian.sh
echo "cross toolchain: static programs can be built"
