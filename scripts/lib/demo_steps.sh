# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/demo sets root, tasks, seconds, clients, probe_seconds, keep
# The steps of scripts/demo. Each prints what it does while it does it.

step_number=0
database=citadel_ai
progress_pid=

step() {
    step_number=$((step_number + 1))
    printf '\n%2d. %s\n' "$step_number" "$1"
}

note() { printf '    %s\n' "$1"; }

elapsed() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }

# run_with_progress LOG TEXT COMMAND...: runs a command and says how long it has been at it; on a terminal in one line
# that is rewritten, elsewhere as a new line now and then. TEXT may be a command's output: it is evaluated each time.
run_with_progress() {
    local log=$1 text=$2 began=$SECONDS shown=0 status
    shift 2
    "$@" >"$log" 2>&1 &
    progress_pid=$!
    while kill -0 "$progress_pid" 2>/dev/null; do
        if [ -t 1 ]; then
            printf '\r\033[K    %s, %s' "$(eval "$text")" "$(elapsed $((SECONDS - began)))"
        elif [ $((SECONDS - began - shown)) -ge 10 ]; then
            shown=$((SECONDS - began))
            note "$(eval "$text"), $(elapsed $shown)"
        fi
        sleep 1
    done
    wait "$progress_pid"
    status=$?
    progress_pid=
    [ ! -t 1 ] || printf '\r\033[K'
    if [ "$status" -ne 0 ]; then
        tail -30 "$log" >&2
        return "$status"
    fi
}

# The demo's own statements are not watched: what is shown should be the application's.
sql() {
    PGOPTIONS='-c citadel_opt.slow_query_threshold=-1 -c pg_stat_statements.track=none' \
        server_psql demo -d "$database" --quiet "$@"
}

# Aligned tables; values of several lines (causes, advice) stay readable. Wide ones are not folded by a pager.
table() {
    sql --pset=pager=off --pset=footer=off --pset=null=- --pset=linestyle=unicode --pset=border=1 "$@" | sed 's/^/    /'
    return "${PIPESTATUS[0]}"
}

demo_cleanup() {
    local status=$?
    trap - EXIT
    if [ -n "$progress_pid" ]; then
        kill "$progress_pid" 2>/dev/null
        wait "$progress_pid" 2>/dev/null
    fi
    if [ "$status" -ne 0 ] && [ -n "$keep" ] && [ -n "$WORK" ]; then
        KEEP_WORK=yes
        echo "Failed; everything is kept in $WORK" >&2
        finish >&2
    fi
    work_cleanup "$status"
}

build_and_stage() {
    local source=$root
    # A clone that we may not write to is built elsewhere.
    if ! [ -w "$root" ] || ! [ -w "$root/src/pg" ]; then
        source=$WORK/source
        mkdir -p "$source" && tar -C "$root" --exclude=./.git --exclude=./build -cf - . |
            tar -C "$source" --no-same-owner -xf - && chmod -R u+rwX "$source" || return 1
    fi
    run_with_progress "$WORK/build.log" 'echo "compiling $(find "'"$source"'/src" -name "*.o" | wc -l) of $(find "'"$source"'/src" -name "*.cpp" | wc -l) files"' \
        make -s -C "$source" -j"$(nproc 2>/dev/null || echo 2)" PG_CONFIG="$PG_CONFIG" || return 1
    run_with_progress "$WORK/stage.log" 'echo "installing into a private copy of PostgreSQL"' stage "$source" || return 1
    # stage ran in a subshell: its variables are set here.
    STAGE_BIN=$WORK/stage$("$PG_CONFIG" --bindir)
    export STAGE_BIN
    cp -r "$root/bench/tasks" "$WORK/workload" && chmod -R a+rX "$WORK/workload"
    note "built and installed"
}

