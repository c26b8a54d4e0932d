# shellcheck shell=bash
# What a Debian machine must have, and why. Sourced by the scripts; needs no network when nothing is missing.

# PostgreSQL's major version on this machine: the installed server's, else the one that this Debian release ships.
pg_major() {
    local newest
    newest=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n | tail -1)
    if [ -n "${PG_CONFIG:-}" ]; then
        newest=$("$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    fi
    if [ -z "$newest" ]; then
        case $(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}") in
            trixie) newest=17 ;;
            forky) newest=18 ;;
            *) newest=15 ;;
        esac
    fi
    echo "$newest"
}

# packages GROUP: one "name  reason" a line. Groups: build, report, compilers, test, tap, lint, sqlsmith, valgrind, bench.
packages() {
    local major
    major=$(pg_major)
    case $1 in
        build)
            cat <<END
g++  the compiler of the extension
make  runs the PGXS build
binutils  nm, for the list of exported symbols
postgresql-$major  the server, psql and pgbench
postgresql-server-dev-$major  server headers, PGXS, pg_regress; brings the clang that makes bitcode
libzstd-dev  compresses archives in files
postgresql-$major-partman  pg_partman, which the control file requires
END
            ;;
        report)
            cat <<END
python3  scripts/report
tzdata  its time zones
END
            ;;
        compilers)
            cat <<END
clang  second compiler; sanitizers of the unit tests
llvm  llvm-cov counts the lines that unit tests run
meson  second build system
ninja-build  runs meson's build
pkg-config  finds GoogleTest for meson
libgtest-dev  unit tests
END
            ;;
        test)
            cat <<END
postgresql-$major-pgtap  pgTAP tests
libtap-parser-sourcehandler-pgtap-perl  pg_prove
perl  prove and Test::More
libipc-run-perl  PostgreSQL::Test::Cluster needs IPC::Run
END
            ;;
        tap)
            cat <<END
prometheus  reads our metrics in a test, and promtool checks rules
prometheus-postgres-exporter  the exporter that Prometheus reads them through
chromium  opens the page that scripts/report writes
pgpool2  the pool that 200 connections go through
END
            ;;
        lint)
            cat <<END
clang-format  formatting
clang-tidy  static analysis
cppcheck  a second static analyser
shellcheck  the shell scripts
python3  reads META.json and the lists of packages
END
            ;;
        sqlsmith) echo "sqlsmith  random statements" ;;
        valgrind) echo "valgrind  memcheck of the server" ;;
        bench)
            cat <<END
valgrind  callgrind counts instructions
postgresql-$major-hypopg  the peer of the what-if benchmark
python3  medians and intervals
python3-psycopg2  the connections of the what-if benchmark
END
            ;;
        *)
            echo "packages: no group '$1'" >&2
            return 2
            ;;
    esac
}

# missing_packages GROUP...: names of the packages that are not installed.
missing_packages() {
    local group name
    for group in "$@"; do
        while read -r name _; do
            [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
        done < <(packages "$group")
    done
}

# Runs a command while no package may start its monitoring service: the tests start programs of their own, and nobody
# asked for a service that listens. An administrator's own policy-rc.d is left alone.
without_services() {
    local policy=/usr/sbin/policy-rc.d status
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    # shellcheck disable=SC2016 # for that script's shell. invoke-rc.d starts it with the service's name first.
    printf '#!/bin/sh\ncase $1 in prometheus* | pgpool*) exit 101 ;; esac\nexit 0\n' >"$policy" && chmod 755 "$policy"
    "$@"
    status=$?
    rm -f "$policy"
    return $status
}

# install_missing GROUP...: installs what is missing, as root; tells an ordinary user what to ask for.
install_missing() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        echo "Not a Debian system: packages are taken as they are." >&2
        return 0
    fi
    mapfile -t missing < <(missing_packages "$@" | sort -u)
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "Missing packages. Run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    echo "Installing ${missing[*]} ..."
    if ! (export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && without_services apt-get -qq install -y --no-install-recommends "${missing[@]}") >/tmp/citadel_apt.$$ 2>&1; then
        tail -20 /tmp/citadel_apt.$$ >&2
        rm -f /tmp/citadel_apt.$$
        return 1
    fi
    rm -f /tmp/citadel_apt.$$
    # Nor after the next boot.
    local name
    for name in "${missing[@]}"; do
        case $name in
            prometheus* | pgpool*) ! command -v systemctl >/dev/null || systemctl --quiet disable "$name" 2>/dev/null || true ;;
        esac
    done
}

# The versions that a run meets, for its log.
print_versions() {
    local name
    for name in "postgresql-$(pg_major)" "postgresql-$(pg_major)-partman" "postgresql-$(pg_major)-pgtap" g++ clang; do
        dpkg-query -W -f='${Package} ${Version}\n' "$name" 2>/dev/null || true
    done | paste -sd, | sed 's/,/, /g; s/^/Versions: /'
}
