# shellcheck shell=bash
# Throw-away servers: a private copy of the installed PostgreSQL into which the extension is installed, clusters in a
# temporary folder with their own socket and no TCP port. The machine's own installation and clusters are not touched.
#
#   find_pg_config              sets PG_CONFIG (kept when already set)
#   work_folder NAME            sets WORK, a new folder that the server's user can read; removed at exit
#   stage SOURCE_FOLDER         sets STAGE_BIN: a copy of PostgreSQL with the built extension installed
#   server_init NAME [LINE...]  new cluster with these lines in postgresql.conf
#   server_start NAME           server_stop NAME [MODE]      server_psql NAME [psql options]
#                               (SERVER_PROGRAM: started instead of postgres)
#   as_server COMMAND...        runs a command as the unprivileged user

: "${WORK:=}" "${STAGE_BIN:=}"
SERVER_USER=
KEEP_WORK=${KEEP_WORK:-}

# The given PG_CONFIG, else the newest Debian installation, else what the PATH has.
find_pg_config() {
    local candidate
    if [ -z "${PG_CONFIG:-}" ]; then
        for candidate in $(find /usr/lib/postgresql -path '*/bin/pg_config' 2>/dev/null | sort -t/ -k5 -rn) \
            "$(command -v pg_config || true)"; do
            if [ -n "$candidate" ] && [ -e "$("$candidate" --pgxs)" ]; then
                PG_CONFIG=$candidate
                break
            fi
        done
    fi
    if [ -z "${PG_CONFIG:-}" ] || ! [ -e "$("$PG_CONFIG" --pgxs)" ]; then
        echo "No pg_config with PGXS found; install postgresql-server-dev or set PG_CONFIG." >&2
        return 1
    fi
    export PG_CONFIG
}

# PostgreSQL refuses to run as root: postgres stands in, or nobody where there is no such user.
find_server_user() {
    if [ "$(id -u)" -ne 0 ]; then
        SERVER_USER=$(id -un)
    elif getent passwd postgres >/dev/null; then
        SERVER_USER=postgres
    else
        SERVER_USER=nobody
    fi
}

as_server() {
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
    else
        HOME=$WORK runuser -u "$SERVER_USER" -- "$@"
    fi
}

work_folder() {
    find_server_user
    # Sockets live below: keep it short, their paths may have 107 bytes.
    WORK=$(mktemp -d "/tmp/$1.XXXXXX")
    chmod 755 "$WORK"
    mkdir "$WORK/clusters" "$WORK/sockets"
    if [ "$(id -u)" -eq 0 ]; then
        chown "$SERVER_USER" "$WORK/clusters" "$WORK/sockets"
    fi
    trap work_cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # A server must not hold on to a folder that only root can enter.
    cd /
}

# work_cleanup [STATUS]: ends the script with that status, or with that of the command before.
work_cleanup() {
    local status=${1:-$?} cluster
    trap - EXIT
    [ -n "$WORK" ] || exit "$status"
    if [ -z "$KEEP_WORK" ]; then
        for cluster in "$WORK"/clusters/*/; do
            [ -e "$cluster/postmaster.pid" ] && server_stop "$(basename "$cluster")" immediate
        done
        rm -rf "$WORK"
    fi
    exit "$status"
}

# PostgreSQL finds its files relative to its own place, so copying the three folders is a complete installation. DESTDIR
# makes `make install` put the extension into the copy.
stage() {
    local source=$1 stage=$WORK/stage folder
    for folder in --bindir --pkglibdir --sharedir; do
        folder=$("$PG_CONFIG" $folder)
        mkdir -p "$stage$folder"
        cp -aL "$folder/." "$stage$folder/"
    done
    "${MAKE:-make}" -s -C "$source" PG_CONFIG="$PG_CONFIG" DESTDIR="$stage" install || return 1
    chmod -R a+rX "$stage"
    STAGE_BIN=$stage$("$PG_CONFIG" --bindir)
    STAGE_PGXS=$stage$(dirname "$("$PG_CONFIG" --pgxs)")/..
    export STAGE_BIN STAGE_PGXS
}

server_folder() { echo "$WORK/clusters/$1"; }

server_init() {
    local name=$1 folder
    shift
    folder=$(server_folder "$name")
    # C.UTF-8 is on every Debian machine and sorts the same everywhere.
    as_server "$STAGE_BIN/initdb" --pgdata="$folder" --username=postgres --auth=trust --encoding=UTF8 \
        --locale=C.UTF-8 --no-sync >"$WORK/clusters/$name.initdb" 2>&1 || {
        cat "$WORK/clusters/$name.initdb" >&2
        return 1
    }
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$WORK/sockets'"
        echo "fsync = off"
        printf '%s\n' "$@"
    } | as_server tee -a "$folder/postgresql.conf" >/dev/null
}

# Every cluster of one work folder has a port of its own, which only names its socket.
server_port() {
    local number
    number=$(printf '%s' "$1" | cksum | cut -d' ' -f1)
    echo $((20000 + number % 20000))
}

server_start() {
    local name=$1 folder
    folder=$(server_folder "$name")
    as_server "$STAGE_BIN/pg_ctl" start --pgdata="$folder" --wait --timeout=300 --silent --log="$folder/log" \
        ${SERVER_PROGRAM:+-p "$SERVER_PROGRAM"} --options="-p $(server_port "$name")" || {
        tail -30 "$folder/log" >&2
        return 1
    }
}

server_stop() {
    as_server "$STAGE_BIN/pg_ctl" stop --pgdata="$(server_folder "$1")" --wait --timeout=120 --silent \
        --mode="${2:-fast}" || true
}

# Environment of a client of this server.
server_environment() {
    printf '%s\n' "PGHOST=$WORK/sockets" "PGPORT=$(server_port "$1")" PGUSER=postgres
}

server_psql() {
    local name=$1
    shift
    as_server env "PGHOST=$WORK/sockets" "PGPORT=$(server_port "$name")" PGUSER=postgres \
        "$STAGE_BIN/psql" --no-psqlrc --set=ON_ERROR_STOP=1 "$@"
}
