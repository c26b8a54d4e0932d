// Probes of the door (src/pg/) for the tests (sql/door.sql, test/tap/020_errors.pl): SQL functions that make errors,
// exceptions, role switches and allocations on purpose. Linked with the door's objects into a library of its own, never
// installed.
#include "pg/server.hpp"

#include "advisor/what_if_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "pg/role.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"
#include "pg/text.hpp"
#include "pg/tuplestore.hpp"

#include <malloc.h>

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

extern "C" {
#include "catalog/pg_authid_d.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/timeout.h"
PG_MODULE_MAGIC;
void _PG_init(void);
}

namespace pg = citadel::pg;

extern "C" void _PG_init(void) {
    pg::init_errors();
    citadel::advisor::install_what_if();
}

namespace {

int destructors_run = 0;

struct CountsItsDestruction {
    ~CountsItsDestruction() { ++destructors_run; }
};

std::string text_argument(FunctionCallInfo fcinfo, int i) {
    return pg::to_string(PG_GETARG_TEXT_PP(i));
}

std::vector<pg::Arg> parts_of(const pg::Error& error) {
    return {pg::arg(error.sqlstate()), pg::arg(error.what()), pg::arg(error.detail()), pg::arg(error.hint()),
            pg::arg(std::int32_t{error.data().cursorpos > 0 ? error.data().cursorpos : error.data().internalpos})};
}

std::int64_t run_sql(const std::string& sql) {
    const CountsItsDestruction witness;
    pg::Spi spi;
    return static_cast<std::int64_t>(spi.query(sql).size());
}

std::int64_t context_bytes() {
    return static_cast<std::int64_t>(MemoryContextMemAllocated(TopMemoryContext, true));
}

} // namespace

// server -> C++: runs SQL, catches its error in C++ and returns its parts.
CITADEL_FUNCTION(citadel_test_catch) {
    const std::string sql = text_argument(fcinfo, 0);
    pg::ResultSet rows(fcinfo);
    if (const auto error = pg::try_subtransaction([&sql] {
            pg::Spi spi;
            spi.execute(sql);
        }))
        rows.row(parts_of(*error));
    return 0;
}

// server -> C++ -> server: a parse error keeps its position through both borders.
CITADEL_FUNCTION(citadel_test_parse) {
    const std::string sql = text_argument(fcinfo, 0);
    const char* source = sql.c_str();
    CountsItsDestruction witness;
    pg::guard([source] { (void)pg_parse_query(source); });
    return 0;
}

// C++ -> server: throws what is asked for.
CITADEL_FUNCTION(citadel_test_throw) {
    const std::string kind = text_argument(fcinfo, 0);
    CountsItsDestruction witness;
    if (kind == "bad_alloc")
        throw std::bad_alloc();
#ifdef CITADEL_SANITIZED
    // AddressSanitizer ends the process instead of throwing.
    if (kind == "huge")
        throw std::bad_alloc();
#endif
    if (kind == "huge") {
        const std::string huge(std::size_t{1} << 60, 'x');
        // g++ 16 would do without the memory.
        asm volatile("" : : "r"(huge.data()) : "memory");
        PG_RETURN_INT64(static_cast<int64>(huge.size()));
    }
    if (kind == "standard")
        throw std::runtime_error("a standard exception");
    if (kind == "unknown")
        throw 42;
    if (kind == "long_message")
        throw std::runtime_error(std::string(100000, 'x'));
    if (kind == "in_subtransaction")
        pg::subtransaction([] { throw 7; });
    // Across two boundaries and two guards: C++ -> server -> C++ -> server.
    if (kind == "nested")
        run_sql("SELECT door.throw('raise')");
    // An error that was caught must not come back in place of the next one.
    if (kind == "caught_then_thrown") {
        (void)pg::try_subtransaction([] { run_sql("SELECT 1/0"); });
        throw std::runtime_error("the second error");
    }
    if (kind == "nothing")
        PG_RETURN_INT64(1);
    pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "a message with 100%s", "a detail", "a hint");
}

CITADEL_FUNCTION(citadel_test_destructors) {
    PG_RETURN_INT32(std::exchange(destructors_run, 0));
}

