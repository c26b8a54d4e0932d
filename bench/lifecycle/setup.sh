# shellcheck shell=bash
# A private server with its usual fsync, a database `bench` with the extension, and how things are timed.
#   begin_bench LINE...    makes it, with these lines in its configuration; sets `folder`, below which archives in files lie
#   sql [psql options]     talks to it
#   milliseconds           since some point
#   took NAME ROWS CMD...  runs CMD after a checkpoint, prints its time and rate, sets `seconds`
#   median N...            percentile P FILE... (latencies in pgbench's logs, in ms)

: "${root:?is set by the script that reads this}"
# shellcheck source=scripts/lib/packages.sh
. "$root/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/server.sh
. "$root/scripts/lib/server.sh"

sql() { server_psql lifecycle -d bench -qAtX -v ON_ERROR_STOP=1 "$@"; }

begin_bench() {
    install_missing build bench
    find_pg_config
    work_folder citadel_bench
    make -s -C "$root" PG_CONFIG="$PG_CONFIG"
    stage "$root" >/dev/null
    server_init lifecycle "fsync = on" "shared_buffers = 512MB" "max_wal_size = 8GB" "max_worker_processes = 16" \
        "autovacuum = off" "maintenance_work_mem = 256MB" "log_min_messages = error" \
        "shared_preload_libraries = 'pg_stat_statements, citadel_opt'" "$@"
    server_start lifecycle
    server_psql lifecycle -qc 'CREATE DATABASE bench'
    folder=$(sql -c "SELECT current_setting('data_directory') || '/bench_archive'")
    sql >/dev/null <<SQL
SET client_min_messages = warning;
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE EXTENSION citadel_opt CASCADE;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir bench_archive';
ALTER DATABASE bench SET citadel_opt.archive_directory = '$folder';
SQL
    sql -c "SELECT citadel.alter_job('lifecycle', enabled => false)" >/dev/null
    echo "$(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg), PostgreSQL $(sql -c 'SHOW server_version')"
}

milliseconds() { date +%s%3N; }

took() {
    local name=$1 count=$2 started ended
    shift 2
    sql -c CHECKPOINT
    started=$(milliseconds)
    "$@" >/dev/null
    ended=$(milliseconds)
    # shellcheck disable=SC2034
    seconds=$(awk -v t=$((ended - started)) 'BEGIN { print t / 1000 }')
    awk -v n="$name" -v r="$count" -v t=$((ended - started)) \
        'BEGIN { printf "%-62s %9.2f s %12.0f rows/s\n", n, t / 1000, r * 1000 / t }'
}

median() { printf '%s\n' "$@" | sort -n | awk '{ a[NR] = $1 } END { print (NR % 2) ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }

percentile() { cut -d' ' -f3 "${@:2}" | sort -n | awk -v p="$1" '{ a[NR] = $1 } END { i = int(NR * p / 100 + 0.5); if (i < 1) i = 1; printf "%.1f\n", a[i] / 1000 }'; }
