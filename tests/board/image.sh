#!/usr/bin/env bash
# Assembles the emulated board's device tree and initial file system around a daemon that was built for ARMv7.
#
#   tests/board/image.sh BINARY CONFIG OUTPUT
#
# Leaves OUTPUT/{board.dtb,initramfs.gz,kernel}. Needs tests/board/setup.sh to have run.
set -euo pipefail
binary=$(realpath "$1") config=$(realpath "$2") output=$(realpath --canonicalize-missing "$3")
cd "$(dirname "$0")/../.."
folder=$(realpath "${BOARD_TOOLS:-target/board}")
[ -e "$folder/complete" ] || { echo "nothing in $folder: run tests/board/setup.sh first"; exit 1; }

release=$(ls "$folder/kernel/usr/lib/modules")
modules=$folder/kernel/usr/lib/modules/$release
mkdir -p "$output"
cp "$folder/kernel/boot/vmlinuz-$release" "$output/kernel"

dtc -q -I dtb -O dts -o "$output/base.dts" "$folder/kernel/usr/lib/linux-image-$release/aspeed-ast2600-evb.dtb"
python3 tests/board/device_tree.py "$output/base.dts" >"$output/board.dts"
dtc -q -@ -I dts -O dtb -o "$output/board.dtb" "$output/board.dts"

root=$output/root
rm -rf "$root"
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/lib,lib,etc/{cgminer-rs,default},var,proc,sys,dev,run,tmp,root,data}
cp "$folder/target/usr/bin/busybox" "$folder/target/usr/bin/bash" "$root/bin/"
for library in libc.so.6 libm.so.6 libgcc_s.so.1 libtinfo.so.6; do
    cp --dereference "$folder/target/usr/lib/arm-linux-gnueabihf/$library" "$root/usr/lib/"
done
cp --dereference "$folder/target/usr/lib/ld-linux-armhf.so.3" "$root/lib/"
install -D -m 0755 "$binary" "$root/usr/bin/cgminer-rs"
install -m 0640 "$config" "$root/etc/cgminer-rs/cgminer-rs.toml"
install -m 0755 tests/board/guest/init "$root/init"
install -D -m 0755 buildroot/package/cgminer-rs/S05cgminer-rs "$root/etc/init.d/S05cgminer-rs"
install -m 0644 tests/board/guest/attach-usbip tests/board/guest/eeprom.bin "$root/etc/"
printf '%s\n' root:x:0:0:root:/root:/bin/sh cgminer:x:200:200::/:/bin/false >"$root/etc/passwd"
printf '%s\n' root:x:0: dialout:x:20:cgminer cgminer:x:200: >"$root/etc/group"

wanted="i2c-aspeed i2c-dev at24 gpio-aspeed mdio-aspeed realtek ftgmac100 leds-gpio pwm-bcm2835 pwm-fan
    sdhci-of-aspeed ext4 vhci-hcd i2c-tiny-usb"
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
