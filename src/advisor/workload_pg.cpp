#include "advisor/workload_pg.hpp"

#include "capture/capture.hpp"

#include "pg/preload.hpp"
#include "pg/spi.hpp"

namespace citadel::advisor {

namespace {

// More distinct statements than that are rarely worth their planning; the lightest are left out, and counted.
constexpr std::size_t max_statements = 500;
// Sets of known values to plan a statement with, beside the generic plan.
constexpr std::size_t max_known = 3;

} // namespace

// A statement's search_path is the one it was captured with; else the default of its role (ALTER ROLE ... SET), as a
// new session of that role would have it.
CapturedWorkload captured_workload() {
    CapturedWorkload workload;
    {
        pg::Spi spi;
        const pg::Rows rows = spi.query(R"(
            WITH counted AS (
                SELECT query_id, user_id, pg_catalog.sum(calls)::float8 AS calls, pg_catalog.sum(total_ms) AS ms
                FROM citadel.visible_statement_delta
                WHERE at > pg_catalog.now() - interval '7 days'
                GROUP BY query_id, user_id
            ), sampled AS (
                SELECT query_id, user_id, pg_catalog.count(*)::float8 AS calls, pg_catalog.sum(duration_ms) AS ms
                FROM citadel.visible_sample
                WHERE ended_at > pg_catalog.now() - interval '7 days' AND kind = 'slow_statement'
                GROUP BY query_id, user_id
            )
            SELECT s.query_id, s.user_id, s.query, s.truncated,
                   coalesce(s.search_path,
                       (SELECT pg_catalog.substr(c.setting, 13)
                        FROM pg_catalog.pg_db_role_setting r, pg_catalog.unnest(r.setconfig) AS c (setting)
                        WHERE pg_catalog.starts_with(c.setting, 'search_path=') AND r.setrole IN (s.user_id, 0)
                          AND r.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d
                                                    WHERE d.datname = pg_catalog.current_database()))
                        ORDER BY r.setrole <> 0 DESC, r.setdatabase <> 0 DESC LIMIT 1),
                       (SELECT g.boot_val FROM pg_catalog.pg_settings g WHERE g.name = 'search_path')),
                   greatest(c.calls, p.calls), greatest(c.ms, p.ms)
            FROM citadel.visible_statement s
            LEFT JOIN counted c USING (query_id, user_id)
            LEFT JOIN sampled p USING (query_id, user_id)
            WHERE greatest(c.calls, p.calls) > 0
            ORDER BY 7 DESC NULLS LAST, 6 DESC NULLS LAST, 1, 2)");
        for (std::size_t i = 0; i < rows.size(); ++i) {
            WorkloadStatement statement;
            statement.query_id = rows.int64(i, 0);
            statement.user = rows.oid(i, 1);
            statement.text = rows.text(i, 2);
            statement.search_path = rows.text(i, 4);
            statement.calls = rows.float8(i, 5);
            statement.load_ms = rows.float8(i, 6);
            statement.truncated = rows.boolean(i, 3);
            if (workload.statements.size() < max_statements)
                workload.statements.push_back(std::move(statement));
            else
                ++workload.left_out;
        }
    }
    if (!pg::preloaded())
        return workload;
    for (WorkloadStatement& statement : workload.statements) {
        for (capture::ParameterSet& set :
             capture::parameter_sets(static_cast<std::uint64_t>(statement.query_id), statement.user)) {
            if (statement.known.size() == max_known)
                break;
            statement.known.push_back({std::move(set.literals), std::move(set.binds)});
        }
    }
    return workload;
}

} // namespace citadel::advisor
