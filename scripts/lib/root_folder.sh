# shellcheck shell=bash
# A Debian of its own in a folder, for the server versions that this machine's Debian does not have. Needs root: it is
# made with debootstrap and entered with chroot. Kept between runs, since making one costs minutes and 1 GB.
#
#   enter_version MAJOR COMMAND [ARGUMENT...]   copies the sources into the root of that version and runs the command there
#
# CITADEL_ROOTS is the folder that holds the roots (default /var/tmp/citadel_roots).

: "${CITADEL_ROOTS:=/var/tmp/citadel_roots}"

# The Debian release that packages a server version.
release_of() {
    case $1 in
        15) echo bookworm ;;
        17) echo trixie ;;
        18) echo forky ;;
        *) echo "No Debian release has PostgreSQL $1; there are 15, 17 and 18." >&2; return 2 ;;
    esac
}

# The mirror that this machine is set up with.
debian_mirror() {
    local mirror
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -nE 's/^deb +(\[[^]]*\] +)?([a-z]+:[^ ]*debian\/?) .*/\2/p' | grep -v security | head -1)
    [ -n "$mirror" ] || mirror=$(sed -nE 's/^URIs: *([^ ]*debian\/?)( .*)?$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -v security | head -1)
    echo "${mirror:-http://deb.debian.org/debian}"
}

# make_root MAJOR: sets ROOT_FOLDER. A root is complete when it has its mark; an interrupted one is made again.
make_root() {
    local release script
    release=$(release_of "$1") || return
    ROOT_FOLDER=$CITADEL_ROOTS/$release
    [ -e "$ROOT_FOLDER/.complete" ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "Only root can make the root folder for PostgreSQL $1 ($ROOT_FOLDER)." >&2
        return 1
    fi
    command -v debootstrap >/dev/null || install_package debootstrap || return 1
    rm -rf --one-file-system "$ROOT_FOLDER"
    mkdir -p "$ROOT_FOLDER"
    # An older debootstrap does not know the newest release, but they are all made alike.
    script=/usr/share/debootstrap/scripts/$release
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    echo "Making a root folder with Debian $release ..."
    debootstrap --variant=minbase "$release" "$ROOT_FOLDER" "$(debian_mirror)" "$script" >"$ROOT_FOLDER.log" 2>&1 || {
        tail -20 "$ROOT_FOLDER.log" >&2
        return 1
    }
    touch "$ROOT_FOLDER/.complete"
}

install_package() {
    (export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@") >/dev/null
}

enter_version() {
    local major=$1 status
    shift
    make_root "$major" || return 1
    mkdir -p "$ROOT_FOLDER/proc" "$ROOT_FOLDER/dev/shm"
    # In a mount namespace of its own: whatever happens, nothing stays mounted.
    rm -rf "$ROOT_FOLDER/citadel_opt"
    copy_tree "$ROOT_FOLDER/citadel_opt" || return 1
    cp -L /etc/resolv.conf "$ROOT_FOLDER/etc/resolv.conf" 2>/dev/null
    unshare --mount --propagation private sh -c '
        root=$1
        shift
        mount -t proc proc "$root/proc" && mount -t tmpfs -o size=2g tmpfs "$root/dev/shm" && chmod 1777 "$root/dev/shm" &&
            exec chroot "$root" env -i "MAKEFLAGS=${MAKEFLAGS:-}" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"' sh "$ROOT_FOLDER" "$@"
    status=$?
    rm -rf "$ROOT_FOLDER/citadel_opt"
    return "$status"
}
