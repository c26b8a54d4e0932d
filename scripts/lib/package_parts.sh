# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/package sets root
# The two halves of scripts/package: a root folder that builds, and a clean one that has nothing but what apt installs.
#
#   build_packages MAJOR FOLDER   leaves the .deb files and the source package in the folder
#   prove_packages MAJOR FOLDER   from these files to the first recommendation, in at most longest_proof seconds
#   autopkgtest_packages MAJOR FOLDER  debian/tests as autopkgtest runs them
#   prove_upgrade OLD NEW FOLDER  a server of version OLD upgraded to NEW by Debian's pg_upgradecluster, by pg_upgrade and by
#                                 dump: nothing is lost, and everything goes on
#
# build_here, prove_here, autopkgtest_here and upgrade_here are what runs inside.

longest_proof=120

build_packages() {
    local major=$1 folder=$2 status
    enter_version "$major" build /citadel_opt/scripts/package --build-here
    status=$?
    mkdir -p "$folder"
    # shellcheck disable=SC2153 # make_root sets ROOT_FOLDER
    cp "$ROOT_FOLDER"/citadel_packages/{postgresql-"$major"-*.deb,citadel-opt_*.dsc,citadel-opt_*.tar.*} "$folder/" 2>/dev/null || status=1
    rm -rf "$ROOT_FOLDER/citadel_packages"
    return "$status"
}