start_server() {
    local memory_mb buffers_mb
    memory_mb=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null || echo 2097152) / 1024))
    buffers_mb=$((memory_mb / 4 > 1024 ? 1024 : memory_mb / 4))
    server_init demo \
        "shared_preload_libraries = 'pg_stat_statements, citadel_opt'" \
        "shared_buffers = ${buffers_mb}MB" \
        "max_wal_size = 8GB" \
        "checkpoint_timeout = 15min" \
        "work_mem = 16MB" \
        "maintenance_work_mem = 256MB" \
        "random_page_cost = 1.1" \
        "track_io_timing = on" \
        "max_worker_processes = 16" \
        "citadel_opt.capture_nested = on" \
        "citadel_opt.enabled = off" \
        "citadel_opt.slow_query_threshold = 20" \
        "citadel_opt.sample_interval = 2" && server_start demo || return 1
    note "shared_buffers ${buffers_mb} MB; statements of 20 ms and more are captured (default: 1 s)"
}

create_database() {
    server_psql demo -d postgres -q -c "CREATE DATABASE $database" || return 1
    sql -c "SET client_min_messages = warning" \
        -c "CREATE SCHEMA partman" -c "CREATE EXTENSION pg_partman SCHEMA partman" \
        -c "CREATE EXTENSION citadel_opt CASCADE" -c "CREATE EXTENSION citadel_tasks" \
        -c "CREATE ROLE tasks_app LOGIN" -c "CREATE ROLE tasks_probe LOGIN" \
        -c "ALTER ROLE tasks_probe SET citadel_opt.slow_query_threshold = -1" \
        -c "ALTER ROLE tasks_probe SET pg_stat_statements.track = none" \
        -o /dev/null -c "SELECT citadel_tasks.grant_access('tasks_app'), citadel_tasks.grant_access('tasks_probe')" || return 1
    note "the application connects as tasks_app, which owns nothing; measurements as tasks_probe, which is not watched"
}

data_size() {
    sql -d postgres -At -c "SELECT 'written so far: ' || pg_size_pretty(pg_database_size('$database'))" 2>/dev/null || echo "writing"
}

generate_data() {
    sql -o /dev/null -c "SELECT citadel_tasks.setup_partitions(18, 12)" || return 1
    run_with_progress "$WORK/generate.log" data_size \
        sql -At -F ' ' -c "SELECT * FROM citadel_tasks.generate_tasks($tasks, 1)" || return 1
    read -r made_tasks made_history made_comments made_dependencies <"$WORK/generate.log"
    run_with_progress "$WORK/analyze.log" 'echo "vacuum and analyze"' sql -c "VACUUM (ANALYZE)" || return 1
    note "$made_tasks tasks, $made_history rows of history, $made_comments comments, $made_dependencies dependencies"
    note "secondary indexes: none"
}

# The bulk load is not part of the application's life: watching begins after it.
start_watching() {
    local waited=0
    watched_since=$SECONDS
    sql -o /dev/null -c "ALTER SYSTEM SET citadel_opt.enabled = on" -c "SELECT pg_reload_conf()" || return 1
    until sql -o /dev/null -c "SELECT citadel.collect()" 2>"$WORK/collect.log"; do
        waited=$((waited + 1))
        [ "$waited" -le 60 ] || { cat "$WORK/collect.log" >&2; return 1; }
        sleep 1
    done
}

# The statements and their weights: bench/tasks/workload.tsv.
workload() { grep -v '^#' "$WORK/workload/workload.tsv"; }

# The same random values each time.
bench() {
    as_server env "PGHOST=$WORK/sockets" "PGPORT=$(server_port demo)" "PGBENCH=$STAGE_BIN/pgbench" \
        "$WORK/workload/run" "$database" "$tasks" "$@" --random-seed=1 --protocol=prepared
}

