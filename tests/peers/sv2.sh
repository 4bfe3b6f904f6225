#!/bin/bash
# Puts the reference programs of Stratum v2 where tests/real_sv2.rs finds them, all built from published crates:
#
#   pool_sv2, translator_sv2        the pool, and the proxy that lets Stratum v1 miners mine there
#   bitcoin-node                    a Bitcoin Core with its mining interface over IPC, which the pool asks for templates;
#                                   its source comes with the crate libbitcoinkernel-sys
#
#   tests/peers/sv2.sh [PREFIX]        default: target/peers/sv2 of this repository
#
# Crates come by cargo as this machine has set it up, at the versions written here. Needs Rust 1.88 or newer, and of
# Debian what is listed below, which is installed where this is root and it is missing. It takes an hour of one core, so
# it is no part of `make check`. JOBS says how many cores may work at once; a second run finds the work done.
set -euo pipefail

node_source=libbitcoinkernel-sys
node_version=0.4.1
programs=(pool_sv2@0.7.0 translator_sv2@0.6.0)
packages=(cmake make g++ pkg-config capnproto libcapnp-dev libboost-dev libevent-dev)
repository=$(cd "$(dirname "$0")/../.." && pwd)
prefix=${1:-$repository/target/peers/sv2}
jobs=${JOBS:-$(nproc)}

fail() {
    echo "sv2.sh: $*" >&2
    exit 1
}

for tool in cargo rustc; do
    command -v "$tool" >/dev/null || fail "$tool not found"
done
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
# Another run into the same prefix may be half-way: wait for it, then look.
exec 9>"$prefix/.lock"
flock -w 600 9 || fail "another run holds $prefix/.lock for more than ten minutes"
if [ -e "$prefix/complete" ]; then
    echo "sv2.sh: already in $prefix"
    exit 0
fi

minor=$(rustc --version | sed -nE 's/^rustc 1\.([0-9]+)\..*/\1/p')
[ "${minor:-0}" -ge 88 ] || fail "$(rustc --version) is too old: pool_sv2 needs Rust 1.88"
missing=()
for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || fail "install these first: ${missing[*]}"
    { apt-get update -q && apt-get install -yq --no-install-recommends "${missing[@]}"; } >"$prefix/apt.log" 2>&1 ||
        fail "apt-get failed: $(tail -n 5 "$prefix/apt.log")"
fi

# A crate that is nobody's dependency but this one's, to have its source unpacked.
mkdir -p "$prefix/source/src"
: >"$prefix/source/src/lib.rs"
cat >"$prefix/source/Cargo.toml" <<MANIFEST
[package]
name = "source"
version = "0.0.0"
edition = "2021"

[dependencies]
$node_source = "=$node_version"

[workspace]
MANIFEST
(cd "$prefix/source" && cargo vendor --versioned-dirs vendor) >"$prefix/vendor.log" 2>&1 ||
    fail "cargo vendor failed: $(tail -n 5 "$prefix/vendor.log")"
source=$prefix/source/vendor/$node_source-$node_version/bitcoin
[ -e "$source/src/ipc/capnp/mining.capnp" ] || fail "$node_source $node_version carries no IPC"

# For one machine's tests: no wallet, no hardening, no time spent on optimizing.
configure=(
    -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 -DCMAKE_C_FLAGS=-O1 -DENABLE_IPC=ON -DENABLE_WALLET=OFF
    -DENABLE_HARDENING=OFF -DENABLE_EXTERNAL_SIGNER=OFF -DWITH_EMBEDDED_ASMAP=OFF -DWITH_CCACHE=OFF
    -DBUILD_DAEMON=ON -DBUILD_CLI=OFF -DBUILD_BITCOIN_BIN=OFF -DBUILD_TESTS=OFF -DBUILD_BENCH=OFF -DBUILD_TX=OFF -DBUILD_UTIL=OFF
    -DINSTALL_MAN=OFF
)
cmake -S "$source" -B "$prefix/node" "${configure[@]}" >"$prefix/cmake.log" 2>&1 ||
    fail "cmake failed: $(tail -n 5 "$prefix/cmake.log")"
cmake --build "$prefix/node" -j "$jobs" --target bitcoin-node >"$prefix/node.log" 2>&1 ||
    fail "the node does not build: $(tail -n 5 "$prefix/node.log")"

CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$prefix/crates \
    cargo install --locked --profile dev --jobs "$jobs" --root "$prefix" "${programs[@]}" >"$prefix/crates.log" 2>&1 ||
    fail "cargo install failed: $(tail -n 5 "$prefix/crates.log")"

cp "$prefix/node/bin/bitcoin-node" "$prefix/bin/"
for program in pool_sv2 translator_sv2 bitcoin-node; do
    "$prefix/bin/$program" --version >/dev/null || fail "$program does not start"
done
rm -rf "$prefix/node" "$prefix/crates" "$prefix/source"
: >"$prefix/complete"
echo "sv2.sh: ${programs[*]} and $("$prefix/bin/bitcoin-node" --version | head -n 1) are in $prefix"
