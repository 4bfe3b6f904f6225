#!/bin/bash
# Puts pool software that nobody of this project wrote where tests/real_pools finds it:
#
#   foundation-stratum, blinkhash-stratum   pools for Node.js (npm), of the node-stratum-pool family
#   bit-byte-block                          a Stratum relay for Python (PyPI)
#
#   tests/peers/pools.sh [PREFIX]        default: target/peers/pools of this repository
#
# Packages come by npm and pip as this machine has set them up, at the versions written here. Installs nothing on the
# host. Needs Node.js with npm, Python 3.11 or newer with pip, make and a C++ compiler. A second run finds the work done.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
prefix=${1:-$repository/target/peers/pools}

fail() {
    echo "pools.sh: $*" >&2
    exit 1
}

for tool in node npm python3 make c++; do
    command -v "$tool" >/dev/null || fail "$tool not found"
done
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
# Another run into the same prefix may be half-way: wait for it, then look.
exec 9>"$prefix/.lock"
flock -w 600 9 || fail "another run holds $prefix/.lock for more than ten minutes"
if [ -e "$prefix/complete" ]; then
    echo "pools.sh: already in $prefix"
    exit 0
fi

# One of blake2b's users names it by an address outside the registry; Bitcoin needs it nowhere.
cat >"$prefix/package.json" <<'PACKAGE'
{
  "name": "peers",
  "version": "1.0.0",
  "private": true,
  "dependencies": { "foundation-stratum": "0.0.42", "blinkhash-stratum": "0.1.23", "node-gyp": "9.4.1" },
  "overrides": { "blake2b": "2.1.4" }
}
PACKAGE
(cd "$prefix" && npm install --ignore-scripts --no-audit --no-fund >npm.log 2>&1) ||
    fail "npm install failed: $(tail -n 5 "$prefix/npm.log")"

# Their big numbers are native code. Headers of Node.js are where it is installed; else node-gyp fetches them.
home=$(dirname "$(dirname "$(command -v node)")")
headers=()
[ -e "$home/include/node/node.h" ] && headers=("--nodedir=$home")
(cd "$prefix/node_modules/bignum" &&
    node ../node-gyp/bin/node-gyp.js rebuild "${headers[@]}" >"$prefix/gyp.log" 2>&1) ||
    fail "bignum does not build: $(tail -n 5 "$prefix/gyp.log")"

python3 -m pip install --quiet --no-deps --target "$prefix/python" bit-byte-block==0.1.1 >"$prefix/pip.log" 2>&1 ||
    fail "pip install failed: $(tail -n 5 "$prefix/pip.log")"
PYTHONPATH=$prefix/python python3 -m bit_byte_block --help >/dev/null || fail "bit-byte-block does not start"

: >"$prefix/complete"
echo "pools.sh: foundation-stratum, blinkhash-stratum and bit-byte-block are in $prefix"
