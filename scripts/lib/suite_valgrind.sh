# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/check sets source_folder and suite
# The suite valgrind: a server with all its processes under memcheck runs the regression tests that touch the most of our
# memory: the door, capture, what-if, the advisor, archives, the audit log. Unlike AddressSanitizer, memcheck sees what
# was never written. Counted is what has a place of ours on its stack; the rest is the server's own affair.

valgrind_tests="install audit door capture counted_runs what_if advisor archive"

suite_valgrind() {
    install_missing valgrind && prepared || return 1
    local logs=$WORK/tests/valgrind_logs
    as_server mkdir -p "$WORK/tests/valgrind" "$logs" || return 1
    cat >"$WORK/valgrind_postgres" <<END || return 1
#!/bin/sh
exec valgrind --quiet --trace-children=yes --leak-check=no --error-limit=no --num-callers=30 --log-file=$logs/%p.log \\
    --suppressions=$WORK/tests/scripts/lib/valgrind.supp "$STAGE_BIN/postgres" "\$@"
END
    chmod 755 "$WORK/valgrind_postgres"
    # shellcheck disable=SC2086 # a list of words
    SERVER_PROGRAM=$WORK/valgrind_postgres run_regress valgrind test/regress/pg_regress --inputdir=. --outputdir=valgrind \
        --dbname=regression $valgrind_tests
    check "memcheck found nothing in $(find "$logs" -name '*.log' | wc -l) processes" valgrind_errors "$logs"
}

# Errors, one paragraph each ("==pid== " before each line), with a frame in our library.
valgrind_errors() {
    cat "$1"/*.log 2>/dev/null | sed 's/^==[0-9]*== \?//' | awk '
        BEGIN {RS = ""; ORS = "\n\n"}
        {all++}
        /citadel_opt\.so|citadel_test\.so|\.[ch]pp:[0-9]+\)/ {ours++; if (ours <= 20) print}
        END {printf "%d errors, %d of them ours\n", all, ours; exit ours > 0}'
    local status=${PIPESTATUS[2]}
    # A server that valgrind did not run finds nothing either.
    [ "$(find "$1" -name '*.log' | wc -l)" -gt 10 ] && return "$status"
    echo "valgrind ran no server"
    return 1
}
