# shellcheck shell=bash
# Sourced by scripts that need packages of a Debian release that need not be this machine's: they are taken from the mirror that
# this machine's apt already uses and unpacked into private folders. The host's apt stays as it is.

debian_fail() { echo "$0: $1" >&2; exit 1; }

# Makes an apt of our own in FOLDER/apt, in place of one for another release, and reads the release's index.
debian_begin() { # debian_begin FOLDER RELEASE
    rm -rf "$1/apt"
    local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg root=$1/apt
    # Either of apt's two formats.
    # shellcheck disable=SC2016 # apt's own variable
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep --max-count 1 '/debian/\?$' || true)
    [ -n "$mirror" ] || debian_fail "no Debian mirror in this machine's apt sources; add one and run 'apt-get update'"
    [ -e "$keyring" ] || debian_fail "$keyring is missing; install debian-archive-keyring"
    mkdir -p "$root"/{etc/parts,etc/preferences.d,state/lists/partial,cache/archives/partial}
    : >"$root/state/status"
    echo "deb [arch=amd64,armhf,arm64 signed-by=$keyring] $mirror $2 main" >"$root/etc/sources.list"
    cat >"$root/apt.conf" <<CONF
Dir::Etc "$root/etc";
Dir::Etc::sourcelist "$root/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "$root/etc/parts";
Dir::Etc::preferencesparts "$root/etc/preferences.d";
Dir::State "$root/state";
Dir::State::status "$root/state/status";
Dir::Cache "$root/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "armhf"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
    DEBIAN_CONFIG=$root/apt.conf
    APT_CONFIG=$DEBIAN_CONFIG apt-get update --quiet >/dev/null
}

# Downloads packages with all that they depend on, as apt would install them on an empty machine.
debian_closure() { # debian_closure INTO PACKAGE ...
    local into=$1
    shift
    mkdir -p "$into/partial"
    APT_CONFIG=$DEBIAN_CONFIG apt-get install --yes --quiet --no-install-recommends --download-only \
        --option Dir::Cache::archives="$into/" "$@" >/dev/null
}

# Downloads just these packages.
debian_only() { # debian_only INTO PACKAGE ...
    local into=$1
    shift
    mkdir -p "$into"
    (cd "$into" && APT_CONFIG=$DEBIAN_CONFIG apt-get download --quiet "$@" >/dev/null)
}

# The package that a metapackage stands for.
debian_meaning() { # debian_meaning METAPACKAGE
    APT_CONFIG=$DEBIAN_CONFIG apt-cache depends "$1" | awk '/Depends:/ {print $2; exit}'
}

debian_unpack() { # debian_unpack FROM ROOT
    local package
    mkdir -p "$2"
    for package in "$1"/*.deb; do
        dpkg-deb --extract "$package" "$2"
    done
}

# Writes a program that runs another one of an unpacked amd64 root through that root's own dynamic loader, so that no library
# path leaks into the programs that it starts.
debian_wrap() { # debian_wrap ROOT PROGRAM WRAPPER [ARGUMENT ...]
    local root=$1 program=$2 wrapper=$3 loader libraries=$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu
    shift 3
    # Older releases keep the loader out of /usr.
    for loader in "$root"/{usr/lib64,lib64,usr/lib/x86_64-linux-gnu}/ld-linux-x86-64.so.2; do
        [ ! -e "$loader" ] || break
    done
    local start="$loader --library-path $libraries --argv0 $program"
    # A program that needs no library comes without a loader.
    [ -e "$loader" ] || start=
    cat >"$wrapper" <<WRAPPER
#!/bin/sh
exec $start $root/usr/bin/$program $* "\$@"
WRAPPER
    chmod +x "$wrapper"
}
