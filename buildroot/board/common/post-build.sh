#!/bin/sh
# Last changes to the target's files, and what must hold of every image.
set -eu
target="$1"
# Second of the defconfig's arguments, which come behind Buildroot's own: the board that a bundle must be made for. Boards without one
# have no boot loader of ours, so no slots.
board="${3:-}"
here="$(dirname "$0")"

mkdir -p "$target/data" "$target/mnt"
# Keys of the owner and of the host are kept over updates.
rm -rf "$target/root/.ssh" "$target/etc/dropbear"
ln -s /data/ssh/root "$target/root/.ssh"
ln -s /data/ssh/host "$target/etc/dropbear"

# Slots and their updater, on boards whose boot loader knows of slots.
if [ -n "$board" ]; then
	mkdir -p "$target/etc/rauc"
	mkdir -p "$target/boot"
	"${HOST_DIR:+$HOST_DIR/bin/}mkimage" -T script -C none -d "$here/../$board/kernel.cmd" "$target/boot/kernel.scr" >/dev/null
	sed "s/@BOARD@/$board/" "$here/rauc-system.conf" >"$target/etc/rauc/system.conf"
	if [ ! -s "$target/etc/rauc/keyring.pem" ]; then
		echo "post-build: no certificate in etc/rauc/keyring.pem, so no update could ever be installed; docs/firmware.md tells how to make one" >&2
		exit 1
	fi
fi
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../../Cargo.toml" | head -n 1)"
touch "$target/etc/os-release"
sed -i '/^IMAGE_/d' "$target/etc/os-release"
printf 'IMAGE_ID=cgminer-rs\nIMAGE_VERSION=%s\n' "$version" >>"$target/etc/os-release"

# Earlier than this it cannot be when the image runs.
echo "${SOURCE_DATE_EPOCH:-$(date +%s)}" >"$target/etc/build-time"

# No account of an image has a password: one that ships is one that everybody knows.
if cut -d : -f 2 "$target/etc/shadow" | grep -qv '^[*!]*$'; then
	echo "post-build: an account has a password, or an empty one" >&2
	exit 1
fi
# Nothing in the root may be written to by others or run as somebody else.
found="$(find "$target" -xdev \( -type f -perm /6000 -o -type f -perm -0002 \) ! -path "$target/bin/busybox")"
if [ -n "$found" ]; then
	printf 'post-build: set-user or writable by all:\n%s\n' "$found" >&2
	exit 1
fi
