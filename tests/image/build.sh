#!/usr/bin/env bash
# Builds bootable disks and signed bundles for QEMU's `virt` board out of the same overlay, scripts and boot loader options that the
# Buildroot tree has, with Debian's tools and programs in Buildroot's place.
#
#   tests/image/build.sh BINARY OUTPUT
#
# Leaves OUTPUT/{disk.img,u-boot.bin,root-1.0.0.squashfs,new.raucb ...}; the data partition of the disk holds the bundles, too. Needs tests/image/setup.sh
# to have run.
set -euo pipefail
binary=$(realpath "$1") output=$(realpath --canonicalize-missing "$2")
cd "$(dirname "$0")/../.."
tools=$(realpath "${IMAGE_TOOLS:-target/image-tools}")
[ -e "$tools/complete" ] || { echo "nothing in $tools: run tests/image/setup.sh first"; exit 1; }
common=buildroot/board/common package=buildroot/package/cgminer-rs guest=tests/image/guest
slot_megabytes=80

rm -rf "$output"
mkdir -p "$output"
cp "$tools/u-boot.bin" "$output/"

# --- keys: an authority of this run alone, and one that the image does not know
keys=$output/keys
mkdir "$keys"
for name in ours foreign; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$name" \
        -keyout "$keys/$name.key" -out "$keys/$name.pem" 2>/dev/null
done

# --- first file system: the modules that the kernel cannot mount its root without
release=$(ls "$tools/kernel/usr/lib/modules")
modules=$output/modules
mkdir -p "$modules/lib/modules" "$output/initrd"/{bin,sbin,usr/bin,usr/sbin,dev,proc,sys,root,modules}
ln -s "$tools/kernel/usr/lib/modules/$release" "$modules/lib/modules/$release"
depmod --basedir "$modules" "$release"
for module in sdhci-pci mmc_block squashfs overlay ext4 loop sha2-ce dm-verity virtio_net softdog vfat nls_cp437 nls_ascii; do
    modprobe --dirname "$modules" --set-version "$release" --show-depends "$module" | awk '/^insmod/ {print $2}'
done | awk '!seen[$0]++' | while read -r file; do
    name=$(basename "${file%.xz}")
    xz --decompress --stdout "$file" >"$output/initrd/modules/$name"
    echo "$name"
done >"$output/initrd/modules/order"
cp "$tools/target/usr/bin/busybox" "$output/initrd/bin/"
install -m 0755 "$guest/initrd-init" "$output/initrd/init"
(cd "$output/initrd" && find . | cpio --create --format newc --owner 0:0 --quiet | gzip -1) >"$output/initrd.gz"

# --- root: Debian's programs where Buildroot's would be, and the project's own files
root=$output/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/lib,var/lib,var/log,proc,sys,dev,run,tmp,root,data,boot,etc/init.d,etc/cgminer-rs,etc/rauc}
cp "$tools/target/usr/bin/busybox" "$root/bin/"
for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s /bin/busybox "$root/bin/$applet"
done
ln -s /bin/busybox "$root/sbin/init"
ln -s /bin/busybox "$root/sbin/reboot"
ln -s /run "$root/var/run"
cp "$tools"/target/usr/bin/{rauc,dbus-daemon,fw_printenv,fw_setenv} "$root/usr/bin/"
# Of Debian's libraries those that these programs are linked to: each byte of an image is written and read many times here.
libraries=usr/lib/aarch64-linux-gnu
mkdir -p "$root/$libraries" "$root/lib"
bring() { # bring PROGRAM: all that it needs, and what that needs
    local name
    readelf --dynamic "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r name; do
        [ ! -e "$root/$libraries/$name" ] || continue
        cp --dereference "$tools/target/$libraries/$name" "$root/$libraries/$name"
        bring "$root/$libraries/$name"
    done
}
for program in "$binary" "$root"/usr/bin/*; do
    bring "$program"
done
ln -s "/$libraries/ld-linux-aarch64.so.1" "$root/lib/"
ln -s "/$libraries" "$root/lib/aarch64-linux-gnu"
mkdir -p "$root/usr/share/dbus-1/system.d"
cp "$tools/target/usr/share/dbus-1/system.d/"* "$root/usr/share/dbus-1/system.d/"
cat >"$root/usr/share/dbus-1/system.conf" <<'CONF'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
CONF
printf '%s\n' root:x:0:0:root:/root:/bin/sh cgminer:x:200:200::/:/bin/false >"$root/etc/passwd"
printf '%s\n' 'root:*:::::::' 'cgminer:*:::::::' >"$root/etc/shadow"
printf '%s\n' root:x:0: tty:x:5: dialout:x:20:cgminer cgminer:x:200: >"$root/etc/group"

cp --recursive "$common/rootfs_overlay/." "$root/"
cp "$tools/kernel/boot/vmlinuz-$release" "$root/boot/Image"
cp "$output/initrd.gz" "$root/boot/"
install -m 0755 "$binary" "$root/usr/bin/cgminer-rs"
install -m 0755 "$package/S05cgminer-rs" "$package/S95cgminer-rs-confirm" "$guest/rcS" "$guest/rcK" "$guest/S02rauc" "$root/etc/init.d/"
install -m 0644 "$guest/inittab" "$root/etc/inittab"
install -m 0640 "$guest/cgminer-rs.toml" "$root/etc/cgminer-rs/cgminer-rs.toml"
mkdir -p "$root/etc/default"
# shellcheck disable=SC2016 # the init script's own variable
echo 'CGMINER_RS_ARGS="$CGMINER_RS_ARGS --emulated --zero-bits 8 --machine /etc/cgminer-rs/machine.toml"' >"$root/etc/default/cgminer-rs"
# An emulated processor that emulates chips is slow: they hash little, so that everything else has its time.
sed 's/^core_share = .*/core_share = 0.05/' hal/emulator/machines/l7.toml >"$root/etc/cgminer-rs/machine.toml"
cp "$keys/ours.pem" "$root/etc/rauc/keyring.pem"
"$common/post-build.sh" "$root" - qemu

