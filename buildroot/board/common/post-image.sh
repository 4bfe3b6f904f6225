#!/bin/sh
# Assembles the medium and tells what the image takes.
set -eu
configuration="$2"

support/scripts/genimage.sh -c "$configuration"
for file in "$BINARIES_DIR"/rootfs.squashfs "$BINARIES_DIR"/*mage; do
	if [ -f "$file" ]; then
		printf '%10s bytes  %s\n' "$(wc -c <"$file")" "$(basename "$file")"
	fi
done
