# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/check sets root, source_folder, make and jobs
# The suites that run tests. Each counts what its runner printed.

# The library and a private PostgreSQL that has it installed; made once a run.
prepared() {
    local log=$WORK/prepare.log
    STAGE_BIN=$WORK/stage$("$PG_CONFIG" --bindir)
    STAGE_PGXS=$WORK/stage$(cd "$(dirname "$("$PG_CONFIG" --pgxs)")/.." && pwd)
    export STAGE_BIN STAGE_PGXS
    [ -e "$WORK/prepared" ] && return 0
    if ! { $make -s WERROR=1 && stage "$source_folder" && stage_tests; } >"$log" 2>&1; then
        tail -40 "$log"
        return 1
    fi
    [ -z "$sanitize" ] || sanitize_stage || return 1
    touch "$WORK/prepared"
}

# What the unprivileged user reads and where it writes: a clone may lie in a folder that it cannot enter.
stage_tests() {
    mkdir -p "$WORK/tests" && cp -r "$source_folder/sql" "$source_folder/expected" "$source_folder/test" "$source_folder/bench" "$source_folder/deploy" \
        "$source_folder/docs" "$source_folder/scripts" "$WORK/tests/" &&
        chmod -R a+rX "$WORK/tests" || return 1
    if [ -d "$source_folder/test/modules" ]; then
        # clang 14 crashes over the tests' module, sanitized or not.
        $make -s WERROR=1 ${sanitize:+CXX=g++ OPTIMIZE=-DCITADEL_SANITIZED} DESTDIR="$WORK/stage" install-test-modules && chmod -R a+rX "$WORK/stage" || return 1
    fi
    [ "$(id -u)" -ne 0 ] || chown -R "$SERVER_USER" "$WORK/tests"
}

# Under AddressSanitizer and UndefinedBehaviorSanitizer: a report ends the program, and so fails the suite.
suite_unit() {
    local log=$WORK/unit.log status passed failed
    $make -s WERROR=1 SANITIZE=1 unit 2>&1 | tee "$log" | grep -v '^\[ RUN\|^\[       OK\|^\[---\|^$' || true
    status=${PIPESTATUS[0]}
    passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | tail -1)
    failed=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' "$log" | tail -1)
    record "${passed:-0}" "${failed:-0}"
    check "unit tests run 90 % of the lines of server-free code, half of each file" line_coverage
    grep -h '  all$' "$WORK/line_shares"
    return "$status"
}

# Server-free sources with the share of their lines that the unit tests ran, the least first; then all together.
line_shares() {
    # Headers are left out: their lines are counted in every object anew.
    find build/unit-sanitized/src -name '*.gcda' -print0 | xargs -0 llvm-cov gcov -n 2>/dev/null | awk '
        $1 == "File" {file = substr($2, 2, length($2) - 2)}
        /^Lines executed:/ && file ~ /^src\/.*\.cpp$/ {
            split($2, share, /[:%]/)
            printf "%6.1f %% of %4d lines  %s\n", share[2], $NF, file
            run += share[2] * $NF / 100
            lines += $NF
        }
        END {printf "%6.1f %% of %d lines  all\n", lines ? 100 * run / lines : 0, lines}' | sort -n
}

# *_sql.cpp only put statements together: what those do is the server's to show, and pg_regress runs them.
line_coverage() {
    line_shares >"$WORK/line_shares" && cat "$WORK/line_shares" &&
        awk '$1 < ($NF == "all" ? 90 : $NF ~ /_sql.cpp$/ ? 0 : 50) {low = 1} END {exit low || NR < 2}' "$WORK/line_shares"
}