# --- one root and one bundle for each version; in the last one the daemon is a program that fails
pack() { # pack VERSION [FOLDER]
    sed --in-place "s/^IMAGE_VERSION=.*/IMAGE_VERSION=$1/" "$root/etc/os-release"
    rm -f "$output/root-$1.squashfs"
    # What an emulated processor unpacks most quickly.
    mksquashfs "${2:-$root}" "$output/root-$1.squashfs" -all-root -comp lz4 -Xhc -quiet -no-progress \
        -p "/etc/cgminer-rs m 750 0 200" -p "/etc/cgminer-rs/cgminer-rs.toml m 640 0 200" >/dev/null
}
bundle() { # bundle VERSION KEY NAME [VERSION OF THE ROOT]
    local work=$output/bundle
    rm -rf "$work"
    mkdir "$work"
    ln "$output/root-${4:-$1}.squashfs" "$work/rootfs.squashfs"
    sed "s/@VERSION@/$1/; s/@BOARD@/qemu/" "$common/rauc-manifest.in" >"$work/manifest.raucm"
    # What is packed already is not packed again.
    rauc --cert "$keys/$2.pem" --key "$keys/$2.key" bundle --mksquashfs-args="-noI -noD -noF -noX" \
        "$work" "$output/data/bundles/$3" >/dev/null 2>&1
    rm -rf "$work"
}
mkdir -p "$output/data/bundles"
for version in 1.0.0 1.1.0; do
    pack "$version"
done
# Nothing of the two that are refused is ever written, so they are small.
mkdir "$output/refused"
cp --recursive "$root/etc" "$output/refused/"
pack 0.9.0 "$output/refused"
printf '#!/bin/sh\nsleep 5\nexit 1\n' >"$root/usr/bin/daemon-that-fails"
chmod 755 "$root/usr/bin/daemon-that-fails"
# shellcheck disable=SC2016 # the init script's own variable
sed --in-place 's#/usr/bin/$DAEMON" -- run#/usr/bin/daemon-that-fails" -- run#' "$root/etc/init.d/S05cgminer-rs"
sed --in-place 's#firmware confirm$#firmware confirm --within 20#' "$root/etc/init.d/S95cgminer-rs-confirm"
pack 1.2.0
bundle 0.9.0 ours old.raucb
bundle 1.1.0 ours new.raucb
bundle 1.1.0 foreign foreign.raucb 0.9.0
bundle 1.2.0 ours broken.raucb

# --- medium: environment, boot partition, two slots, data
mkimage -T script -C none -d "$common/slots.cmd" "$output/boot.scr" >/dev/null
truncate --size 4M "$output/boot.vfat"
mkfs.vfat "$output/boot.vfat" >/dev/null
mcopy -i "$output/boot.vfat" "$output/boot.scr" ::boot.scr
# As an owner would set a fixed address without a shell.
printf 'auto eth0\niface eth0 inet static\n\taddress 10.0.2.15/24\n' >"$output/interfaces"
mcopy -i "$output/boot.vfat" "$output/interfaces" ::interfaces
rm "$output/interfaces"
truncate --size 256M "$output/data.ext4"
mkfs.ext4 -q -L data -d "$output/data" "$output/data.ext4"
truncate --size 512M "$output/disk.img"
sfdisk --quiet "$output/disk.img" <<PARTITIONS
label: dos
start=1MiB, size=4MiB, type=c, bootable
start=8MiB, size=${slot_megabytes}MiB, type=83
start=$((8 + slot_megabytes))MiB, size=${slot_megabytes}MiB, type=83
start=$((8 + 2 * slot_megabytes))MiB, size=256MiB, type=83
PARTITIONS
put() { # put FILE MEGABYTE
    [ "$(stat --dereference --format %s "$1")" -le $((slot_megabytes * 1024 * 1024)) ] || [ "$2" -ge $((8 + 2 * slot_megabytes)) ] ||
        { echo "$1 is larger than a slot"; exit 1; }
    dd if="$1" of="$output/disk.img" bs=1M seek="$2" conv=notrunc,sparse status=none
}
put "$output/boot.vfat" 1
put "$output/root-1.0.0.squashfs" 8
put "$output/data.ext4" $((8 + 2 * slot_megabytes))

# Those that are sent over the network.
cp "$output"/data/bundles/{new,foreign}.raucb "$output/"
rm -rf "$root" "$output/refused" "$output/initrd" "$modules" "$output/data" "$output"/{boot.vfat,data.ext4,boot.scr,initrd.gz}
ls -l "$output"
