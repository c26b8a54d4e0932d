#include "advisor/existing_indexes_pg.hpp"

#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "pg/clock.hpp"
#include "pg/memory.hpp"
#include "pg/role.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <optional>

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

// ---- Plain data, filled under one guard an index.

struct RawKeyColumn {
    ColumnNumber column;
    Node* expression; // when column is 0
    OperatorClassId operator_class;
    bool descending;
    bool nulls_first;
};

struct RawIndex {
    Oid method;
    bool comparable;
    bool unique;
    bool constraint;
    bool valid;
    int keys;
    int columns;
    RawKeyColumn key[INDEX_MAX_KEYS];
    ColumnNumber included[INDEX_MAX_KEYS];
    Node* predicate;
    std::uint64_t bytes;
};

// 0 where the class is the type's default or as good: the same family with the same input type.
OperatorClassId unusual_class(Oid operator_class, Oid type, Oid method) {
    const Oid usual = GetDefaultOpClass(type, method);
    if (!OidIsValid(usual) || operator_class == usual)
        return OidIsValid(usual) ? 0 : operator_class;
    const bool same = get_opclass_family(operator_class) == get_opclass_family(usual) &&
                      (get_opclass_input_type(operator_class) == get_opclass_input_type(usual) ||
                       get_opclass_input_type(operator_class) == type);
    return same ? 0 : operator_class;
}

std::uint64_t bytes_of(Relation index) {
    if (index->rd_rel->relkind != RELKIND_PARTITIONED_INDEX)
        return static_cast<std::uint64_t>(RelationGetNumberOfBlocks(index)) * BLCKSZ;
    std::uint64_t sum = 0;
    List* children = find_all_inheritors(RelationGetRelid(index), AccessShareLock, nullptr);
    const ListCell* cell;
    foreach (cell, children) {
        Relation child = index_open(lfirst_oid(cell), NoLock);
        if (child->rd_rel->relkind == RELKIND_INDEX)
            sum += static_cast<std::uint64_t>(RelationGetNumberOfBlocks(child)) * BLCKSZ;
        index_close(child, NoLock);
    }
    return sum;
}

// A constraint is made of it, or a foreign key leans on its uniqueness.
bool is_needed(Relation table, Relation index) {
    const FormData_pg_index* form = index->rd_index;
    return form->indisprimary || form->indisexclusion || form->indisreplident || form->indisclustered ||
           OidIsValid(get_index_constraint(RelationGetRelid(index))) ||
           get_index_ref_constraints(RelationGetRelid(index)) != NIL ||
           RelationGetRelid(index) == table->rd_replidindex;
}

bool has_options(Oid index, int columns) {
    for (int i = 1; i <= columns; ++i)
        if (get_attoptions(index, static_cast<int16>(i)) != static_cast<Datum>(0))
            return true;
    return false;
}

void read_key(Relation table, Relation index, RawIndex* raw) {
    const FormData_pg_index* form = index->rd_index;
    bool isnull = false;
    const Datum stored = SysCacheGetAttr(INDEXRELID, index->rd_indextuple, Anum_pg_index_indclass, &isnull);
    const auto* classes = reinterpret_cast<oidvector*>(DatumGetPointer(stored));
    List* expressions = RelationGetIndexExpressions(index);
    const ListCell* next = list_head(expressions);
    for (int i = 0; i < form->indnkeyatts; ++i) {
        RawKeyColumn& column = raw->key[i];
        column.column = form->indkey.values[i];
        Oid type = InvalidOid;
        Oid collation = InvalidOid;
        if (column.column > 0) {
            const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), column.column - 1);
            type = attribute->atttypid;
            collation = attribute->attcollation;
        } else if (column.column == 0 && next != nullptr) {
            column.expression = static_cast<Node*>(lfirst(next));
            next = lnext(expressions, next);
            type = exprType(column.expression);
            collation = exprCollation(column.expression);
        } else {
            raw->comparable = false;
            continue;
        }
        column.operator_class = unusual_class(classes->values[i], type, index->rd_rel->relam);
        const Oid usual =
            column.operator_class == 0 ? GetDefaultOpClass(type, index->rd_rel->relam) : column.operator_class;
        // A class over a type without collation (inet_ops, jsonb_ops) has none, whatever the column's.
        if (index->rd_indcollation[i] != collation && OidIsValid(index->rd_indcollation[i]) && OidIsValid(usual))
            raw->comparable = false;
        const int16 option = index->rd_indoption[i];
        column.descending = (option & INDOPTION_DESC) != 0;
        column.nulls_first = (option & INDOPTION_NULLS_FIRST) != 0;
    }
    for (int i = form->indnkeyatts; i < form->indnatts; ++i)
        raw->included[i] = form->indkey.values[i];
}