run_workload() {
    start_watching || return 1
    # shellcheck disable=SC2016 # evaluated by run_with_progress
    run_with_progress "$WORK/workload.log" 'sed -n "s/^progress: \([^,]*\), \(.*\), lat \(.*\) ms stddev.*/\2, \3 ms each/p" "$WORK/workload.log" | tail -1' \
        bench --username=tasks_app --client="$clients" --jobs="$clients" --time="$seconds" --progress=2 || return 1
    note "$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$WORK/workload.log") transactions of $(
        workload | wc -l) kinds, $(sed -n 's/^latency average = //p' "$WORK/workload.log") on average; $(
        sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$WORK/workload.log") failed"
}

# measure NAME: mean time of each statement, alone on the server, with the same random values each time.
measure() {
    local result=$WORK/$1.tsv name weight kind what length
    : >"$result"
    while IFS=$'\t' read -r name weight kind what; do
        # Writes are counted, not timed: many thousands a second would change the data between the two measurements.
        case $kind in
            write) length=--transactions=200 ;;
            batch) length=--transactions=20 ;;
            *) length=--time=$probe_seconds ;;
        esac
        run_with_progress "$WORK/measure.log" "echo '$name: $what'" bench --only "$name" --username=tasks_probe \
            --client=1 "$length" </dev/null || return 1
        printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$weight" "$kind" "$what" \
            "$(sed -n 's/^latency average = \([0-9.]*\) ms/\1/p' "$WORK/measure.log")" >>"$result"
        [ -t 1 ] || printf '.'
    done < <(workload)
    [ -t 1 ] || printf '\n'
    note "$(wc -l <"$result") statements, one client; reads for $probe_seconds s, writes counted"
}

run_advisor() {
    local run
    sql -o /dev/null -c "SELECT citadel.collect()" || return 1
    run=$(sql -At -c "SELECT citadel.run_job('advise')") || return 1
    run_with_progress "$WORK/advise.log" 'echo "the advise job looks at the captured workload"' \
        sql -c "CALL citadel.wait_for_job($run, '4 minutes')" || return 1
    note "$(sql -At -c "
        SELECT summary || '; ' || candidates || ' candidates, ' || planner_calls || ' planner calls, '
               || round(EXTRACT(epoch FROM finished_at - started_at)::numeric, 1) || ' s'
        FROM citadel.advisor_run WHERE run_id = $run")"
}

show_slow_queries() {
    # Long texts are folded at blanks, so that the table stays within a wide terminal.
    table -c "
        SELECT rtrim(regexp_replace(left(regexp_replace(query, '\s+', ' ', 'g'), 200) || CASE WHEN length(query) > 200 THEN ' ...' ELSE '' END,
                                    '(.{1,56})(\s|\$)', E'\\\\1\n', 'g'), E'\n') AS query,
               calls, round(mean_ms::numeric, 1) AS mean_ms, round(max_ms::numeric, 1) AS max_ms,
               round(100 * load_share::numeric, 1) AS \"load_%\",
               (SELECT string_agg(rtrim(regexp_replace('- ' || c, '(.{1,76})(\s|\$)', E'\\\\1\n', 'g'), E'\n'), E'\n' ORDER BY n)
                FROM unnest(causes) WITH ORDINALITY AS u (c, n)) AS causes,
               array_to_string(recommendations, ', ') AS indexes
        FROM citadel.analyze_slow_queries('1 hour', max_rows => 15)"
}

show_recommendations() {
    note "Costs are the planner's, of the whole workload weighted by its load: before an index, with those above it, and after."
    table -c "
        SELECT id, rtrim(regexp_replace(definition, '(.{1,64})(\s|\$)', E'\\\\1\n', 'g'), E'\n') AS definition,
               pg_size_pretty(size_bytes) AS size, to_char(cost_before, 'FM999,999,999,990') AS cost_before,
               to_char(cost_after, 'FM999,999,999,990') AS cost_after, round(100 * improvement::numeric, 1) AS \"gain_%\",
               queries_helped AS helps, rtrim(regexp_replace(reason, '(.{1,44})(\s|\$)', E'\\\\1\n', 'g'), E'\n') AS reason
        FROM citadel.index_recommendation WHERE status = 'open' ORDER BY id"
}

