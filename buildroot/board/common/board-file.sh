#!/bin/sh
# Puts a board file into the image, in place of the compiled-in one of the same name: lines, outputs and ports are called there as the
# maker's kernel does, and here as this image's device tree does.
#
#   board-file.sh TARGET NAME LINES.SED
set -eu
target="$1"
name="$2"
lines="$3"
boards="$(dirname "$0")/../../../board/boards"

mkdir -p "$target/etc/cgminer-rs/boards"
sed -f "$lines" "$boards/$name.toml" >"$target/etc/cgminer-rs/boards/$name.toml"
# A number is the maker's kernel's, and nothing else could be meant by it here.
if grep -q 'number = ' "$target/etc/cgminer-rs/boards/$name.toml"; then
	echo "board-file: $lines does not name every line of $name.toml" >&2
	exit 1
fi
# What drives the fans before anything can read that file.
"$(dirname "$0")/fans.sh" "$target/etc/cgminer-rs/boards/$name.toml" >"$target/etc/cgminer-rs/fans"
if [ ! -s "$target/etc/cgminer-rs/fans" ]; then
	echo "board-file: $name.toml names no fan that could be driven before the keeper" >&2
	exit 1
fi
