# shellcheck shell=bash
# A Debian of its own in a folder, for the server versions that this machine's Debian does not have. Needs root: it is
# made with debootstrap and entered with chroot. Kept between runs, since making one costs minutes and 1 GB.
#
#   enter_version MAJOR "GROUP..." COMMAND [ARGUMENT...]   copies the sources into the root of that version, installs the
#                  packages of these groups there and runs the command. 69 (EX_UNAVAILABLE of sysexits.h) when the root
#                  cannot be had on this machine; a line on stderr says why.
#
# CITADEL_ROOTS is the folder that holds the roots (default /var/tmp/citadel_roots).

: "${CITADEL_ROOTS:=/var/tmp/citadel_roots}"
ROOT_UNAVAILABLE=69

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

# no_root MAJOR REASON...
no_root() {
    local major=$1
    shift
    echo "PostgreSQL $major cannot be tested here: $*" >&2
    return "$ROOT_UNAVAILABLE"
}

# bootstrap RELEASE FOLDER: that Debian's base system in the folder; what debootstrap says is in FOLDER.log.
bootstrap() {
    local release=$1 folder=$2 script=/usr/share/debootstrap/scripts/$1
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    command -v debootstrap >/dev/null || install_package debootstrap >"$folder.log" 2>&1 || { tail -20 "$folder.log" >&2; return 1; }
    # An older debootstrap does not know the newest release, but they are all made alike.
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    echo "Making a root folder with Debian $release ..."
    # Its mounts in a namespace of their own, too.
    unshare --mount --propagation private timeout --kill-after=10 900 \
        debootstrap --variant=minbase "$release" "$folder" "$(debian_mirror)" "$script" >"$folder.log" 2>&1 || { tail -20 "$folder.log" >&2; return 1; }
}

# make_root MAJOR: sets ROOT_FOLDER. A root is complete when it has its mark; an interrupted one is made again.
make_root() {
    local release
    release=$(release_of "$1") || return
    ROOT_FOLDER=$CITADEL_ROOTS/$release
    [ "$(id -u)" -eq 0 ] || { no_root "$1" "only root can use a root folder ($ROOT_FOLDER)"; return; }
    unshare --mount --pid --fork true 2>/dev/null || { no_root "$1" "this machine forbids new namespaces (unshare)"; return; }
    mkdir -p "$CITADEL_ROOTS" || { no_root "$1" "$CITADEL_ROOTS cannot be made"; return; }
    # One run at a time in a root: until this script ends.
    exec {root_lock}>"$ROOT_FOLDER.lock" && flock "$root_lock"
    [ -e "$ROOT_FOLDER/.complete" ] && return 0
    bootstrap "$release" "$ROOT_FOLDER" || { no_root "$1" "debootstrap $release failed: $(tail -1 "$ROOT_FOLDER.log")"; return; }
    touch "$ROOT_FOLDER/.complete"
}

install_package() {
    (export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@") >/dev/null
}

# in_root COMMAND...: in ROOT_FOLDER, in namespaces of its own: whatever happens, nothing stays mounted and nothing keeps running.
in_root() {
    local unshared status
    # shellcheck disable=SC2016 # for that shell, which stays: somebody must wait for servers whose parents have left
    unshare --mount --propagation private --pid --fork --kill-child sh -c '
        root=$1
        shift
        mount -t proc proc "$root/proc" && mount -t tmpfs -o size=2g tmpfs "$root/dev/shm" && chmod 1777 "$root/dev/shm" || exit 69
        chroot "$root" env -i "MAKEFLAGS=${MAKEFLAGS:-}" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
        exit $?' sh "$ROOT_FOLDER" "$@" &
    unshared=$!
    # unshare itself heeds nothing else while it waits.
    trap 'kill -KILL "$unshared"; exit 143' INT TERM
    wait "$unshared"
    status=$?
    trap - INT TERM
    return "$status"
}

# A mirror may be a copy of some past day; signatures are verified all the same.
accept_old_mirror() { echo 'Acquire::Check-Valid-Until "false";' >"$1/etc/apt/apt.conf.d/90citadel"; }

enter_version() {
    local major=$1 groups=$2 status
    shift 2
    make_root "$major" || return
    mkdir -p "$ROOT_FOLDER/proc" "$ROOT_FOLDER/dev/shm"
    rm -rf "$ROOT_FOLDER/citadel_opt"
    copy_tree "$ROOT_FOLDER/citadel_opt" || { no_root "$major" "the sources cannot be copied into $ROOT_FOLDER"; return; }
    cp -L /etc/resolv.conf "$ROOT_FOLDER/etc/resolv.conf" 2>/dev/null
    accept_old_mirror "$ROOT_FOLDER"
    in_root true || { no_root "$major" "mount or chroot is forbidden in $ROOT_FOLDER"; return; }
    # shellcheck disable=SC2016,SC2086 # for that shell; a list of words
    in_root timeout --kill-after=10 900 bash -c '. /citadel_opt/scripts/lib/packages.sh && install_missing "$@"' bash $groups ||
        { no_root "$major" "its packages cannot be installed"; return; }
    in_root "$@"
    status=$?
    rm -rf "$ROOT_FOLDER/citadel_opt"
    return "$status"
}
