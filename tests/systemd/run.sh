#!/usr/bin/env bash
# Runs deploy/cgminer-rs.service under a real systemd: a small Debian in a container of systemd's own (systemd-nspawn), installed by the commands of
# docs/firmware.md. Needs root, since containers do.
#
#   tests/systemd/run.sh [BINARY]      default: target/release/cgminer-rs
set -euo pipefail
binary=$(realpath "${1:-target/release/cgminer-rs}")
cd "$(dirname "$0")/../.."
. deploy/cross/debian.sh
folder=$PWD/target/systemd-test
base=$folder/base

debian_host
if ! command -v systemd-nspawn >/dev/null || ! command -v mmdebstrap >/dev/null; then
    apt-get update --quiet >/dev/null
    apt-get install --yes --quiet --no-install-recommends systemd-container mmdebstrap >/dev/null
fi
if ! debian_complete "$base" tests/systemd/run.sh; then
    echo "systemd: making a small Debian"
    mkdir -p "$folder"
    mirror=$(debian_mirror)
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$base" "deb $mirror bookworm main"
    debian_done "$base" tests/systemd/run.sh
fi
rm -rf "$folder/root"
cp --archive --reflink=auto "$base" "$folder/root"
python3 -B tests/systemd/run.py "$folder/root" "$binary"
