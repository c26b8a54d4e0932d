#include "advisor/foreign_keys_pg.hpp"

#include "pg/guard.hpp"
#include "pg/plan_tree.hpp"
#include "pg/spi.hpp"

extern "C" {
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace citadel::advisor {

namespace {

// The columns that an update sets, as columns of the table it names: a partition may have others.
std::vector<AttrNumber> updated_columns(const ModifyTable* modify, const PlannedStmt* statement, Oid table) {
    std::vector<AttrNumber> columns;
    if (modify->updateColnosLists == NIL)
        return columns;
    const Oid first = rt_fetch(linitial_int(modify->resultRelations), statement->rtable)->relid;
    const ListCell* cell;
    foreach (cell, static_cast<List*>(linitial(modify->updateColnosLists))) {
        const auto column = static_cast<AttrNumber>(lfirst_int(cell));
        if (first == table) {
            columns.push_back(column);
            continue;
        }
        columns.push_back(pg::guard([=]() -> AttrNumber {
            const char* name = get_attname(first, column, true);
            return name == nullptr ? static_cast<AttrNumber>(InvalidAttrNumber) : get_attnum(table, name);
        }));
    }
    return columns;
}

} // namespace

std::vector<ReferencedChange> referenced_changes(const std::vector<PlannedStmt*>& plans) {
    struct Search {
        const PlannedStmt* statement = nullptr;
        std::vector<ReferencedChange> found;
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
                const bool updates = modify->operation == CMD_UPDATE;
                if ((modify->operation != CMD_DELETE && !updates) || outerPlan(node) == nullptr)
                    return;
                const Oid target = rt_fetch(modify->nominalRelation, search->statement->rtable)->relid;
                ReferencedChange change{target, outerPlan(node)->plan_rows, {}};
                if (updates)
                    change.columns = updated_columns(modify, search->statement, target);
                if (!updates || !change.columns.empty())
                    search->found.push_back(std::move(change));
            },
            &search);
    }
    return search.found;
}

std::vector<std::string> reference_checks(const ReferencedChange& change) {
    std::string columns = "{";
    for (const AttrNumber column : change.columns)
        columns += (columns.size() > 1 ? "," : "") + std::to_string(column);
    columns += "}";
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
            AND ($2 = '{}' OR c.confkey && $2::int2[])
        GROUP BY c.oid, r.relkind, n.nspname, r.relname
        ORDER BY c.oid
        LIMIT 50)",
                                    {pg::arg_oid(change.relation), pg::arg(columns)});
    std::vector<std::string> found;
    for (std::size_t row = 0; row < rows.size(); ++row)
        found.push_back(rows.text(row, 0));
    return found;
}

} // namespace citadel::advisor
