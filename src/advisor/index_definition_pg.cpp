#include "advisor/index_definition_pg.hpp"

#include "pg/guard.hpp"
#include "pg/text.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
}

namespace citadel::advisor {

namespace {

IndexStmt* parse_create_index(const char* text) {
    List* parsed = pg_parse_query(text);
    const bool one_index = list_length(parsed) == 1 && IsA(linitial_node(RawStmt, parsed)->stmt, IndexStmt);
    if (!one_index)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("this is not one CREATE INDEX statement: %s", text),
                        errhint("Write each index as CREATE INDEX ON table (column, ...).")));
    return reinterpret_cast<IndexStmt*>(linitial_node(RawStmt, parsed)->stmt);
}

void refuse_unsupported(const IndexStmt* statement) {
    if (statement->accessMethod != nullptr && strcmp(statement->accessMethod, "btree") != 0)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("hypothetical indexes of access method \"%s\" are not supported", statement->accessMethod),
                 errhint("Hypothetical indexes are B-trees.")));
    if (statement->whereClause != nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("hypothetical partial indexes are not supported"),
                 errhint("Leave out the WHERE clause.")));
    if (list_length(statement->indexParams) + list_length(statement->indexIncludingParams) > INDEX_MAX_KEYS)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));
}

AttrNumber column_of(const IndexElem* element, Oid relation) {
    if (element->name == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("hypothetical indexes on expressions are not supported"), errhint("Name plain columns.")));
    const AttrNumber column = get_attnum(relation, element->name);
    if (column == InvalidAttrNumber)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("column \"%s\" of relation \"%s\" does not exist",
                                                                  element->name, get_rel_name(relation))));
    if (column < 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("system column \"%s\" cannot be indexed", element->name)));
    return column;
}

// What an element says beyond its column: operator class and collation.
void apply_options(const IndexElem* element, Oid relation, HypotheticalColumn& column) {
    if (element->opclass != NIL)
        column.operator_class =
            ResolveOpClass(element->opclass, get_atttype(relation, column.column), "btree", BTREE_AM_OID);
    if (element->collation != NIL)
        column.collation = get_collation_oid(element->collation, false);
}

} // namespace

HypotheticalIndex parse_index_definition(const std::string& definition) {
    const char* text = definition.c_str();
    HypotheticalIndex index;
    IndexStmt* statement = nullptr;
    pg::guard([&] {
        statement = parse_create_index(text);
        refuse_unsupported(statement);
        index.relation = RangeVarGetRelid(statement->relation, AccessShareLock, false);
    });
    check_indexable(index.relation);
    index.unique = statement->unique;
    const ListCell* cell;
    foreach (cell, statement->indexParams) {
        const IndexElem* element = lfirst_node(IndexElem, cell);
        const Oid relation = index.relation;
        const AttrNumber number = pg::guard([=] { return column_of(element, relation); });
        const bool descending = element->ordering == SORTBY_DESC;
        const bool nulls_first = element->nulls_ordering == SORTBY_NULLS_DEFAULT
                                     ? descending
                                     : element->nulls_ordering == SORTBY_NULLS_FIRST;
        HypotheticalColumn column;
        if (element->opclass == NIL) {
            column = resolve_column(relation, number, descending, nulls_first);
        } else {
            column.column = number;
            column.descending = descending;
            column.nulls_first = nulls_first;
            column.collation = pg::guard([=] {
                Oid type = InvalidOid;
                int32 modifier = -1;
                Oid collation = InvalidOid;
                get_atttypetypmodcoll(relation, number, &type, &modifier, &collation);
                return collation;
            });
        }
        pg::guard([=, &column] { apply_options(element, relation, column); });
        index.key.push_back(column);
    }
    foreach (cell, statement->indexIncludingParams) {
        const IndexElem* element = lfirst_node(IndexElem, cell);
        const Oid relation = index.relation;
        index.included.push_back(pg::guard([=] { return column_of(element, relation); }));
    }
    index.name = statement->idxname != nullptr ? statement->idxname : choose_index_name(index.relation, index.key);
    return index;
}

std::string choose_index_name(Oid relation, const std::vector<HypotheticalColumn>& key) {
    std::string columns;
    for (const HypotheticalColumn& column : key) {
        if (!columns.empty())
            columns += '_';
        const AttrNumber number = column.column;
        columns += pg::guard([=] { return get_attname(relation, number, false); });
    }
    const char* joined = columns.c_str();
    return pg::guard(
        [=] { return ChooseRelationName(get_rel_name(relation), joined, "idx", get_rel_namespace(relation), false); });
}

namespace {

std::string column_name(Oid relation, AttrNumber column) {
    return pg::quote_identifier(pg::guard([=] { return get_attname(relation, column, false); }));
}

// What CREATE INDEX would not take by itself: another collation or operator class than the column's own.
std::string column_options(Oid relation, const HypotheticalColumn& column) {
    const HypotheticalColumn usual = resolve_column(relation, column.column, false, false);
    std::string options;
    if (column.collation != usual.collation && OidIsValid(column.collation)) {
        const Oid collation = column.collation;
        options += std::string(" COLLATE ") + pg::guard([=] { return generate_collation_name(collation); });
    }
    if (column.operator_class != usual.operator_class) {
        const Oid operator_class = column.operator_class;
        options += std::string(" ") + pg::guard([=] { return generate_opclass_name(operator_class); });
    }
    return options;
}

} // namespace

std::string create_index_statement(const HypotheticalIndex& index) {
    const Oid relation = index.relation;
    const bool partitioned = pg::guard([=] { return get_rel_relkind(relation); }) == RELKIND_PARTITIONED_TABLE;
    std::string statement = std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
                            (partitioned ? "" : "CONCURRENTLY ") + pg::quote_identifier(index.name) + " ON " +
                            pg::qualified_name(relation) + " USING btree (";
    for (std::size_t i = 0; i < index.key.size(); ++i) {
        const HypotheticalColumn& column = index.key[i];
        statement += (i > 0 ? ", " : "") + column_name(relation, column.column) + column_options(relation, column);
        if (column.descending)
            statement += " DESC";
        if (column.nulls_first != column.descending)
            statement += column.nulls_first ? " NULLS FIRST" : " NULLS LAST";
    }
    statement += ")";
    for (std::size_t i = 0; i < index.included.size(); ++i)
        statement += (i > 0 ? ", " : " INCLUDE (") + column_name(relation, index.included[i]);
    return index.included.empty() ? statement : statement + ")";
}

} // namespace citadel::advisor
