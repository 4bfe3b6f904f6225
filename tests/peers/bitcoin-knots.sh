#!/bin/bash
# Puts a real Bitcoin node where tests/solo_node.rs finds it: Debian's `bitcoin-knots` (unstable suite, amd64) with all its
# libraries, unpacked below one prefix and run through its own dynamic loader, so that it works on older systems too.
#
#   tests/peers/bitcoin-knots.sh [PREFIX]        default: target/peers/knots of this repository
#
# Leaves PREFIX/bin/bitcoind and PREFIX/bin/bitcoin-cli. Installs nothing on the host and leaves its apt as it is; the
# mirror and the proxy are those of the host's apt. Needs apt and dpkg, no root. A second run finds the work done.
set -euo pipefail

package=bitcoin-knots
suite=unstable
repository=$(cd "$(dirname "$0")/../.." && pwd)
prefix=${1:-$repository/target/peers/knots}

fail() {
    echo "bitcoin-knots.sh: $*" >&2
    exit 1
}

works() {
    [ -e "$prefix/complete" ] && "$prefix/bin/bitcoind" -version >/dev/null 2>&1
}

for tool in apt-get apt-config dpkg; do
    command -v "$tool" >/dev/null || fail "$tool not found; this installer needs a Debian system"
done
[ "$(uname -m)" = x86_64 ] || fail "the packages are for amd64, this machine is $(uname -m)"

mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
if works; then
    echo "bitcoin-knots.sh: $("$prefix/bin/bitcoind" -version | head -n 1) is already in $prefix"
    exit 0
fi

# Another run into the same prefix may be half-way: wait for it, then look again.
exec 9>"$prefix/.lock"
flock -w 600 9 || fail "another run holds $prefix/.lock for more than ten minutes"
if works; then
    echo "bitcoin-knots.sh: already in $prefix"
    exit 0
fi

apt=$prefix/apt
rm -rf "$apt" "${prefix:?}"/{root,bin,complete}
mkdir -p "$apt"/{parts,preferences,sources,lists/partial,cache/archives/partial}
: >"$apt/status"

# apt itself reads the host's sources, in whichever form they are written, and prints the address of each index.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get update --print-uris -o Dir::State::Lists="$apt/lists" 2>/dev/null |
    sed -nE "s%^'([^']+)/dists/(${codename:-sid}|oldstable|stable|testing|unstable|sid)/(In)?Release'.*%\1%p" | head -n 1)
[ -n "$mirror" ] || fail "no Debian archive with the suite '$codename' among this machine's apt sources"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "$keyring is missing; install the package debian-archive-keyring"
cat >"$apt/sources/suite.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Architectures: amd64
Signed-By: $keyring
SOURCES

# How the host reaches the network (proxy, retries) is kept; its hooks, preferences and state are not. An empty package
# state makes apt take every library, the C library and its loader among them. A mirror that stands still for some days
# must not stop a test: signatures are checked, the expiry date is not.
{
    apt-config dump | grep -E '^Acquire::(http|https|Retries|ForceIPv4|ForceIPv6)' || true
    cat <<CONFIG
Dir::Etc "$apt";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "$apt/parts";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$apt/preferences";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/sources";
Dir::State "$apt";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Log "$apt";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
CONFIG
} >"$apt/apt.conf"

# apt reads APT_CONFIG first of all, so the places named in it keep the host's own configuration out.
private_apt() {
    DEBIAN_FRONTEND=noninteractive APT_CONFIG=$apt/apt.conf apt-get -q "$@" >"$apt/log" 2>&1 ||
        fail "apt-get $1 failed: $(tail -n 5 "$apt/log")"
}
private_apt update
private_apt install --yes --download-only "$package"

mkdir -p "$prefix/root" "$prefix/bin"
for archive in "$apt"/cache/archives/*.deb; do
    dpkg -x "$archive" "$prefix/root" || fail "cannot unpack $archive"
done

# The wrappers find the tree from their own place, so the prefix may be moved.
for program in bitcoind bitcoin-cli; do
    [ -x "$prefix/root/usr/bin/$program" ] || fail "the package $package of $suite has no $program"
    cat >"$prefix/bin/$program" <<WRAPPER
#!/bin/sh
root=\$(cd "\$(dirname "\$(readlink -f "\$0")")/../root" && pwd)
libraries=\$root/usr/lib/x86_64-linux-gnu:\$root/lib/x86_64-linux-gnu
for loader in "\$root"/usr/lib64/ld-linux-x86-64.so.2 "\$root"/lib64/ld-linux-x86-64.so.2; do
    [ -x "\$loader" ] && exec "\$loader" --library-path "\$libraries" --argv0 $program "\$root/usr/bin/$program" "\$@"
done
echo "$program: no dynamic loader below \$root" >&2
exit 127
WRAPPER
    chmod +x "$prefix/bin/$program"
done
"$prefix/bin/bitcoind" -version >/dev/null || fail "the unpacked bitcoind does not start"
rm -rf "$apt"
: >"$prefix/complete"
echo "bitcoin-knots.sh: $("$prefix/bin/bitcoind" -version | head -n 1) is in $prefix"