void read_index(Relation table, Oid id, RawIndex* raw) {
    const Relation index = index_open(id, AccessShareLock);
    const FormData_pg_index* form = index->rd_index;
    raw->method = index->rd_rel->relam;
    raw->comparable = form->indisvalid && !has_options(id, form->indnkeyatts);
    raw->unique = form->indisunique;
    raw->valid = form->indisvalid && form->indisready && form->indislive;
    raw->keys = form->indnkeyatts;
    raw->columns = form->indnatts;
    read_key(table, index, raw);
    List* predicate = RelationGetIndexPredicate(index);
    if (predicate != NIL)
        raw->predicate = reinterpret_cast<Node*>(make_ands_explicit(predicate));
    raw->constraint = is_needed(table, index);
    raw->bytes = bytes_of(index);
    index_close(index, AccessShareLock);
}

// ---- From here on C++ again.

std::optional<AccessMethod> known_method(Oid method) {
    switch (method) {
    case BTREE_AM_OID:
        return AccessMethod::btree;
    case HASH_AM_OID:
        return AccessMethod::hash;
    case BRIN_AM_OID:
        return AccessMethod::brin;
    case GIN_AM_OID:
        return AccessMethod::gin;
    case GIST_AM_OID:
        return AccessMethod::gist;
    default:
        return std::nullopt;
    }
}

ExistingIndex to_model(const RawIndex& raw, Oid id, Oid relation, Expressions& expressions) {
    ExistingIndex index;
    index.id = id;
    const std::optional<AccessMethod> method = known_method(raw.method);
    index.method = method.value_or(AccessMethod::btree);
    index.comparable = raw.comparable && method.has_value();
    index.unique = raw.unique;
    index.constraint = raw.constraint;
    index.valid = raw.valid;
    index.bytes = raw.bytes;
    for (int i = 0; i < raw.keys; ++i) {
        const RawKeyColumn& column = raw.key[i];
        KeyColumn key{column.column, column.descending, column.nulls_first, 0, column.operator_class};
        if (column.expression != nullptr)
            key.expression = expressions.intern(column.expression, relation);
        if (key.column == 0 && key.expression == 0)
            index.comparable = false;
        index.key.push_back(key);
    }
    for (int i = raw.keys; i < raw.columns; ++i)
        index.included.push_back(raw.included[i]);
    std::sort(index.included.begin(), index.included.end());
    if (raw.predicate != nullptr) {
        index.predicate = expressions.intern(raw.predicate, relation);
        if (index.predicate == 0)
            index.comparable = false;
    }
    return index;
}

// Scans since each index is watched, and whether it was watched, and not scanned, for long enough to call it unused.
void add_usage(std::vector<ExistingIndex>& indexes) {
    if (indexes.empty())
        return;
    std::string ids = "{";
    for (const ExistingIndex& index : indexes)
        ids += (ids.size() > 1 ? "," : "") + std::to_string(index.id);
    pg::Spi spi;
    const pg::Rows rows =
        spi.query(R"(
        SELECT t.root, coalesce(sum(greatest(u.scans_total, pg_stat_get_numscans(t.relation))), 0)::float8,
               coalesce(bool_and(u.first_seen < $3 - make_interval(mins => $2)
                                 AND coalesce(u.last_used, '-infinity') < $3 - make_interval(mins => $2)
                                 AND pg_stat_get_numscans(t.relation) <= u.last_counter), false)
        FROM citadel.partition_tree($1) AS t
        LEFT JOIN citadel.index_counter AS u ON u.index = t.relation
        WHERE t.kind = 'i'
        GROUP BY t.root)",
                  {pg::arg_as(OIDARRAYOID, ids + "}"),
                   pg::arg(static_cast<std::int32_t>(settings::unused_index_age_min)), pg::arg_timestamptz(pg::now())});
    for (std::size_t row = 0; row < rows.size(); ++row)
        for (ExistingIndex& index : indexes)
            if (index.id == rows.oid(row, 0)) {
                index.scans = rows.float8(row, 1);
                index.unused = rows.boolean(row, 2);
            }
}

} // namespace

Oid access_method_oid(AccessMethod method) {
    switch (method) {
    case AccessMethod::hash:
        return HASH_AM_OID;
    case AccessMethod::brin:
        return BRIN_AM_OID;
    case AccessMethod::gin:
        return GIN_AM_OID;
    case AccessMethod::gist:
        return GIST_AM_OID;
    case AccessMethod::btree:
        break;
    }
    return BTREE_AM_OID;
}

std::vector<ExistingIndex> existing_indexes(Oid relation, Expressions& expressions) {
    const pg::MemoryScope scratch("citadel_opt existing indexes");
    Relation table = nullptr;
    List* indexes = NIL;
    std::vector<ExistingIndex> found;
    pg::guard([&] {
        table = table_open(relation, AccessShareLock);
        indexes = RelationGetIndexList(table);
    });
    {
        // Reading an index's expressions and predicate folds constants: it runs the owner's functions.
        pg::RoleScope as_owner(table->rd_rel->relowner);
        const ListCell* cell;
        foreach (cell, indexes) {
            const Oid id = lfirst_oid(cell);
            RawIndex raw = {};
            pg::guard([&] { read_index(table, id, &raw); });
            found.push_back(to_model(raw, id, relation, expressions));
        }
        as_owner.leave();
    }
    pg::guard([&] { table_close(table, NoLock); });
    add_usage(found);
    return found;
}

} // namespace citadel::advisor
