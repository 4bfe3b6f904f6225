#!/usr/bin/env bash
# Adds to the cross toolchain the source of the compiler's standard library, so that cargo can build that along with a program: compiled as
# the program is, and without what no firmware uses. Debian has it for the compiler's own version.
#
#   deploy/cross/std.sh [FOLDER]      default: target/cross, made by toolchain.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/cross/debian.sh
folder=$(realpath --canonicalize-missing "${1:-target/cross}")
[ -e "$folder/complete" ] || { echo "no toolchain in $folder: run deploy/cross/toolchain.sh first"; exit 1; }

debian_complete "$folder/std" deploy/cross/std.sh deploy/cross/debian.sh && exit 0
debian_host
mkdir -p "$folder/std"

echo "cross toolchain: downloading the standard library's source"
debian_begin "$folder/std" bookworm
debian_only "$folder/std/debs" rust-web-src
# The compiler's own source is in it, too, and ten times as long.
version=$("$folder/bin/rustc-cross" --version | cut -d ' ' -f 2)
source=./usr/src/rustc-$version/library
dpkg-deb --fsys-tarfile "$folder"/std/debs/*.deb | tar --extract --directory "$folder/std" --strip-components 4 "$source" ||
    debian_fail "Debian has no source of the standard library of $version"
# Where cargo looks for it.
mkdir -p "$folder/root/usr/lib/rustlib/src/rust"
ln --symbolic --force --no-dereference ../../../../../../std/library "$folder/root/usr/lib/rustlib/src/rust/library"

rm -rf "$folder/std/debs" "$folder/std/apt"
debian_done "$folder/std" deploy/cross/std.sh deploy/cross/debian.sh
echo "cross toolchain: the standard library can be built along"