build_indexes() {
    local file=$WORK/indexes.sql
    sql -At -c "SELECT rtrim(definition, E'; \n') || ';' FROM citadel.index_recommendation WHERE status = 'open' ORDER BY id" >"$file" || return 1
    chmod a+r "$file"
    [ -s "$file" ] || { echo "The advisor recommended nothing." >&2; return 1; }
    run_with_progress "$WORK/indexes.log" 'echo "building $(grep -c "CREATE INDEX" "$WORK/indexes.sql") indexes"' sql -f "$file" || return 1
    run_with_progress "$WORK/analyze.log" 'echo "vacuum and analyze"' sql -c "VACUUM (ANALYZE)" || return 1
    note "$(grep -c 'CREATE INDEX' "$file") statements, $(sql -At -c "
        SELECT count(*) || ' indexes and index partitions of ' || pg_size_pretty(sum(pg_relation_size(i.indexrelid)))
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'citadel_tasks'::regnamespace AND NOT i.indisunique")"
}

show_comparison() {
    chmod a+r "$WORK/before.tsv" "$WORK/after.tsv"
    cat >"$WORK/compare.sql" <<END
CREATE TEMP TABLE before_times (name text, weight int, kind text, what text, ms numeric);
CREATE TEMP TABLE after_times (name text, weight int, kind text, what text, ms numeric);
\\copy before_times FROM '$WORK/before.tsv'
\\copy after_times FROM '$WORK/after.tsv'
SELECT kind, name AS statement, what AS "what it reads or does", weight, round(b.ms, 2) AS before_ms, round(a.ms, 2) AS after_ms,
       round(b.ms / a.ms, 1) AS faster
FROM before_times b JOIN after_times a USING (kind, name, what, weight)
ORDER BY array_position(ARRAY['point', 'list', 'report', 'search', 'write', 'batch'], kind), b.ms / a.ms DESC;
SELECT t.total, round(t.before_ms, 1) AS before_ms, round(t.after_ms, 1) AS after_ms, round(t.before_ms / t.after_ms, 1) AS faster
FROM (SELECT 'each statement once' AS total, sum(b.ms) AS before_ms, sum(a.ms) AS after_ms
      FROM before_times b JOIN after_times a USING (name)
      UNION ALL
      SELECT 'one transaction of the mix (weighted mean)', sum(b.ms * b.weight) / sum(b.weight), sum(a.ms * b.weight) / sum(b.weight)
      FROM before_times b JOIN after_times a USING (name)) AS t;
SELECT count(*) AS "point and list statements", count(*) FILTER (WHERE a.ms < 50) AS "under 50 ms", round(max(a.ms), 1) AS slowest_ms
FROM after_times a WHERE kind IN ('point', 'list');
END
    chmod a+r "$WORK/compare.sql"
    table -f "$WORK/compare.sql"
}

show_tables() {
    table -c "
        SELECT replace(relation::text, 'citadel_tasks.', '') AS relation, partitions, row_estimate, pg_size_pretty(table_bytes) AS table,
               pg_size_pretty(index_bytes) AS indexes, pg_size_pretty(bloat_bytes) AS bloat, round(dead_ratio::numeric, 3) AS dead,
               seq_scans, index_scans, round(cache_hit_ratio::numeric, 3) AS cached, round(hot_update_ratio::numeric, 2) AS hot,
               array_to_string(ARRAY(SELECT regexp_replace(a, '(.{1,60})(\s|\$)', E'\\\\1\n', 'g') FROM unnest(advice) AS a), '') AS advice
        FROM citadel.get_table_statistics()
        WHERE relation::text LIKE 'citadel\_tasks.%' AND relation::text NOT LIKE '%\_template'
        ORDER BY total_bytes DESC"
}