// Makes `count` errors on each road (server error in a guard; C++ exception through a boundary inside a guard), and
// returns by how many bytes all memory contexts of this backend grew.
CITADEL_FUNCTION(citadel_test_error_growth) {
    const std::int32_t count = PG_GETARG_INT32(0);
    const auto make_errors = [](std::int32_t times) {
        for (std::int32_t i = 0; i < times; ++i) {
            pg::MemoryScope scratch("errors");
            (void)pg::try_subtransaction([] {
                CountsItsDestruction witness;
                pg::guard([] { ereport(ERROR, (errmsg("an error"), errdetail("detail"), errhint("hint"))); });
            });
            (void)pg::try_subtransaction([] {
                pg::guard([] { pg::boundary([] { pg::raise(ERRCODE_DATA_EXCEPTION, "inner", "detail", "hint"); }); });
            });
        }
    };
    make_errors(1000);
    const Size before = MemoryContextMemAllocated(TopMemoryContext, true);
    make_errors(count);
    PG_RETURN_INT64(static_cast<int64>(MemoryContextMemAllocated(TopMemoryContext, true)) - static_cast<int64>(before));
}

// Runs SQL as a role inside a RoleScope, leaves it, and returns who we are afterwards.
CITADEL_FUNCTION(citadel_test_as_role) {
    const std::string role = text_argument(fcinfo, 0);
    const std::string sql = text_argument(fcinfo, 1);
    const auto work = PG_GETARG_BOOL(2) ? pg::RoleScope::Work::writes : pg::RoleScope::Work::reads;
    const char* role_name = role.c_str();
    const Oid user = pg::guard([role_name] { return get_role_oid(role_name, false); });
    {
        pg::RoleScope as(user, "pg_catalog, pg_temp", work);
        {
            pg::Spi spi;
            spi.execute(sql);
        }
        as.leave();
    }
    pg::Spi spi;
    const std::string who = spi.query("SELECT current_user").text(0, 0);
    text* result = nullptr;
    {
        // SPI's memory goes with the connection; the result belongs to the caller.
        pg::MemorySwitch out(fcinfo->flinfo->fn_mcxt);
        result = pg::to_text(who);
    }
    PG_RETURN_TEXT_P(result);
}

// Another extension took all the timeouts that extensions may have: the next one to ask for one loses its session.
CITADEL_FUNCTION(citadel_test_use_timeouts) {
    pg::guard([] {
        for (int i = USER_TIMEOUT; i < MAX_TIMEOUTS; ++i)
            (void)RegisterTimeout(USER_TIMEOUT, [] {});
    });
    PG_RETURN_VOID();
}

// Runs SQL and lets its error pass through C++ frames that own objects.
CITADEL_FUNCTION(citadel_test_pass_through) {
    const CountsItsDestruction outer;
    PG_RETURN_INT64(run_sql(text_argument(fcinfo, 0)));
}

// Bytes of all memory contexts of this session, and of its C++ heap.
CITADEL_FUNCTION(citadel_test_memory) {
    const struct mallinfo2 heap = mallinfo2();
    return pg::composite(fcinfo, {pg::arg(context_bytes()), pg::arg(static_cast<std::int64_t>(heap.uordblks))});
}

// Runs SQL in a subtransaction, a memory scope and a role scope; says how it ended, and what was not restored after it.
CITADEL_FUNCTION(citadel_test_state_restored) {
    const std::string sql = text_argument(fcinfo, 0);
    const MemoryContext memory = CurrentMemoryContext;
    const ResourceOwner owner = CurrentResourceOwner;
    const Oid user = GetUserId();
    const int nest_level = GetCurrentTransactionNestLevel();
    const std::string path = GetConfigOption("search_path", false, false);
    const auto error = pg::try_subtransaction([&sql] {
        const pg::MemoryScope scope("probe");
        pg::RoleScope as(BOOTSTRAP_SUPERUSERID, "pg_catalog, pg_temp");
        run_sql(sql);
        as.leave();
    });
    std::string outcome = error ? error->sqlstate() : "OK";
    if (CurrentMemoryContext != memory)
        outcome += ": memory context";
    if (CurrentResourceOwner != owner)
        outcome += ": resource owner";
    if (GetUserId() != user || InSecurityRestrictedOperation())
        outcome += ": user";
    if (GetCurrentTransactionNestLevel() != nest_level)
        outcome += ": nesting";
    if (path != GetConfigOption("search_path", false, false))
        outcome += ": search_path";
    PG_RETURN_TEXT_P(pg::to_text(outcome));
}

// The first column of the rows of this SQL, and its length.
CITADEL_FUNCTION(citadel_test_set_rows) {
    const CountsItsDestruction witness;
    pg::ResultSet result(fcinfo);
    pg::Rows rows;
    {
        pg::Spi spi;
        rows = spi.query(text_argument(fcinfo, 0));
    }
    for (std::size_t i = 0; i < rows.size(); ++i)
        result.row({rows.is_null(i, 0) ? pg::null() : pg::arg(rows.text(i, 0)),
                    pg::arg(static_cast<std::int64_t>(rows.text(i, 0).size()))});
    return 0;
}
