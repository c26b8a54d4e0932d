# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/check sets source_folder and long
# The sqlsmith suite: statements that nobody would write, made at random by sqlsmith as three roles at once, with
# everything captured and the advise job running; then what was captured goes to the what-if engine and the advisor, and
# every function gets odd arguments. test/sqlsmith holds the database.

smith_roles='user monitor superuser'

# by_form SHORT LONG: the figure of this run.
by_form() { if [ -z "$long" ]; then echo "$1"; else echo "$2"; fi; }

smith_statements() {
    case $1 in
        superuser) by_form 800 20000 ;;
        *) by_form 600 15000 ;;
    esac
}

suite_sqlsmith() {
    prepared || return 1
    command -v sqlsmith >/dev/null || install_missing sqlsmith || return 1
    # The short form begins with the same numbers each time; what follows depends on what is in the catalogue.
    local file role seed
    seed=$(by_form 7 $RANDOM)
    echo "seed $seed"
    server_init sqlsmith "$(cat "$source_folder/test/regress.conf" "$source_folder/test/sqlsmith/server.conf")" &&
        server_start sqlsmith && server_psql sqlsmith -qc 'CREATE DATABASE smith' || return 1
    for file in database reach roles feed; do
        server_psql sqlsmith -d smith -q -f "$WORK/tests/test/sqlsmith/$file.sql" || return 1
    done
    for role in $smith_roles; do smith "$role" "$seed" & done
    wait
    for role in $smith_roles; do check "sqlsmith as $role: $(smith_made "$role")" smith_ended "$role"; done
    check "captured statements and odd arguments are fed" smith_feed "$seed"
    smith_sql "SELECT format('    %s answers of %s: %s', sum(n), what, string_agg(sqlstate || ' ' || n, ', ' ORDER BY n DESC)) FROM (
                   SELECT CASE WHEN what LIKE '%pick' THEN 'functions to odd arguments' ELSE what END AS what, sqlstate, count(*) AS n
                   FROM feed.answer GROUP BY 1, 2) AS a GROUP BY what ORDER BY what"
    check "no answer is an internal error" smith_answers
    check "capture went on for each role, with next to no error in a hook" smith_captured
    check "the advise job ran; no run of a job failed" smith_jobs
    check "no tick of the scheduler failed" smith_ticks
    server_stop sqlsmith
    check "no process of the server crashed, no internal error is ours" smith_log
}

smith_sql() { server_psql sqlsmith -d smith -Atc "$1"; }

# empty QUERY: passes when it returns no row, and shows those that it returns.
empty() {
    local rows
    rows=$(smith_sql "$1") || return 1
    [ -z "$rows" ] || { echo "$rows"; return 1; }
}

# The roles with few rights get no catalogue tables: they are to meet tables that can have indexes.
smith() {
    local exclude=--exclude-catalog
    [ "$1" != superuser ] || exclude=
    # shellcheck disable=SC2086 # one word or none
    as_server timeout --kill-after=30 "$(by_form 1200 14400)" sqlsmith $exclude --seed="$2" --verbose \
        --max-queries="$(smith_statements "$1")" \
        --target="host=$WORK/sockets port=$(server_port sqlsmith) dbname=smith user=smith_$1" >"$WORK/smith_$1.log" 2>&1
    echo $? >"$WORK/smith_$1.status"
}

# What it did, from its own marks: a dot for a statement that ran, a letter for one that was refused.
smith_made() {
    local marks ran
    marks=$(grep -aE '^[.eStTC]+$' "$WORK/smith_$1.log" | tr -d '\n')
    ran=$(tr -cd . <<<"$marks")
    echo "${#marks} statements, ${#ran} of them ran"
}

smith_ended() {
    local made ran
    read -r made _ ran _ < <(smith_made "$1")
    [ "$(cat "$WORK/smith_$1.status")" -eq 0 ] && [ "$made" -ge "$(smith_statements "$1")" ] && [ "$ran" -gt $((made / 5)) ] && return
    tail -5 "$WORK/smith_$1.log"
    return 1
}

smith_feed() {
    smith_sql "SELECT citadel.collect()" && smith_sql "CALL feed.ask($(by_form 150 5000), $1)" &&
        smith_sql "CALL feed.call($(by_form 3 200), $1)"
}

smith_answers() {
    empty "SELECT what, sqlstate, message, server_alone, input FROM feed.answer
           WHERE sqlstate ~ '^XX' AND server_alone IS DISTINCT FROM sqlstate" || return 1
    # Nor are they all refusals.
    empty "SELECT what, count(*) FILTER (WHERE sqlstate = '00000') AS good, count(*)
           FROM (SELECT CASE WHEN what LIKE '%pick' THEN 'functions' ELSE what END AS what, sqlstate FROM feed.answer
                 UNION ALL VALUES ('what_if', '?'), ('recommend_indexes', '?'), ('functions', '?')) AS a
           GROUP BY what HAVING count(*) FILTER (WHERE sqlstate = '00000') < count(*) / 3"
}

# A plan that the server cannot print (an interval with a modifier that no interval has) counts as a hook's error.
smith_captured() {
    empty "SELECT r.rolname, count(s.*) FROM pg_roles AS r LEFT JOIN citadel.sample AS s ON s.user_id = r.oid
           WHERE r.rolname ~ '^smith_' GROUP BY r.rolname HAVING count(s.*) < 100" &&
        empty "SELECT * FROM citadel.capture_counters() WHERE hook_errors > captured / 1000"
}

smith_jobs() {
    smith_sql "CALL citadel.wait_for_job(citadel.run_job('advise'), '20 minutes')" || return 1
    empty "SELECT * FROM citadel.job_run WHERE state NOT IN ('succeeded', 'running', 'queued', 'starting')" || return 1
    empty "SELECT 'ran ' || count(*) || ' times' FROM citadel.advisor_run WHERE finished_at IS NOT NULL AND examined > 0 HAVING count(*) < 2"
}

smith_ticks() { empty "SELECT * FROM citadel.worker_status() WHERE tick_errors > 0"; }

# The server's errors come from .c files, ours from .cpp files: the log says where.
smith_log() {
    local log
    log=$(server_folder sqlsmith)/log
    ! grep -E -A3 'was terminated by signal|exited with exit code [2-9]|PANIC:|TRAP:|This is a defect of citadel_opt' "$log" &&
        ! grep -A4 'ERROR:  XX' "$log" | grep -B4 -A2 'LOCATION: .*\.cpp'
}
