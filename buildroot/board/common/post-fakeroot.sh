#!/bin/sh
# Last of all, when owners and rights are what they will be on the machine (post-build.sh has looked at all else). Buildroot lets
# BusyBox run as root whoever starts it, for `su` and the like; who logs in to a miner is root already, and nobody else shall become it.
set -eu
chmod u-s "$1/bin/busybox"
found="$(find "$1" -xdev -type f -perm /6000)"
if [ -n "$found" ]; then
	printf 'post-fakeroot: set-user:\n%s\n' "$found" >&2
	exit 1
fi
