// citadel.what_if(): what a statement costs now, and what it would cost with other indexes, or without some.
#include "advisor/index_definition_pg.hpp"
#include "advisor/statement_pg.hpp"
#include "advisor/what_if_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/memory.hpp"
#include "pg/text.hpp"
#include "pg/tuplestore.hpp"

extern "C" {
#include "catalog/pg_class.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
}

namespace {

namespace pg = citadel::pg;
using namespace citadel::advisor;

std::vector<std::optional<std::string>> parameter_values(ArrayType* array) {
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    int count = 0;
    pg::guard([&] { deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count); });
    std::vector<std::optional<std::string>> values;
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            values.emplace_back(std::nullopt);
        else
            values.emplace_back(pg::to_string(elements[i], TEXTOID));
    }
    return values;
}

// regclass[]: indexes that exist.
std::vector<Oid> index_numbers(ArrayType* array) {
    std::vector<Oid> indexes;
    Datum* elements = nullptr;
    bool* nulls = nullptr;
    int count = 0;
    pg::guard(
        [&] { deconstruct_array(array, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &elements, &nulls, &count); });
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            continue;
        const Oid index = DatumGetObjectId(elements[i]);
        pg::guard([index] {
            const char kind = get_rel_relkind(index);
            if (kind != RELKIND_INDEX && kind != RELKIND_PARTITIONED_INDEX)
                ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                                get_rel_name(index) != nullptr ? errmsg("\"%s\" is not an index", get_rel_name(index))
                                                               : errmsg("relation with OID %u does not exist", index),
                                errhint("Name indexes to hide, for instance ARRAY['an_index'::regclass].")));
        });
        indexes.push_back(index);
    }
    return indexes;
}

// What CREATE INDEX would say.
void refuse_too_long(const PreparedIndex& index) {
    if (const std::int64_t row = too_long_row(index); row > 0)
        pg::raise(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                  "index \"" + description_of(index).name + "\" cannot be built: a row of it would take " +
                      std::to_string(row) + " bytes, too many for its access method",
                  {}, "Index a part or a hash of the value, or use another access method.");
}

struct Priced {
    double cost = 0;
    std::string json;
};

Priced price(Statement& statement, ParamListInfo parameters, const std::vector<PlannedStmt*>& plans) {
    check_permissions(plans);
    return {total_cost(plans), explain_json(plans, statement.text(), parameters)};
}

} // namespace

CITADEL_FUNCTION(citadel_what_if) {
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "query must not be NULL");
    if (PG_ARGISNULL(1))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "indexes must not be NULL", {},
                  "Give an array of CREATE INDEX statements; ARRAY[]::text[] for none.");
    Priced before;
    Priced after;
    std::vector<std::string> used_names;
    std::string bytes = "{";
    {
        const pg::MemoryScope scratch("what-if");
        Statement statement = Statement::analyse(pg::to_string(PG_GETARG_TEXT_PP(0)));
        IndexPool pool;
        std::vector<PreparedIndex*> indexes;
        std::vector<std::string> names;
        for (const std::string& definition : pg::text_array(PG_GETARG_ARRAYTYPE_P(1), "indexes")) {
            const HypotheticalIndex index = parse_index_definition(definition);
            names.push_back(index.name);
            indexes.push_back(&pool.prepare(index));
        }
        const ParamListInfo parameters =
            PG_ARGISNULL(2) ? nullptr : statement.bind(parameter_values(PG_GETARG_ARRAYTYPE_P(2)));

        const std::vector<Oid> hidden = PG_ARGISNULL(3) ? std::vector<Oid>{} : index_numbers(PG_GETARG_ARRAYTYPE_P(3));
        {
            const ArmedIndexes none(pool, {});
            before = price(statement, parameters, statement.plan(parameters));
        }
        const ArmedIndexes armed(pool, indexes, hidden);
        const auto plans = statement.plan(parameters);
        after = price(statement, parameters, plans);
        const std::vector<bool> used = armed.used_by(plans);
        for (std::size_t i = 0; i < indexes.size(); ++i)
            if (used[i])
                used_names.push_back(names[i]);
        for (PreparedIndex* index : indexes) {
            bytes += (bytes.size() > 1 ? "," : "") + std::to_string(pool.bytes(*index));
            refuse_too_long(*index);
        }
    }
    return pg::composite(fcinfo, {pg::arg(before.cost), pg::arg(after.cost),
                                  pg::arg_as(TEXTARRAYOID, pg::text_array_literal(used_names)),
                                  pg::arg_as(JSONOID, before.json), pg::arg_as(JSONOID, after.json),
                                  pg::arg_as(INT8ARRAYOID, bytes + "}")});
}