# Each parser of ours, fed by libFuzzer from the seeds in test/fuzz/seeds; the same inputs each time in the short form.
suite_fuzz() {
    local target name runs
    $make -s WERROR=1 SANITIZE=1 fuzz || return 1
    for target in test/fuzz/*_fuzz.cpp; do
        name=$(basename "$target" _fuzz.cpp)
        runs=${long:+2000000}
        check "fuzz: $name, ${runs:-10000} inputs" fuzz_target "$name" "${runs:-10000}"
    done
}

fuzz_target() {
    local name=$1 runs=$2 seed=1 input
    [ -z "$long" ] || seed=$RANDOM
    mkdir -p "$WORK/fuzz/$name" && cp "test/fuzz/seeds/$name"/* "$WORK/fuzz/$name/" || return 1
    build/unit-sanitized/fuzz/"$name" -runs="$runs" -seed="$seed" -max_len=2048 -timeout=20 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$WORK/fuzz/$name-" "$WORK/fuzz/$name" && return
    # The input that did it, for a unit test.
    for input in "$WORK/fuzz/$name-"*; do base64 "$input"; done
    return 1
}

# regress_counts LOG: counts the lines of pg_regress, in the form of 15 ("test x ... ok") or 16 and later (TAP).
regress_counts() {
    local passed failed
    passed=$(grep -cE '^(test +| {5})[^ ]+ +\.\.\. ok |^ok [0-9]+ ' "$1")
    failed=$(grep -cE '^(test +| {5})[^ ]+ +\.\.\. FAILED|^not ok [0-9]+ ' "$1")
    record "$passed" "$failed"
}

# Runs pg_regress or pg_isolation_regress against a server of its own; the arguments are the runner's.
run_regress() {
    local name=$1 runner=$2 log=$WORK/$1.log status
    shift 2
    server_init "$name" "$(cat "$source_folder/test/regress.conf")" && server_start "$name" || return 1
    (cd "$WORK/tests" && as_server env "PGHOST=$WORK/sockets" "PGPORT=$(server_port "$name")" PGUSER=postgres \
        "$STAGE_PGXS/$runner" --bindir="$STAGE_BIN" --host="$WORK/sockets" --port="$(server_port "$name")" \
        --user=postgres "$@") 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    server_stop "$name"
    regress_counts "$log"
    if [ "$status" -ne 0 ]; then
        find "$WORK/tests" -name regression.diffs -newer "$WORK/prepared" -exec cat {} +
    fi
    if grep -qE 'was terminated by signal|PANIC:|TRAP:' "$(server_folder "$name")/log"; then
        echo "The server crashed:"
        grep -E -A3 'was terminated by signal|PANIC:|TRAP:' "$(server_folder "$name")/log" | head -20
        record 0 1
    fi
    return "$status"
}

# REGRESS_TESTS: some of the tests, in an order that the schedule allows.
suite_regress() {
    prepared || return 1
    # shellcheck disable=SC2086 # a list of words
    run_regress regress test/regress/pg_regress --inputdir=. --dbname=regression ${REGRESS_TESTS:---schedule=test/regress_schedule}
}

suite_isolation() {
    prepared || return 1
    local tests
    tests=$(find "$WORK/tests/test/isolation/specs" -name '*.spec' -printf '%f\n' 2>/dev/null | sed 's/\.spec$//' | sort)
    [ -n "$tests" ] || return 0
    as_server mkdir -p "$WORK/tests/output_iso"
    # shellcheck disable=SC2086 # a list of words
    run_regress isolation test/isolation/pg_isolation_regress --inputdir=test/isolation --outputdir=output_iso \
        --dbname=isolation_regression $tests
}

# tap_counts LOG STATUS: counts the result lines of `prove -v`; a file that died or broke its plan is one failure more.
tap_counts() {
    local passed failed broken
    passed=$(grep -cE '^ok [0-9]+' "$1")
    failed=$(grep -cE '^not ok [0-9]+( - .*)?$' "$1")
    failed=$((failed - $(grep -cE '^not ok [0-9]+ .*# TODO' "$1")))
    broken=$(grep -cE '^(Dubious, test returned|No subtests run|  Parse errors:|Bad plan)' "$1")
    record "$passed" $((failed + broken))
    [ "$2" -eq 0 ] || [ $((failed + broken)) -gt 0 ] || record 0 1
}

suite_pgtap() {
    prepared || return 1
    local log=$WORK/pgtap.log status
    compgen -G "$WORK/tests/test/pgtap/*.sql" >/dev/null || return 0
    server_init pgtap "$(cat "$source_folder/test/regress.conf")" && server_start pgtap || return 1
    server_psql pgtap -qc 'CREATE DATABASE citadel_ai' || return 1
    server_psql pgtap -d citadel_ai -q -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION citadel_opt CASCADE' \
        -c 'CREATE EXTENSION pgtap' || return 1
    if [ -e "$source_folder/citadel_tasks.control" ]; then
        server_psql pgtap -d citadel_ai -qc 'CREATE EXTENSION citadel_tasks' || return 1
    fi
    (cd "$WORK/tests" && as_server env "PATH=$STAGE_BIN:$PATH" pg_prove --verbose --nocolor --host "$WORK/sockets" \
        --port "$(server_port pgtap)" --username postgres --dbname citadel_ai test/pgtap/*.sql) 2>&1 | tee "$log" |
        grep -v '^ok [0-9]'
    status=${PIPESTATUS[0]}
    server_stop pgtap
    tap_counts "$log" "$status"
}

# One TAP file; its own log and temporary folder, so that several run at once. CITADEL_OPT_LONG asks for its long form.
tap_file() {
    local file=$1 log=$WORK/$1.log limit=600 status
    [ -z "$long" ] || limit=7200
    as_server mkdir -p "$WORK/tests/$file"
    # TESTDIR until 15, the other two since 16.
    (cd "$WORK/tests" && as_server env "PATH=$STAGE_BIN:$PATH" "TESTDIR=$WORK/tests/$file" \
        "TESTDATADIR=$WORK/tests/$file/tmp_check" "TESTLOGDIR=$WORK/tests/$file/tmp_check/log" \
        "PG_REGRESS=$STAGE_PGXS/test/regress/pg_regress" "PG_TEST_PORT_DIR=$WORK/tests/portlock" \
        "CITADEL_OPT_LONG=$long" "CITADEL_OPT_SANITIZED=$sanitize" timeout --kill-after=30 $((sanitize_factor * limit)) \
        prove --verbose --nocolor -I "$STAGE_PGXS/test/perl" -I test/tap "test/tap/$file") >"$log" 2>&1
    status=$?
    tap_counts "$log" "$status"
    if [ "$status" -eq 0 ]; then
        echo "ok - $file: $(sed -n 's/^Files=1, Tests=\([0-9]*\), *\([0-9]*\) wallclock.*/\1 tests, \2 s/p' "$log")"
        rm -rf "$WORK/tests/${file:?}/tmp_check"
    else
        echo "not ok - $file (status $status)"
        cat "$log"
        tail -40 "$WORK/tests/$file"/tmp_check/log/*.log 2>/dev/null
    fi
}

suite_tap() {
    prepared || return 1
    local file running=0
    compgen -G "$WORK/tests/test/tap/*.pl" >/dev/null || return 0
    # The tests wait more than they work: one more at a time than there are processors.
    for file in "$WORK"/tests/test/tap/*.pl; do
        if [ "$running" -gt "$jobs" ]; then
            wait -n
            running=$((running - 1))
        fi
        (output=$(tap_file "$(basename "$file")"); echo "$output") &
        running=$((running + 1))
    done
    wait
}
