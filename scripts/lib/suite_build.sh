# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/check sets root, source_folder, make and jobs
# The suites that build: every supported way, and what the results must look like.

CLANGXX=${CLANGXX:-clang++}

# copy_tree FOLDER: the sources without anything that was built.
copy_tree() {
    mkdir -p "$1" && tar -C "$root" --exclude=./.git --exclude=./build --exclude=./results --exclude=./tmp_check \
        --exclude=./output_iso --exclude='./citadel_*--*.sql' --exclude='*.o' --exclude='*.bc' --exclude='*.d' \
        --exclude='*.so' -cf - . | tar -C "$1" --no-same-owner -xf - && chmod -R u+rwX "$1"
}

suite_build() {
    check "g++: PGXS build without a warning" $make WERROR=1
    check "make install into a private PostgreSQL" prepared
    check "exported symbols are the intended ones" exported_symbols citadel_opt.so
    if server_has_llvm; then
        check "bitcode of every source file is installed" bitcode_installed
    fi
    check "a header's dependents are rebuilt, others are not" header_dependencies
    check "nothing is rebuilt without a change" up_to_date
}

# The other compiler and the other build system. What they make runs no server, so they need not optimise.
suite_variants() {
    check "the library is built" prepared
    check "$CLANGXX: PGXS build without a warning" clang_build
    check "meson: build without a warning" meson_build
    check "meson: exported symbols are the intended ones" exported_symbols "$WORK/meson/citadel_opt.so"
    check "meson: installs what make installs" meson_installs_the_same
    check "meson: unit tests and regression test are declared" meson_tests
}

# (grep -q on a here-string, not behind a pipe: it leaves at the first match, and what writes to it may die of that.)
# exported_symbols LIBRARY
exported_symbols() {
    local symbols extra name
    symbols=$(nm -D --defined-only "$1" | awk '{print $3}') || return 1
    extra=$(echo "$symbols" | grep -vE '^(_PG_init|Pg_magic_func|pg_finfo_citadel_[a-z0-9_]+|citadel_[a-z0-9_]+)$')
    if [ -n "$extra" ]; then
        echo "Exported, but not meant to be:" "$extra"
        return 1
    fi
    for name in $(echo "$symbols" | sed -n 's/^pg_finfo_//p'); do
        grep -qx "$name" <<<"$symbols" || { echo "pg_finfo_$name has no function"; return 1; }
    done
    # Every function that the SQL names exists.
    for name in $(sed -n "s/^AS 'MODULE_PATHNAME', '\([a-z0-9_]*\)'.*/\1/p" citadel_opt--*.sql | sort -u); do
        grep -qx "pg_finfo_$name" <<<"$symbols" || { echo "The SQL names $name, the library lacks it"; return 1; }
    done
    grep -qx _PG_init <<<"$symbols" && grep -qx Pg_magic_func <<<"$symbols"
}

# Does the build make bitcode? Not when the server has no JIT, nor with MAKEFLAGS=with_llvm=no.
server_has_llvm() {
    [[ " ${MAKEFLAGS:-} " != *" with_llvm=no "* ]] &&
        grep -qE '^with_llvm[[:space:]]*= *yes' "$(dirname "$("$PG_CONFIG" --pgxs)")/../Makefile.global"
}

bitcode_installed() {
    local folder file missing=0
    folder=$WORK/stage$("$PG_CONFIG" --pkglibdir)/bitcode
    [ -e "$folder/citadel_opt.index.bc" ] || { echo "no citadel_opt.index.bc"; return 1; }
    for file in src/*.cpp src/*/*.cpp; do
        [ -e "$folder/citadel_opt/${file%.cpp}.bc" ] || { echo "no bitcode of $file"; missing=1; }
    done
    return $missing
}

header_dependencies() {
    local commands
    commands=$($make -n -W src/settings/settings.hpp 2>/dev/null)
    grep -q -- '-o src/settings/settings_pg.o' <<<"$commands" || { echo "settings_pg.o is not rebuilt"; return 1; }
    if server_has_llvm; then
        grep -q -- '-o src/settings/settings_pg.bc' <<<"$commands" || { echo "settings_pg.bc is not rebuilt"; return 1; }
    fi
    if grep -q -- '-o src/pg/memory.o' <<<"$commands"; then
        echo "memory.o is rebuilt, though it does not include settings.hpp"
        return 1
    fi
    commands=$($make -n unit -W src/jobs/schedule.hpp 2>/dev/null)
    grep -q -- '-o build/unit/test/unit/schedule_test.o' <<<"$commands" || { echo "schedule_test.o is not rebuilt"; return 1; }
}

up_to_date() {
    local commands
    commands=$($make -n 2>/dev/null | grep -E -- ' -o |cat ')
    [ -z "$commands" ] || { echo "$commands"; return 1; }
}

clang_build() {
    # Bitcode is clang's already; here the library itself is, as the sanitize suite wants it.
    copy_tree "$WORK/clang" && $make -C "$WORK/clang" CXX="$CLANGXX" OPTIMIZE="$SANITIZED_FLAGS" WERROR=1 with_llvm=no &&
        exported_symbols "$WORK/clang/citadel_opt.so"
}

meson_build() {
    meson setup "$WORK/meson" "$source_folder" --werror -Dpg_config="$PG_CONFIG" -Doptimization=0 -Ddebug=false && ninja -C "$WORK/meson" &&
        ! grep 'warning:' "$WORK/$suite.check.log"
}

installed_files() { (cd "$1" && find . -type f \( -name '*citadel*' -o -path '*/bitcode/citadel*' \) | sort); }

meson_installs_the_same() {
    local file
    DESTDIR=$WORK/meson_destdir ninja -C "$WORK/meson" install >/dev/null || return 1
    $make -s DESTDIR="$WORK/make_destdir" install || return 1
    diff <(installed_files "$WORK/make_destdir") <(installed_files "$WORK/meson_destdir") || return 1
    for file in $(cd "$WORK/make_destdir" && find . -name '*.sql' -o -name '*.control'); do
        cmp "$WORK/make_destdir/$file" "$WORK/meson_destdir/$file" || return 1
    done
}

meson_tests() {
    local tests targets file
    tests=$(meson introspect --tests "$WORK/meson") || return 1
    grep -q '"unit"' <<<"$tests" && grep -q '"regress"' <<<"$tests" || { echo "$tests"; return 1; }
    targets=$(meson introspect --targets "$WORK/meson") || return 1
    for file in test/unit/*_test.cpp; do
        grep -q "$file" <<<"$targets" || { echo "meson does not build $file"; return 1; }
    done
    "$WORK/meson/unit_tests" --gtest_brief=1
}
