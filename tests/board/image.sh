#!/usr/bin/env bash
# Assembles the initial file system, and for ARMv7 the device tree, of an emulated control board around a daemon.
#
#   tests/board/image.sh armv7|arm64 BINARY SETTINGS OUTPUT
#
# SETTINGS is a folder that becomes /etc/cgminer-rs. Leaves OUTPUT/{kernel,initramfs.gz,board.dtb}. Needs tests/board/setup.sh to
# have run.
set -euo pipefail
architecture=$1 binary=$(realpath "$2") settings=$(realpath "$3") output=$(realpath --canonicalize-missing "$4")
cd "$(dirname "$0")/../.."
folder=$(realpath "${BOARD_TOOLS:-target/board}")
[ -e "$folder/complete" ] || { echo "nothing in $folder: run tests/board/setup.sh first"; exit 1; }

common="i2c-dev ext4 overlay vhci-hcd i2c-tiny-usb"
case $architecture in
armv7)
    triplet=arm-linux-gnueabihf loader=lib/ld-linux-armhf.so.3 console=ttyS4
    wanted="i2c-aspeed at24 gpio-aspeed mdio-aspeed realtek ftgmac100 leds-gpio pwm-bcm2835 pwm-fan sdhci-of-aspeed $common" ;;
arm64)
    triplet=aarch64-linux-gnu loader=lib/ld-linux-aarch64.so.1 console=ttyAMA0
    wanted="virtio_blk virtio_net i6300esb $common" ;;
*)
    echo "usage: tests/board/image.sh armv7|arm64 BINARY SETTINGS OUTPUT"; exit 2 ;;
esac

kernel=$folder/kernel-$architecture target=$folder/target-$architecture
release=$(ls "$kernel/usr/lib/modules")
modules=$kernel/usr/lib/modules/$release
mkdir -p "$output"
cp "$kernel/boot/vmlinuz-$release" "$output/kernel"

if [ "$architecture" = armv7 ]; then
    dtc -q -I dtb -O dts -o "$output/base.dts" "$kernel/usr/lib/linux-image-$release/aspeed-ast2600-evb.dtb"
    python3 tests/board/device_tree.py "$output/base.dts" >"$output/board.dts"
    dtc -q -@ -I dts -O dtb -o "$output/board.dtb" "$output/board.dts"
fi

root=$output/root
rm -rf "$root"
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/lib,lib,etc/{cgminer-rs,default,init.d},var,proc,sys,dev,run,tmp,root,data}
ln -s /run "$root/var/run"
cp "$target/usr/bin/busybox" "$target/usr/bin/bash" "$root/bin/"
for library in libc.so.6 libm.so.6 libgcc_s.so.1 libtinfo.so.6; do
    cp --dereference "$target/usr/lib/$triplet/$library" "$root/usr/lib/"
done
cp --dereference "$target/usr/$loader" "$root/$loader"
install -D -m 0755 "$binary" "$root/usr/bin/cgminer-rs"
install -m 0640 "$settings"/*.toml "$root/etc/cgminer-rs/"
install -m 0755 tests/board/guest/init "$root/init"
install -m 0755 buildroot/board/common/rootfs_overlay/sbin/{preinit,fans-full} "$root/sbin/"
wiring=$settings/board.toml
[ -e "$wiring" ] || wiring=board/boards/qemu-ast2600.toml
buildroot/board/common/fans.sh "$wiring" >"$root/etc/cgminer-rs/fans"
# An output without a fan, so that the kernel's other way to one is gone, too.
[ "$architecture" != armv7 ] || echo "sysfs pwmchip0 1 40000 normal" >>"$root/etc/cgminer-rs/fans"
install -m 0755 buildroot/package/cgminer-rs/S05cgminer-rs tests/board/guest/S01outside tests/image/guest/rcS tests/image/guest/rcK "$root/etc/init.d/"
sed "s/CONSOLE/$console/" tests/board/guest/inittab >"$root/etc/inittab"
echo "export PS1='BOARD# '" >"$root/etc/profile"
install -m 0644 tests/board/guest/attach-usbip tests/board/guest/eeprom.bin "$root/etc/"
printf '%s\n' root:x:0:0:root:/root:/bin/sh cgminer:x:200:200::/:/bin/false >"$root/etc/passwd"
printf '%s\n' root:x:0: tty:x:5: dialout:x:20:cgminer cgminer:x:200: >"$root/etc/group"

tree=$output/modules
mkdir -p "$tree/lib/modules" "$root/lib/modules/$release"
ln -sfn "$modules" "$tree/lib/modules/$release"
depmod --basedir "$tree" "$release"
for module in $wanted; do
    modprobe --dirname "$tree" --set-version "$release" --show-depends "$module" | awk '/^insmod/ {print $2}'
done | sort -u | while read -r file; do
    xz --decompress --stdout "$file" >"$root/lib/modules/$release/$(basename "${file%.xz}")"
done
cp "$modules"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$release/"
depmod --basedir "$root" "$release"
echo "$wanted" >"$root/etc/modules"

(cd "$root" && find . | cpio --create --format newc --owner 0:0 --quiet | gzip -1) >"$output/initramfs.gz"
du --human-readable "$output/initramfs.gz"
