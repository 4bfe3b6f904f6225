#!/usr/bin/env bash
# A person's way through the page, in Debian's Chromium without a screen: tests/browser/page.cjs.
#
#   tests/browser/run.sh [PREFIX]        default: target/peers/browser of this repository
#
# Chromium comes by apt, playwright-core and axe-core by npm. Pictures go to PREFIX/pictures;
# docs/page.png is light.png of there.
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=${1:-target/peers/browser}
. tests/peers/machine.sh

if ! command -v chromium >/dev/null; then
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends chromium fonts-dejavu-core; } \
        >"$machine_log" 2>&1 || fail "chromium cannot be installed"
fi
if [ ! -e "$prefix/complete" ]; then
    mkdir -p "$prefix"
    cat >"$prefix/package.json" <<'PACKAGE'
{
  "name": "page-test",
  "version": "1.0.0",
  "private": true,
  "dependencies": { "playwright-core": "1.65.1", "axe-core": "4.14.1" }
}
PACKAGE
    (cd "$prefix" && npm install --ignore-scripts --no-audit --no-fund >npm.log 2>&1) ||
        fail "npm install failed: $(tail -n 5 "$prefix/npm.log")"
    : >"$prefix/complete"
fi

# A path of a socket has to be short.
control=$(mktemp -u)
trap 'machine_end; rm -f "$control"' EXIT
machine_start demo --seconds 3600 --api 127.0.0.1:0 --control "$control"
machine_address
run=$(echo "${TMPDIR:-/tmp}/cgminer-rs-demo-$machine"-*/run)
token=$("$PROGRAM" token claim --run-directory "$run" | tail -n 1) || fail "the token cannot be claimed"
machine_mining
mkdir -p "$prefix/pictures"
NODE_PATH=$(realpath "$prefix/node_modules") ADDRESS=$address TOKEN=$token CONTROL=$control PICTURES=$(realpath "$prefix/pictures") \
    timeout 1800 node tests/browser/page.cjs || fail "the page is not as a person needs it"
