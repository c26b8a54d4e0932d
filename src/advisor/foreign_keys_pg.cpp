#include "advisor/foreign_keys_pg.hpp"

#include "pg/plan_tree.hpp"
#include "pg/spi.hpp"

extern "C" {
#include "parser/parsetree.h"
}

namespace citadel::advisor {

std::vector<Deletion> deletions_of(const std::vector<PlannedStmt*>& plans) {
    struct Search {
        const PlannedStmt* statement = nullptr;
        std::vector<Deletion> found;
    } search;
    for (PlannedStmt* plan : plans) {
        search.statement = plan;
        pg::visit_plan(
            plan,
            [](Plan* node, void* context) {
                auto* search = static_cast<Search*>(context);
                if (!IsA(node, ModifyTable))
                    return;
                const auto* modify = reinterpret_cast<ModifyTable*>(node);
                if (modify->operation != CMD_DELETE || outerPlan(node) == nullptr)
                    return;
                const RangeTblEntry* target = rt_fetch(modify->nominalRelation, search->statement->rtable);
                search->found.push_back({target->relid, outerPlan(node)->plan_rows});
            },
            &search);
    }
    return search.found;
}

std::vector<std::string> reference_checks(Oid referenced) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        SELECT format('SELECT x.ctid FROM %s %I.%I AS x WHERE %s', CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY' END,
                      n.nspname, r.relname,
                      string_agg(format('x.%I OPERATOR(pg_catalog.=) $%s', a.attname, k.place), ' AND ' ORDER BY k.place))
        FROM pg_constraint AS c
        JOIN pg_class AS r ON r.oid = c.conrelid
        JOIN pg_namespace AS n ON n.oid = r.relnamespace
        CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
        WHERE c.contype = 'f' AND c.confrelid = $1 AND c.conparentid = 0
        GROUP BY c.oid, r.relkind, n.nspname, r.relname
        ORDER BY c.oid
        LIMIT 50)",
                                    {pg::arg_oid(referenced)});
    std::vector<std::string> found;
    for (std::size_t row = 0; row < rows.size(); ++row)
        found.push_back(rows.text(row, 0));
    return found;
}

} // namespace citadel::advisor