build_here() {
    local log=/citadel_packages/log
    rm -rf /citadel_packages
    mkdir -p /citadel_packages || return 1
    cp -a /citadel_opt /citadel_packages/source || return 1
    install_package build-essential debhelper lintian libzstd-dev postgresql-server-dev-all || return 1
    cd /citadel_packages/source || return 1
    # The pg_buildext of Debian 12 does not hand on how many may work at once.
    MAKEFLAGS="-j$(nproc) ${MAKEFLAGS:-}"
    export MAKEFLAGS
    # Only the versions that this Debian has: postgresql-server-dev-all names them.
    if ! { pg_buildext updatecontrol && DEB_BUILD_OPTIONS=parallel=$(nproc) dpkg-buildpackage -us -uc; } >"$log" 2>&1; then
        tail -40 "$log"
        return 1
    fi
    lintian --no-tag-display-limit --fail-on error,warning ../*.dsc ../*.deb
}

# clean_root RELEASE FOLDER: nothing but the base system. Making one costs a minute: a copy is kept.
clean_root() {
    local release=$1 folder=$2 kept=$CITADEL_ROOTS/clean-$1.tar
    if [ ! -e "$kept" ]; then
        bootstrap "$release" "$folder" && tar -C "$folder" --one-file-system -cf "$kept.new" . && mv "$kept.new" "$kept" || return 1
        rm -f "$folder.log"
    fi
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder" && tar -C "$folder" -xf "$kept" && accept_old_mirror "$folder"
}

# in_clean_root MAJOR FOLDER ARGUMENT...: runs scripts/package in a clean root folder of that version's release, with the
# packages of the folder in /proof.
in_clean_root() {
    local major=$1 packages=$2 release folder status
    shift 2
    release=$(release_of "$major") || return
    folder=$CITADEL_ROOTS/clean-$release.$$
    if ! { clean_root "$release" "$folder" && mkdir "$folder/proof" && cp "$packages"/*citadel-opt_* "$folder/proof/" &&
        cp -r "$root/debian/tests/first-recommendation" "$root/scripts" "$folder/proof/"; }; then
        rm -rf --one-file-system "$folder"
        return 1
    fi
    cp -L /etc/resolv.conf "$folder/etc/resolv.conf" 2>/dev/null
    ROOT_FOLDER=$folder
    in_root env DEBIAN_FRONTEND=noninteractive /proof/scripts/package "$@"
    status=$?
    rm -rf --one-file-system "$folder"
    return "$status"
}

prove_packages() { in_clean_root "$1" "$2" --prove-here "$1"; }

autopkgtest_packages() { in_clean_root "$1" "$2" --autopkgtest-here "$1"; }

prove_upgrade() { in_clean_root "$2" "$3" --upgrade-here "$1" "$2" "$(debian_mirror)"; }

# Nobody starts services here, and the clusters are ours to make.
without_main_cluster() {
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d &&
        mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
}

# quietly COMMAND...: shows what it said only when it fails.
quietly() {
    "$@" >/proof/log 2>&1 || { tail -30 /proof/log; return 1; }
}

# preloading_cluster MAJOR NAME
preloading_cluster() {
    pg_createcluster "$1" "$2" && pg_conftool "$1" "$2" set shared_preload_libraries 'pg_stat_statements,citadel_opt' &&
        pg_ctlcluster "$1" "$2" start
}

# As an administrator does it by docs/packaging.md.
prove_here() {
    local major=$1 started step seconds
    without_main_cluster || return 1
    step=$SECONDS
    quietly apt-get -qq update || return 1
    quietly apt-get -qq install -y --no-install-recommends --download-only "postgresql-$major" /proof/"postgresql-$major"-*.deb || return 1
    echo "  $((SECONDS - step)) s to download server, pg_partman and what they need"
    if command -v g++ gcc cc make pg_config; then
        echo "This is no clean Debian."
        return 1
    fi

    started=$SECONDS
    quietly apt-get -qq install -y --no-install-recommends "postgresql-$major" /proof/"postgresql-$major"-*.deb || return 1
    echo "  $((SECONDS - started)) s to install"
    step=$SECONDS
    quietly preloading_cluster "$major" main || return 1
    echo "  $((SECONDS - step)) s to make and start a cluster"
    step=$SECONDS
    su postgres -c '/proof/first-recommendation --here' || { tail -20 /var/log/postgresql/*; return 1; }
    echo "  $((SECONDS - step)) s from CREATE EXTENSION to the recommendation"
    seconds=$((SECONDS - started))
    echo "  $seconds s from the .deb to the first recommendation (at most $longest_proof)"
    [ "$seconds" -le "$longest_proof" ] || return 1

    # And away again, in the order of docs/packaging.md.
    { su postgres -c "psql -q -d citadel_ai -c 'DROP EXTENSION citadel_tasks, citadel_opt'" &&
        pg_conftool "$major" main set shared_preload_libraries pg_stat_statements && pg_ctlcluster "$major" main restart &&
        apt-get -qq purge -y "postgresql-$major-citadel-opt" && pg_ctlcluster "$major" main restart &&
        su postgres -c "psql -q -d citadel_ai -c 'SELECT count(*) FROM measurement'" && pg_ctlcluster "$major" main stop; } >/proof/log 2>&1 ||
        { tail -20 /proof/log; return 1; }
    if find / -xdev -path /proof -prune -o -path /proc -prune -o -name '*citadel_opt*' -print | grep -v '^/var/cache\|^/var/lib/postgresql'; then
        echo "These files are left after apt-get purge."
        return 1
    fi
    echo "  purged without a trace"
}

# In the clean root itself ("null"): it is thrown away afterwards.
autopkgtest_here() {
    without_main_cluster || return 1
    quietly apt-get -qq update || return 1
    quietly apt-get -qq install -y --no-install-recommends autopkgtest || return 1
    autopkgtest "/proof/postgresql-$1"-*.deb /proof/citadel-opt_*.dsc -- null >/proof/log 2>&1 || { tail -40 /proof/log; return 1; }
    grep -E 'recommended:|package tried in' /proof/log | sed 's/^/  /'
    grep -qE '^first-recommendation +PASS' /proof/log
}

# in_cluster MAJOR NAME ARGUMENT...: scripts/lib/server_upgrade as the cluster's superuser.
in_cluster() {
    local cluster=$1/$2
    shift 2
    su postgres -c "PGCLUSTER=$cluster /proof/scripts/lib/server_upgrade $*"
}

# left_out METHOD: the lines of evidence that it is known to change. pg_upgradecluster restores data with triggers off, so
# that rules of alerts fall back to the shipped ones (docs/packaging.md).
left_out() {
    if [ "$1" = dump ]; then echo '^alert_rule|'; else echo '^$'; fi
}

# The old server comes from its own release: libraries of two releases have different names and get along.
upgrade_here() {
    local old=$1 new=$2 mirror=$3 method status=0
    without_main_cluster || return 1
    echo "deb $mirror $(release_of "$old") main" >/etc/apt/sources.list.d/old.list
    quietly apt-get -qq update || return 1
    quietly apt-get -qq install -y --no-install-recommends "postgresql-$old" "postgresql-$new" /proof/"postgresql-$old"-*.deb \
        /proof/"postgresql-$new"-*.deb || return 1
    for method in upgrade dump; do
        echo "  pg_upgradecluster --method=$method, $old to $new"
        { quietly preloading_cluster "$old" "$method" && in_cluster "$old" "$method" fill &&
            in_cluster "$old" "$method" evidence >"/proof/$method.before" &&
            quietly pg_upgradecluster -m "$method" -v "$new" "$old" "$method" &&
            in_cluster "$new" "$method" evidence >"/proof/$method.after" &&
            { diff --ignore-matching-lines="$(left_out "$method")" "/proof/$method.before" "/proof/$method.after" || { echo "This was lost or changed."; false; }; } &&
            echo "  nothing was lost: $(awk -F'|' '{rows += $2} END {print NR " figures, " rows " rows"}' "/proof/$method.before")" &&
            in_cluster "$new" "$method" after "$method"; } ||
            { tail -20 /var/log/postgresql/*-"$method".log; status=1; }
        pg_ctlcluster "$new" "$method" stop -m immediate 2>/dev/null
        pg_ctlcluster "$old" "$method" stop -m immediate 2>/dev/null
    done
    return "$status"
}
