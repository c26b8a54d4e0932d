#include "advisor/column_sample_pg.hpp"

#include "pg/role.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"

#include <algorithm>

namespace citadel::advisor {

namespace {

constexpr double sample_rows = 30000.0;
// Sampling opens every partition.
constexpr std::int64_t most_partitions = 200;

struct Table {
    CorrelationFacts facts;
    Oid owner = InvalidOid;
    double share = 100.0; // of its pages to read, per cent
};

std::optional<Table> look_at(const ColumnPair& pair) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        WITH tree AS MATERIALIZED (
            SELECT t.kind, c.reltuples
            FROM citadel.partition_tree(ARRAY[$1]) t JOIN pg_catalog.pg_class c ON c.oid = t.relation
        )
        SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relowner,
               pg_catalog.quote_ident(a.attname), pg_catalog.quote_ident(b.attname),
               (SELECT pg_catalog.sum(greatest(t.reltuples, 0)) FROM tree t WHERE t.kind <> 'p')::float8,
               (SELECT pg_catalog.count(*) FROM tree t),
               EXISTS (SELECT FROM pg_catalog.pg_statistic_ext s
                       WHERE s.stxrelid = c.oid AND s.stxkeys::int2[] @> ARRAY[a.attnum, b.attnum]),
               pg_catalog.format('%I.%I', n.nspname, free.name)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = $2 AND NOT a.attisdropped
        JOIN pg_catalog.pg_attribute b ON b.attrelid = c.oid AND b.attnum = $3 AND NOT b.attisdropped
        CROSS JOIN LATERAL (
            SELECT v.name FROM (
                SELECT pg_catalog.left(pg_catalog.concat_ws('_', c.relname, a.attname, b.attname), 50) || '_stat'
                       || CASE WHEN k = 0 THEN '' ELSE k::text END, k
                FROM pg_catalog.generate_series(0, 99) k) AS v (name, k)
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext s
                              WHERE s.stxnamespace = n.oid AND s.stxname = v.name)
            ORDER BY v.k LIMIT 1) AS free
        WHERE c.oid = $1 AND c.relkind IN ('r', 'm', 'p'))",
                                    {pg::arg_oid(pair.relation), pg::arg(static_cast<std::int32_t>(pair.first)),
                                     pg::arg(static_cast<std::int32_t>(pair.second))});
    if (rows.empty() || rows.int64(0, 5) > most_partitions || rows.float8(0, 4) < 1000.0)
        return std::nullopt;
    Table table;
    table.facts.relation = pair.relation;
    table.facts.name = rows.text(0, 0);
    table.owner = rows.oid(0, 1);
    table.facts.first_column = rows.text(0, 2);
    table.facts.second_column = rows.text(0, 3);
    table.facts.table_rows = rows.float8(0, 4);
    table.facts.has_statistics = rows.boolean(0, 6);
    table.facts.statistics_name = rows.text(0, 7);
    table.share = std::clamp(100.0 * sample_rows / table.facts.table_rows, 0.001, 100.0);
    return table;
}

} // namespace

// Whole pages are sampled, so rows that were written together are sampled together; the pairs counted are those within
// the sample and within the independence assumption of the same sample, so that cancels out as far as it can.
std::optional<CorrelationFacts> sample_pair(const ColumnPair& pair) {
    std::optional<Table> table;
    const std::optional<pg::Error> failure = pg::try_discarded_subtransaction([&] {
        table = look_at(pair);
        if (!table || table->facts.has_statistics)
            return;
        CorrelationFacts& facts = table->facts;
        const pg::RoleScope owner(table->owner);
        pg::Spi spi;
        const pg::Rows rows = spi.query(
            "WITH sampled AS MATERIALIZED (SELECT " + facts.first_column + " AS a, " + facts.second_column +
            " AS b FROM " + facts.name + " TABLESAMPLE SYSTEM (" + std::to_string(table->share) +
            ") REPEATABLE (0) LIMIT 60000), "
            "total AS (SELECT pg_catalog.count(*)::float8 AS n FROM sampled), "
            "one AS (SELECT a, pg_catalog.count(*)::float8 AS n FROM sampled GROUP BY a), "
            "two AS (SELECT b, pg_catalog.count(*)::float8 AS n FROM sampled GROUP BY b), "
            "both_of AS (SELECT a, b, pg_catalog.count(*)::float8 AS n FROM sampled WHERE a IS NOT NULL AND b IS NOT "
            "NULL "
            "GROUP BY a, b) "
            "SELECT coalesce(pg_catalog.sum(p.n * (p.n - 1)), 0), "
            "coalesce(pg_catalog.sum(p.n * (one.n - 1) * (two.n - 1)), 0) / greatest(pg_catalog.max(total.n) - 1, 1), "
            "coalesce(pg_catalog.max(total.n), 0) "
            "FROM total CROSS JOIN both_of p JOIN one USING (a) JOIN two USING (b)");
        facts.pairs_alike = rows.float8(0, 0);
        facts.pairs_if_independent = rows.float8(0, 1);
        facts.sampled_rows = rows.float8(0, 2);
    });
    pg::rethrow_intervention(failure);
    if (failure || !table)
        return std::nullopt;
    return table->facts;
}

} // namespace citadel::advisor
