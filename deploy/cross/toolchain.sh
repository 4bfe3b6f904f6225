#!/usr/bin/env bash
# Makes a cross toolchain for ARMv7 and ARM64 from Debian's packages, from nothing, in one private folder.
#
#   deploy/cross/toolchain.sh [FOLDER]      default: target/cross
#
# rustup's own standard libraries for ARM are not needed: Debian trixie ships `rustc-web` with a `libstd-rust-web-dev` for armhf
# and arm64 of the same version. That compiler is unpacked, not installed, and runs through its own dynamic loader; cargo
# stays the host's. Linkers and C libraries come from the host's own Debian release.
#
# Leaves FOLDER/bin/{rustc-cross,qemu-arm,qemu-aarch64} and FOLDER/env, which deploy/cross/cargo.sh reads.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath --canonicalize-missing "${1:-target/cross}")
suite=trixie

if [ -e "$folder/complete" ]; then
    exit 0
fi

say() { echo "cross toolchain: $*"; }

# The mirror this machine already uses, in either of apt's two formats.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep --max-count 1 '/debian/\?$' || true)
[ -n "$mirror" ] || { say "no Debian mirror in this machine's apt sources; add one and run 'apt-get update'"; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || { say "$keyring is missing; install debian-archive-keyring"; exit 1; }

say "installing linkers and C libraries of the host's release"
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --quiet --no-install-recommends \
    gcc-arm-linux-gnueabihf gcc-aarch64-linux-gnu libc6-dev-armhf-cross libc6-dev-arm64-cross >/dev/null

# An apt of our own, so that the host's sources and state stay as they are.
apt_root=$folder/apt
mkdir -p "$apt_root"/{etc/parts,etc/preferences.d,state/lists/partial,cache/archives/partial} "$folder"/{bin,debs,root}
: >"$apt_root/state/status"
cat >"$apt_root/etc/sources.list" <<LIST
deb [arch=amd64,armhf,arm64 signed-by=$keyring] $mirror $suite main
LIST
cat >"$apt_root/apt.conf" <<CONF
Dir::Etc "$apt_root/etc";
Dir::Etc::sourcelist "$apt_root/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "$apt_root/etc/parts";
Dir::Etc::preferencesparts "$apt_root/etc/preferences.d";
Dir::State "$apt_root/state";
Dir::State::status "$apt_root/state/status";
Dir::Cache "$apt_root/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "armhf"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
export APT_CONFIG=$apt_root/apt.conf
say "reading $suite's index"
apt-get update --quiet >/dev/null

say "downloading the compiler, the two standard libraries and qemu-user"
(
    cd "$folder/debs"
    # The closure of dependencies, as apt itself would install them on an empty machine.
    apt-get install --yes --quiet --no-install-recommends --download-only \
        --option Dir::Cache::archives="$folder/debs/" rustc-web qemu-user >/dev/null
    apt-get download --quiet libstd-rust-web-dev:armhf libstd-rust-web-dev:arm64 >/dev/null
)
unset APT_CONFIG

say "unpacking"
for package in "$folder"/debs/*.deb; do
    dpkg-deb --extract "$package" "$folder/root"
done

loader=$folder/root/usr/lib64/ld-linux-x86-64.so.2
[ -e "$loader" ] || loader=$folder/root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
libraries=$folder/root/usr/lib/x86_64-linux-gnu
cat >"$folder/bin/rustc-cross" <<WRAPPER
#!/bin/sh
exec $loader --library-path $libraries --argv0 rustc $folder/root/usr/bin/rustc --sysroot $folder/root/usr "\$@"
WRAPPER
for machine in arm aarch64; do
    cat >"$folder/bin/qemu-$machine" <<WRAPPER
#!/bin/sh
exec $loader --library-path $libraries --argv0 qemu-$machine $folder/root/usr/bin/qemu-$machine "\$@"
WRAPPER
done
chmod +x "$folder"/bin/*

"$folder/bin/rustc-cross" --version
rm -rf "$folder/debs" "$apt_root"
touch "$folder/complete"
say "ready in $folder ($(du --summarize --human-readable "$folder" | cut -f1))"
