# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/check sets root, source_folder, make and jobs
# The lint suite: formatting, static analysis, shell scripts, the order of the rooms, and that no test is forgotten.

suite_lint() {
    check "clang-format" format_check
    check "PG_VERSION_NUM stays in src/pg" version_checks_in_one_place
    check "server headers stay behind the door" server_headers_in_place
    check "rooms include only rooms below them" rooms_look_down
    check "every regression test is scheduled and has its expected output" regress_complete
    check "every test file is where its runner looks" tests_in_place
    check "every SQL part is listed once" sql_parts_complete
    check "META.json follows the PGXN Meta Spec and names what is there" python3 scripts/lib/check_meta.py
    check "one version everywhere, releases are kept, packages are listed with licences" python3 scripts/lib/check_release.py
    check "messages that ask for something are in docs/troubleshooting.md" python3 scripts/lib/check_messages.py
    check "shellcheck" shell_scripts
    check "cppcheck" cppcheck_all
    clang_tidy_all
}

cpp_files() { find src test -name '*.cpp' -o -name '*.hpp' | sort; }

format_check() {
    # shellcheck disable=SC2046 # file names without blanks
    clang-format --dry-run -Werror $(cpp_files)
}

version_checks_in_one_place() { ! grep -rn 'PG_VERSION_NUM' src --include='*.[ch]pp' | grep -v '^src/pg/'; }

# Plain C++ is what can be tested without a server: it includes neither the door nor a server header, and may not be
# named *_pg. The preprocessor knows: without the server's include folder a server header does not resolve. (That it
# compiles so is what the unit tests' build shows.)
server_headers_in_place() {
    local file included bad=0
    for file in $(find src -name '*.cpp' | grep -vE '^src/pg/|_pg\.cpp$|^src/citadel_opt\.cpp$'); do
        if ! included=$(g++ -std=c++20 -Isrc -MM "$file" 2>"$WORK/headers.log"); then
            echo "$file needs the server:"
            head -5 "$WORK/headers.log"
            bad=1
        elif grep -qE 'src/pg/|_pg\.hpp' <<<"$included"; then
            echo "$file includes the door"
            bad=1
        fi
    done
    return $bad
}

# The floors of docs/architecture.md, from the ground.
room_floor() {
    case $1 in
        text) echo -1 ;;
        pg) echo 0 ;;
        settings) echo 1 ;;
        audit | capture) echo 2 ;;
        jobs) echo 3 ;;
        history) echo 4 ;;
        advisor | lifecycle | maintenance) echo 5 ;;
        statistics) echo 6 ;;
        alerts) echo 7 ;;
        citadel_opt.cpp) echo 8 ;;
        *) echo "room_floor: unknown room $1" >&2; echo 99 ;;
    esac
}

rooms_look_down() {
    local file room included bad=0
    while IFS=: read -r file included; do
        room=$(echo "$file" | cut -d/ -f2)
        included=$(echo "$included" | sed 's/.*"\([a-z_]*\)\/.*/\1/')
        [ -d "src/$included" ] || continue
        [ "$room" = "$included" ] && continue
        if [ "$(room_floor "$included")" -ge "$(room_floor "$room")" ]; then
            echo "$file includes $included, which is not below $room"
            bad=1
        fi
    done < <(grep -rHE '^ *#include "[a-z_]+/' src --include='*.[ch]pp')
    return $bad
}

regress_complete() {
    local bad=0 name scheduled
    scheduled=$(sed -n 's/^test: *//p' test/regress_schedule | tr ' ' '\n' | sort)
    diff <(find sql -name '*.sql' -printf '%f\n' | sed 's/\.sql$//' | sort) <(echo "$scheduled") || bad=1
    for name in $scheduled; do
        [ -e "expected/$name.out" ] || { echo "no expected/$name.out"; bad=1; }
    done
    for name in $(find expected -name '*.out' -printf '%f\n' | sed -E 's/(_[0-9])?\.out$//'); do
        grep -qx "$name" <<<"$scheduled" || { echo "expected/$name.out belongs to no test"; bad=1; }
    done
    return $bad
}

tests_in_place() {
    local bad
    bad=$({
        # GoogleTest files that the builds' pattern does not match.
        grep -rlE '^(TEST|TEST_F|TEST_P)\(' test src --include='*.cpp' | grep -vE '^test/unit/[a-z0-9_]+_test\.cpp$'
        # Perl, SQL and specs outside the folders of their runners.
        find test \( -name '*.pl' -o -name '*.t' \) | grep -vE '^test/tap/[0-9]{3}_[a-z0-9_]+\.pl$'
        find test -name '*.sql' | grep -vE '^test/(pgtap|modules|sqlsmith|upgrade)/'
        find test -name '*.spec' | grep -vE '^test/isolation/specs/[a-z0-9_]+\.spec$'
    } 2>/dev/null)
    [ -z "$bad" ] || { echo "No runner finds:"; echo "$bad"; return 1; }
    for spec in test/isolation/specs/*.spec; do
        [ -e "$spec" ] || continue
        [ -e "test/isolation/expected/$(basename "$spec" .spec).out" ] || { echo "$spec has no expected output"; return 1; }
    done
}

sql_parts_complete() {
    local lists=src/sql_parts
    [ ! -e src/tasks_sql_parts ] || lists="$lists src/tasks_sql_parts"
    # shellcheck disable=SC2086 # a list of words
    diff <(find src -name '*.sql' -not -path 'src/upgrade/*' | sort) <(cat $lists | sort)
}

shell_scripts() {
    # SC2034, SC2154: libraries and the scripts that source them share variables.
    # shellcheck disable=SC2046 # file names without blanks
    shellcheck -x --severity=warning --exclude=SC2034,SC2154 .ci/run $(find scripts bench debian/tests -type f 2>/dev/null | while read -r file; do
        case $file in
            *.sh) echo "$file" ;;
            *) head -1 "$file" | grep -qE '^#!.*\b(ba)?sh\b' && echo "$file" ;;
        esac
    done)
}

cppcheck_all() {
    cppcheck --quiet --error-exitcode=1 -j"$jobs" --std=c++20 --language=c++ --enable=warning,performance,portability -Isrc \
        --library=scripts/lib/cppcheck.cfg --suppressions-list=scripts/lib/cppcheck.suppressions --suppress=unmatchedSuppression src
}

# clang-tidy is slow (seconds a file): files whose preprocessed text, rules and version were clean before are skipped.
# The cache lies in build/, which a fresh clone does not have. Most of the time goes to the analyzer's exploration of a
# few functions up to its limit of nodes; the short form stops it at a fifth, `--long` lets it have them all.
clang_tidy_all() {
    local cache=$root/build/tidy nodes=${long:+225000}
    mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache=$WORK/tidy && mkdir -p "$cache"
    TIDY_FLAGS="-std=c++20 -Isrc -isystem $("$PG_CONFIG" --includedir-server) -Wno-register"
    TIDY_FLAGS+=" -Xclang -analyzer-config -Xclang max-nodes=${nodes:-45000}"
    export TIDY_FLAGS TIDY_CACHE=$cache
    find src -name '*.cpp' | sort | xargs -P "$jobs" -n 1 "$root/scripts/lib/tidy_one" | tee "$WORK/tidy.log"
    record "$(grep -c '^ok - ' "$WORK/tidy.log")" "$(grep -c '^not ok - ' "$WORK/tidy.log")"
}
