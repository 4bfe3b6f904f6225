#!/usr/bin/env bash
# Runs a command in which ARM programs can be started like any other, by other programs and by themselves too:
#
#   deploy/cross/as-native.sh armv7|arm64 COMMAND [ARGUMENT ...]
#
# The kernel is told about qemu-user in a namespace of users that ends with the command (Linux 6.7), so that the rest of the
# machine is left as it is.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "as-native: only root can make all users exist in the namespace" >&2; exit 1; }
folder=$(realpath "${CROSS_TOOLCHAIN:-$(dirname "$0")/../../target/cross}")
case "${1:-}" in
armv7) class='\x01' machine='\x28' program=qemu-arm libraries=/usr/arm-linux-gnueabihf ;;
arm64) class='\x02' machine='\xb7' program=qemu-aarch64 libraries=/usr/aarch64-linux-gnu ;;
*) echo "usage: deploy/cross/as-native.sh armv7|arm64 COMMAND [ARGUMENT ...]"; exit 2 ;;
esac
shift
export QEMU_LD_PREFIX=$libraries

# What the head of such a program looks like: little-endian ELF of the class, executable or position-independent, for the machine.
magic="\\x7fELF$class\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00$machine\\x00"
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
export FORMAT=":arm:M::$magic:$mask:$folder/qemu/usr/bin/$program:PF"

# All users exist in the namespace, which only a process outside can say; the command waits for it.
gates=$(mktemp --directory)
trap 'rm -rf "$gates"' EXIT
mkfifo "$gates/here" "$gates/go"
export GATES=$gates
# shellcheck disable=SC2016 # the inner shell's
unshare --user --mount bash -c '
    echo here >"$GATES/here"
    read -r _ <"$GATES/go"
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && printf %s "$FORMAT" >/proc/sys/fs/binfmt_misc/register || {
        echo "as-native: this kernel cannot be told about ARM programs in a namespace (Linux 6.7 can)" >&2
        exit 1
    }
    unset FORMAT GATES
    exec "$@"' - "$@" &
inner=$!
trap 'kill $inner 2>/dev/null; rm -rf "$gates"' INT TERM
read -r _ <"$gates/here"
echo "0 0 4294967295" >"/proc/$inner/uid_map"
echo "0 0 4294967295" >"/proc/$inner/gid_map"
echo go >"$gates/go"
wait "$inner"