# The policies keep 24 months; the demo's data goes back 18, so here they keep 12.
preview_policies() {
    sql -o /dev/null -c "SELECT citadel.alter_lifecycle_policy(policy_id, retain => '12 months') FROM citadel.partition_runway" || return 1
    note "hero_workflow_history and hero_task_comments: monthly, 12 ahead, kept 12 months, then moved to schema citadel_archive"
    table -c "
        SELECT replace(relation::text, 'citadel_tasks.', '') AS relation, action, count(*) AS steps, sum(rows) AS rows,
               pg_size_pretty(sum(bytes)) AS size, count(blocked) AS blocked
        FROM citadel.preview_lifecycle() GROUP BY relation, action ORDER BY relation, min(step_no)" || return 1
    note "The steps of one month:"
    table -c "
        SELECT action, rows, replace(lock, 'citadel_tasks.', '') AS lock, reason, coalesce(blocked, 'free to go') AS blocked
        FROM citadel.preview_lifecycle('citadel_tasks.hero_task_comments') ORDER BY step_no LIMIT 4"
}

# Rows of both tables, in the tables and in archives; it must not change.
event_rows() {
    sql -At -c "
        SELECT (SELECT count(*) FROM citadel_tasks.hero_workflow_history) + (SELECT count(*) FROM citadel_tasks.hero_task_comments)
               + (SELECT coalesce(sum(rows), 0) FROM citadel.archive WHERE state = 'complete')"
}

run_policies() {
    local before after
    before=$(event_rows) || return 1
    run_with_progress "$WORK/lifecycle.log" 'echo "the lifecycle job detaches, hashes and moves the old months"' \
        sql -c "CALL citadel.run_lifecycle()" || return 1
    after=$(event_rows) || return 1
    [ "$before" = "$after" ] || { echo "There were $before rows, now there are $after." >&2; return 1; }
    table -c "
        SELECT archive_id AS id, source_name, to_char(lower_bound::timestamptz, 'YYYY-MM-DD') AS from,
               to_char(upper_bound::timestamptz, 'YYYY-MM-DD') AS to, rows, verification, left(hash, 12) || '...' AS hash
        FROM citadel.archive ORDER BY source_name" || return 1
    note "$(sql -At -c "SELECT count(*) || ' months, ' || sum(rows) || ' rows archived' FROM citadel.archive"); live and archived rows: $before before, $after after"
    table -c "
        SELECT replace(relation, 'citadel_tasks.', '') AS relation, status, partitions, partitions_ahead AS ahead,
               round(days_left::numeric) AS days_left, coalesce(alarm, 'none') AS alarm, coalesce(last_error, 'none') AS last_error
        FROM citadel.partition_runway"
}

# The newest archive of the comments, which the next steps read and restore.
comments_archive() {
    sql -At -c "SELECT $1 FROM citadel.archive WHERE origin_name = 'hero_task_comments' ORDER BY lower_bound DESC LIMIT 1"
}

read_one_archive() {
    local from
    from=$(comments_archive read_from) || return 1
    note "SELECT ... FROM $from: an archive is a table like any other"
    table -c "
        SELECT count(*) AS comments, count(DISTINCT task_id) AS tasks, count(DISTINCT author_id) AS authors, min(created_at) AS first,
               max(created_at) AS last FROM $from" || return 1
    table -c "
        SELECT a.rows AS rows_in_catalogue, c.rows AS rows_there, a.hash = c.hash AS same_hash
        FROM citadel.archive AS a, citadel.content_hash('$from') AS c WHERE a.read_from = '$from'"
}

