#!/bin/sh
set -eu
here="$(dirname "$0")"
exec "$here/../common/board-file.sh" "$1" a113d-s19jpro "$here/lines.sed"
