# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/check sets root, make, sanitize, long and suite
# Servers under AddressSanitizer and UndefinedBehaviorSanitizer: our library is built with them, the server, which is
# not, loads their runtime before anything else. Memory that we take from C++, our stack and our arithmetic are watched;
# what we do inside the server's memory contexts is seen where a chunk has a block of its own.
# (The server is compiled with -fwrapv; we are not to depend on it.)

SANITIZED_FLAGS="-O0 -g1 -fno-omit-frame-pointer -fno-wrapv -fsanitize=address,undefined -fno-sanitize=function"

# So many times as long a test may take.
sanitize_factor=1
[ -z "$sanitize" ] || sanitize_factor=4

# Everything from here on is built by clang in a tree of its own.
sanitize_build() {
    make="$make CXX=${CLANGXX:-clang++}"
    # Bitcode is not run here.
    export MAKEFLAGS="${MAKEFLAGS:-} with_llvm=no" OPTIMIZE="$SANITIZED_FLAGS"
}

# The staged `postgres` becomes a script that starts the real one with the runtime loaded. The steps of initdb load no
# library of ours. Two more libraries go with it: the runtime starts at the first malloc, which must come before
# libgpg-error's constructor takes a lock of glibc (the runtime would give it back once more, and the server hang); and
# it looks for the functions of C++ exceptions when it starts, so libstdc++ has to be there.
sanitize_stage() {
    local runtime
    runtime=$(readlink -f "$("${CLANGXX:-clang++}" -print-file-name="libclang_rt.asan-$(uname -m).so")") && [ -e "$runtime" ] ||
        { echo "clang has no shared runtime of AddressSanitizer"; return 1; }
    grep -q __asan_report <<<"$(nm -u "$source_folder/citadel_opt.so")" || { echo "the library is not sanitized"; return 1; }
    mkdir -p "$WORK/reports" && chmod 1777 "$WORK/reports" || return 1
    # What the server starts (COPY TO PROGRAM) is not to be watched.
    echo '#include <stdlib.h>
        #include <string.h>
        __attribute__((constructor)) static void first(int count, char** arguments, char** environment) {
            free(malloc(1));
            for (; *environment; ++environment)
                if (strncmp(*environment, "LD_PRELOAD=", 11) == 0)
                    **environment = 95;
        }' | gcc -x c -shared -fPIC -O0 -Wl,-z,initfirst -o "$WORK/stage/first.so" - || return 1
    chmod a+rx "$WORK/stage/first.so"
    mv "$STAGE_BIN/postgres" "$STAGE_BIN/postgres.real" || return 1
    cat >"$STAGE_BIN/postgres" <<END || return 1
#!/bin/bash
case " \$* " in
    *" --boot "* | *" --single "* | *" -V "* | *" --version "* | *" -C "* | *" --check "*) ;;
    *)
        echo started >>"$WORK/reports/starts"
        export LD_PRELOAD="$runtime $WORK/stage/first.so $(readlink -f "$(g++ -print-file-name=libstdc++.so.6)")"
        # Leaks: the server frees nothing when it ends. Stack frames must lie on the stack, which the server measures.
        common="log_path=$WORK/reports/report:handle_abort=0:print_stacktrace=1:exitcode=99"
        export ASAN_OPTIONS="\$common:detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1:quarantine_size_mb=16"
        export UBSAN_OPTIONS="\$common:halt_on_error=0"
        ;;
esac
exec -a "\$0" "\$0.real" "\$@"
END
    chmod 755 "$STAGE_BIN/postgres"
}

# After a suite: what the sanitizers wrote, each place in the source once.
sanitizer_reports() {
    local reports
    mapfile -t reports < <(find "$WORK/reports" -name 'report.*' -size +0 2>/dev/null)
    if [ ${#reports[@]} -eq 0 ]; then
        [ -s "$WORK/reports/starts" ] || { echo "not ok - no server was started under the sanitizers"; record 0 1; return; }
        echo "ok - no report of a sanitizer, $(wc -l <"$WORK/reports/starts") starts of servers"
        record 1 0
    else
        echo "not ok - ${#reports[@]} reports of the sanitizers; the first:"
        head -40 "${reports[0]}"
        grep -hE 'runtime error:|ERROR: AddressSanitizer|SUMMARY:' "${reports[@]}" | sed 's/^==[0-9]*==//' | sort | uniq -c | sort -rn | head -40
        record 0 1
    fi
    rm -rf "$WORK/reports/"*
}

# The short form runs the quicker regression tests, with the library that the suite variants has built.
sanitized_tests="install door capture counted_runs history_causes slow_queries latency query_history relation_history statistics
    what_if advisor advise_relations advise_statements selection build_plan holds jobs alerts maintenance lifecycle archive
    archive_restore archive_adopt lifecycle_odd"
suite_sanitize() {
    local tree=${SANITIZED_TREE:-$WORK/clang}
    [ -e "$tree/citadel_opt.so" ] || tree=
    local log=$WORK/sanitize.log
    # shellcheck disable=SC2046 # words
    SANITIZED_TREE=$tree REGRESS_TESTS=$([ -n "$long" ] || echo $sanitized_tests) "$root/scripts/check" --sanitize $(if [ -z "$long" ]; then echo --suite regress; fi) 2>&1 | tee "$log"
    record "$(sed -n '$s/^\([0-9]*\) passed, .*/\1/p' "$log" | grep . || echo 0)" "$(sed -n '$s/.* passed, \([0-9]*\) failed/\1/p' "$log" | grep . || echo 1)"
}