# With 11 months kept, one more month has expired; a hold on one task keeps it.
hold_some_rows() {
    local task
    sql -o /dev/null -c "SELECT citadel.alter_lifecycle_policy(policy_id, retain => '11 months') FROM citadel.partition_runway WHERE relation LIKE '%comments'" || return 1
    task=$(sql -At -c "SELECT task_id FROM citadel_tasks.hero_task_comments WHERE created_at < date_trunc('month', now() - interval '11 months', 'UTC') ORDER BY id LIMIT 1") || return 1
    note "place_hold(..., reason => 'case 4711', predicate => 'task_id = $task')"
    sql -o /dev/null -c "SELECT citadel.place_hold('citadel_tasks.hero_task_comments', NULL, NULL, 'case 4711', predicate => 'task_id = $task')" || return 1
    table -c "
        SELECT action, replace(target, 'citadel_tasks.', '') AS target, rows, blocked
        FROM citadel.preview_lifecycle('citadel_tasks.hero_task_comments') ORDER BY step_no" || return 1
    sql -c "CALL citadel.run_lifecycle('citadel_tasks.hero_task_comments')" || return 1
    note "$(sql -At -c "SELECT 'after a run: ' || count(*) || ' rows of the held task are still there' FROM citadel_tasks.hero_task_comments WHERE task_id = $task")"
    sql -o /dev/null -c "SELECT citadel.release_hold(max(hold_id), 'case closed') FROM citadel.hold" \
        -c "SELECT citadel.alter_lifecycle_policy(policy_id, retain => '12 months') FROM citadel.partition_runway"
}

restore_one_archive() {
    local archive before after
    archive=$(comments_archive archive_id) || return 1
    before=$(event_rows) || return 1
    run_with_progress "$WORK/restore.log" "echo 'archive $archive comes back as a partition'" \
        sql -c "CALL citadel.restore_archive($archive, 'citadel_tasks.hero_task_comments')" || return 1
    after=$(event_rows) || return 1
    [ "$before" = "$after" ] || { echo "There were $before rows, now there are $after." >&2; return 1; }
    table -c "SELECT archive_id AS id, source_name, rows, state, restored_to FROM citadel.archive WHERE archive_id = $archive"
}

show_audit_log() {
    local head
    head=$(sql -At -c "SELECT head FROM citadel.verify_audit_log()") || return 1
    table -c "
        SELECT action, outcome, count(*), sum(row_count) AS rows, max(reason) AS reason
        FROM citadel.audit_log GROUP BY action, outcome ORDER BY min(seq)" || return 1
    note "verify_audit_log(head): $(sql -At -c "
        SELECT entries || ' entries, ' || CASE WHEN first_broken IS NULL AND problem IS NULL THEN 'the chain is whole up to ' || left(head, 24) || '...'
                                               ELSE 'BROKEN: ' || problem END
        FROM citadel.verify_audit_log('$head')")"
}

# The page outlives the demo; where it was started from, if that may be written to.
write_report() {
    local file=$PWD/citadel_report.html
    [ -z "${started_in:-}" ] || file=$started_in/citadel_report.html
    [ -w "$(dirname "$file")" ] || file=$(mktemp -d /tmp/citadel_report.XXXXXX)/citadel_report.html
    sql -o /dev/null -c "SELECT pg_stat_force_next_flush()" -c "SELECT citadel.collect()" || return 1
    PGOPTIONS='-c citadel_opt.slow_query_threshold=-1 -c pg_stat_statements.track=none' "$root/scripts/report" --psql "$STAGE_BIN/psql" \
        --host "$WORK/sockets" --port "$(server_port demo)" --username postgres --dbname "$database" --last "$((SECONDS - watched_since)) seconds" \
        --output "$file" >/dev/null || return 1
    note "open $file in a browser: load, percentiles, recommended indexes, growth of tables"
}

show_health() { table -At -c "SELECT jsonb_pretty(citadel.health())"; }

finish() {
    [ -n "$keep" ] || return 0
    KEEP_WORK=yes
    cat <<END

The server goes on running. To connect:
    $STAGE_BIN/psql -h $WORK/sockets -p $(server_port demo) -U postgres $database
To stop it and remove everything:
    $( [ "$(id -u)" -ne 0 ] || echo "runuser -u $SERVER_USER -- " )$STAGE_BIN/pg_ctl stop -D $(server_folder demo) && rm -rf $WORK
END
}
