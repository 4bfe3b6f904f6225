#!/bin/sh
# Last changes to the target's files, and what must hold of every image.
set -eu
target="$1"

mkdir -p "$target/data"
# Keys of the owner and of the host are kept over updates.
rm -rf "$target/root/.ssh" "$target/etc/dropbear"
ln -s /data/ssh/root "$target/root/.ssh"
ln -s /data/ssh/host "$target/etc/dropbear"

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
