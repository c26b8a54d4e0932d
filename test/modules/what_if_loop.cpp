// For bench/advisor: the advisor's what-if call in a loop, as its cost source makes it.
#include "pg/server.hpp"

#include "advisor/index_definition_pg.hpp"
#include "advisor/statement_pg.hpp"
#include "advisor/what_if_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/memory.hpp"
#include "pg/text.hpp"
#include "pg/tuplestore.hpp"

extern "C" {
#include "portability/instr_time.h"
#include "utils/array.h"
}

namespace pg = citadel::pg;
using namespace citadel::advisor;

// what_if_loop(query text, indexes text[], calls int, OUT cost float8, OUT milliseconds float8): analyses the statement
// once, then `calls` times arms the hypothetical indexes, plans, and disarms them. Nothing is cached between calls.
CITADEL_FUNCTION(citadel_what_if_loop) {
    const pg::MemoryScope memory("what-if loop");
    Statement statement = Statement::analyse(pg::to_string(PG_GETARG_TEXT_PP(0)));
    IndexPool pool;
    std::vector<PreparedIndex*> indexes;
    for (const std::string& definition : pg::text_array(PG_GETARG_ARRAYTYPE_P(1), "indexes"))
        indexes.push_back(&pool.prepare(parse_index_definition(definition)));
    const std::int32_t calls = PG_GETARG_INT32(2);

    double cost = 0;
    std::size_t used = 0;
    instr_time start;
    INSTR_TIME_SET_CURRENT(start);
    for (std::int32_t i = 0; i < calls; ++i) {
        pg::guard([] { CHECK_FOR_INTERRUPTS(); });
        const pg::MemoryScope scratch("what-if call");
        const ArmedIndexes armed(pool, indexes);
        const auto plans = statement.plan(nullptr);
        cost = total_cost(plans);
        for (const bool one : armed.used_by(plans))
            used += one ? 1 : 0;
    }
    instr_time end;
    INSTR_TIME_SET_CURRENT(end);
    INSTR_TIME_SUBTRACT(end, start);
    const pg::MemorySwitch out(fcinfo->flinfo->fn_mcxt);
    return pg::composite(
        fcinfo, {pg::arg(cost), pg::arg(INSTR_TIME_GET_MILLISEC(end)), pg::arg(static_cast<double>(used) / calls)});
}
