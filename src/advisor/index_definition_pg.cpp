#include "advisor/index_definition_pg.hpp"

#include "advisor/existing_indexes_pg.hpp"
#include "advisor/inner_position_pg.hpp"

#include "pg/guard.hpp"
#include "pg/path.hpp"
#include "pg/text.hpp"

extern "C" {
#include "access/amapi.h"
#include "access/reloptions.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
}

namespace citadel::advisor {

namespace {

// ---- Reading. Under guards: plain data, no C++ objects.

struct Method {
    Oid oid;
    const char* name;
    const IndexAmRoutine* routine;
};

IndexStmt* parse_create_index(const char* text) {
    List* parsed = pg_parse_query(text);
    const bool one_index = list_length(parsed) == 1 && IsA(linitial_node(RawStmt, parsed)->stmt, IndexStmt);
    if (!one_index)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("this is not one CREATE INDEX statement: %s", text),
                        errhint("Write each index as CREATE INDEX ON table (column, ...).")));
    return reinterpret_cast<IndexStmt*>(linitial_node(RawStmt, parsed)->stmt);
}

Method method_of(const IndexStmt* statement) {
    const char* name = statement->accessMethod != nullptr ? statement->accessMethod : DEFAULT_INDEX_TYPE;
    const Oid oid = get_index_am_oid(name, false);
    if (oid != BTREE_AM_OID && oid != HASH_AM_OID && oid != BRIN_AM_OID && oid != GIN_AM_OID && oid != GIST_AM_OID)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("hypothetical indexes of access method \"%s\" are not supported", name),
                        errhint("Hypothetical indexes are of access method btree, hash, brin, gin or gist.")));
    return {oid, name, GetIndexAmRoutineByAmId(oid, false)};
}

void refuse(const char* what, const Method& method) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("access method \"%s\" does not support %s", method.name, what)));
}

void check_abilities(const IndexStmt* statement, const Method& method) {
    if (list_length(statement->indexParams) + list_length(statement->indexIncludingParams) > INDEX_MAX_KEYS)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));
    if (statement->unique && !method.routine->amcanunique)
        refuse("unique indexes", method);
    if (statement->indexIncludingParams != NIL && !method.routine->amcaninclude)
        refuse("included columns", method);
    if (list_length(statement->indexParams) > 1 && !method.routine->amcanmulticol)
        refuse("multicolumn indexes", method);
}

AttrNumber column_number(const char* name, Oid relation) {
    const AttrNumber column = get_attnum(relation, name);
    if (column == InvalidAttrNumber)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                        errmsg("column \"%s\" of relation \"%s\" does not exist", name, get_rel_name(relation))));
    if (column < 0)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("system column \"%s\" cannot be indexed", name)));
    return column;
}

void check_immutable(const Node* expression, const char* where) {
    auto* planned = reinterpret_cast<Node*>(expression_planner(static_cast<Expr*>(copyObjectImpl(expression))));
    if (contain_mutable_functions(planned))
        ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
                        errmsg("functions in index %s must be marked IMMUTABLE", where)));
}

// What the server stores for one element of the column list.
HypotheticalColumn read_element(const IndexElem* element, Oid relation, const Method& method) {
    HypotheticalColumn column;
    Oid type = InvalidOid;
    int32 modifier = -1;
    if (element->name != nullptr) {
        column.column = column_number(element->name, relation);
    } else {
        Node* expression = element->expr;
        column.collation = exprCollation(expression);
        while (IsA(expression, CollateExpr))
            expression = reinterpret_cast<Node*>(reinterpret_cast<CollateExpr*>(expression)->arg);
        const auto* variable = reinterpret_cast<const Var*>(expression);
        if (IsA(expression, Var) && variable->varattno != InvalidAttrNumber) {
            column.column = variable->varattno;
        } else {
            check_immutable(expression, "expression");
            column.expression = expression;
        }
    }
    Oid collation = column.collation;
    if (column.column != InvalidAttrNumber)
        get_atttypetypmodcoll(relation, column.column, &type, &modifier, &collation);
    else
        type = exprType(column.expression);
    if (!OidIsValid(column.collation))
        column.collation = collation;
    if (element->collation != NIL)
        column.collation = get_collation_oid(element->collation, false);
    if (type_is_collatable(type) && !OidIsValid(column.collation))
        ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_COLLATION),
                        errmsg("could not determine which collation to use for index expression"),
                        errhint("Use the COLLATE clause to set the collation explicitly.")));
    if (!type_is_collatable(type) && OidIsValid(column.collation))
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("collations are not supported by type %s", format_type_be(type))));
    if (element->opclass != NIL)
        column.operator_class = ResolveOpClass(element->opclass, type, method.name, method.oid);
    if (!method.routine->amcanorder) {
        if (element->ordering != SORTBY_DEFAULT || element->nulls_ordering != SORTBY_NULLS_DEFAULT)
            refuse("ASC, DESC or NULLS options", method);
        return column;
    }
    column.descending = element->ordering == SORTBY_DESC;
    column.nulls_first = element->nulls_ordering == SORTBY_NULLS_DEFAULT
                             ? column.descending
                             : element->nulls_ordering == SORTBY_NULLS_FIRST;
    return column;
}

void read_options(const IndexStmt* statement, const Method& method, HypotheticalIndex& index) {
    if (statement->options == NIL)
        return;
    const Datum options =
        transformRelOptions(static_cast<Datum>(0), statement->options, nullptr, nullptr, false, false);
    (void)index_reloptions(method.routine->amoptions, options, true); // raises what CREATE INDEX would raise
    const ListCell* cell;
    foreach (cell, statement->options) {
        auto* option = lfirst_node(DefElem, cell);
        if (strcmp(option->defname, "fillfactor") == 0)
            index.fill_factor = defGetInt32(option);
        else if (strcmp(option->defname, "pages_per_range") == 0)
            index.pages_per_range = defGetInt32(option);
    }
}

} // namespace

HypotheticalIndex parse_index_definition(const std::string& definition) {
    const char* text = definition.c_str();
    HypotheticalIndex index;
    IndexStmt* statement = nullptr;
    Method method{};
    pg::guard([&] {
        ErrorContextCallback callback;
        InnerPosition::link(callback, text);
        statement = parse_create_index(text);
        method = method_of(statement);
        check_abilities(statement, method);
        index.relation = RangeVarGetRelid(statement->relation, AccessShareLock, false);
        InnerPosition::unlink(callback);
    });
    check_indexable(index.relation);
    pg::guard([&] {
        ErrorContextCallback callback;
        InnerPosition::link(callback, text);
        statement = transformIndexStmt(index.relation, statement, text);
        index.access_method = method.oid;
        index.unique = statement->unique;
        read_options(statement, method, index);
        if (statement->whereClause != nullptr) {
            check_immutable(statement->whereClause, "predicate");
            index.predicate = statement->whereClause;
        }
        InnerPosition::unlink(callback);
    });
    const ListCell* cell;
    foreach (cell, statement->indexParams) {
        const IndexElem* element = lfirst_node(IndexElem, cell);
        const HypotheticalColumn column = pg::guard([&] { return read_element(element, index.relation, method); });
        index.key.push_back(resolve_key_column(index.relation, column, method.oid));
    }
    foreach (cell, statement->indexIncludingParams) {
        const IndexElem* element = lfirst_node(IndexElem, cell);
        index.included.push_back(pg::guard([&] {
            if (element->name == nullptr)
                ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                                errmsg("expressions are not supported in included columns")));
            return column_number(element->name, index.relation);
        }));
    }
    index.name = statement->idxname != nullptr ? statement->idxname : choose_index_name(index);
    return index;
}

// ---- From candidates.

HypotheticalIndex hypothetical_index(const Candidate& candidate, const Expressions& expressions) {
    HypotheticalIndex index;
    index.relation = candidate.relation;
    index.access_method = access_method_oid(candidate.method);
    for (const KeyColumn& column : candidate.key) {
        HypotheticalColumn wanted;
        wanted.column = column.column;
        if (column.expression != 0) {
            wanted.expression = expressions.node(column.expression);
            wanted.collation = expressions.collation(column.expression);
        }
        wanted.operator_class = column.operator_class;
        wanted.descending = column.descending;
        wanted.nulls_first = column.nulls_first;
        index.key.push_back(resolve_key_column(candidate.relation, wanted, index.access_method));
    }
    index.included.assign(candidate.included.begin(), candidate.included.end());
    if (candidate.predicate != 0)
        index.predicate = expressions.node(candidate.predicate);
    return index;
}

// ---- Writing.

namespace {

// What an element of the column list gives to the index's name.
const char* part_of_name(Oid relation, AttrNumber column, const Node* expression) {
    if (column != InvalidAttrNumber)
        return get_attname(relation, column, false);
    const char* function =
        IsA(expression, FuncExpr) ? get_func_name(reinterpret_cast<const FuncExpr*>(expression)->funcid) : nullptr;
    return function != nullptr ? function : "expr";
}

// While alive, nothing but the system catalog is found without its schema, so that deparsed names carry theirs.
class QualifiedNames {
  public:
    QualifiedNames() : level_(pg::guard([] { return pg::pin_search_path("pg_catalog"); })) {}
    QualifiedNames(const QualifiedNames&) = delete;
    QualifiedNames& operator=(const QualifiedNames&) = delete;
    ~QualifiedNames() { pg::unpin_search_path(level_); }

  private:
    int level_;
};

std::string column_name(Oid relation, AttrNumber column) {
    return pg::quote_identifier(pg::guard([=] { return get_attname(relation, column, false); }));
}

std::string deparsed(Oid relation, const Node* expression) {
    return pg::guard([=] {
        List* context = deparse_context_for(get_rel_name(relation), relation);
        return deparse_expression(static_cast<Node*>(copyObjectImpl(expression)), context, false, false);
    });
}

// A stored predicate may be a list with AND between its members.
std::string predicate_text(Oid relation, const Node* predicate) {
    const Node* one = predicate;
    if (IsA(predicate, List))
        one = pg::guard([predicate]() -> const Node* {
            return reinterpret_cast<const Node*>(make_ands_explicit(static_cast<List*>(copyObjectImpl(predicate))));
        });
    return deparsed(relation, one);
}

// What CREATE INDEX would not take by itself: another collation or operator class than the column's own.
std::string column_options(Oid relation, const HypotheticalColumn& column, Oid access_method) {
    HypotheticalColumn plain = column;
    plain.collation = InvalidOid;
    const HypotheticalColumn usual = resolve_key_column(relation, plain, access_method);
    std::string options;
    if (column.collation != usual.collation && OidIsValid(column.collation)) {
        const Oid collation = column.collation;
        options += std::string(" COLLATE ") + pg::guard([=] { return generate_collation_name(collation); });
    }
    const Oid operator_class = column.operator_class;
    const Node* expression = column.expression;
    const AttrNumber number = column.column;
    const Oid by_default = pg::guard([=] {
        return GetDefaultOpClass(number != InvalidAttrNumber ? get_atttype(relation, number) : exprType(expression),
                                 access_method);
    });
    if (operator_class != by_default)
        options += std::string(" ") + pg::guard([=] { return generate_opclass_name(operator_class); });
    return options;
}

} // namespace

std::string choose_index_name(const HypotheticalIndex& index) {
    const Oid relation = index.relation;
    std::string columns;
    for (const HypotheticalColumn& column : index.key) {
        if (!columns.empty())
            columns += '_';
        const AttrNumber number = column.column;
        const Node* expression = column.expression;
        columns += pg::guard([=] { return part_of_name(relation, number, expression); });
    }
    const char* joined = columns.c_str();
    return pg::guard(
        [=] { return ChooseRelationName(get_rel_name(relation), joined, "idx", get_rel_namespace(relation), false); });
}

std::string create_index_statement(const HypotheticalIndex& index) {
    const QualifiedNames qualified;
    const Oid relation = index.relation;
    const Oid method = index.access_method;
    const bool partitioned = pg::guard([=] { return get_rel_relkind(relation); }) == RELKIND_PARTITIONED_TABLE;
    std::string statement = std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
                            (partitioned ? "" : "CONCURRENTLY ") + pg::quote_identifier(index.name) + " ON " +
                            pg::qualified_name(relation) + " USING " + pg::guard([=] { return get_am_name(method); }) +
                            " (";
    for (std::size_t i = 0; i < index.key.size(); ++i) {
        const HypotheticalColumn& column = index.key[i];
        statement += i > 0 ? ", " : "";
        statement += column.column != InvalidAttrNumber ? column_name(relation, column.column)
                                                        : "(" + deparsed(relation, column.expression) + ")";
        statement += column_options(relation, column, method);
        if (column.descending)
            statement += " DESC";
        if (column.nulls_first != column.descending)
            statement += column.nulls_first ? " NULLS FIRST" : " NULLS LAST";
    }
    statement += ")";
    for (std::size_t i = 0; i < index.included.size(); ++i)
        statement += (i > 0 ? ", " : " INCLUDE (") + column_name(relation, index.included[i]);
    if (!index.included.empty())
        statement += ")";
    std::string options;
    if (index.fill_factor > 0)
        options = "fillfactor=" + std::to_string(index.fill_factor);
    if (index.pages_per_range > 0)
        options +=
            (options.empty() ? "pages_per_range=" : ", pages_per_range=") + std::to_string(index.pages_per_range);
    if (!options.empty())
        statement += " WITH (" + options + ")";
    if (index.predicate != nullptr)
        statement += " WHERE " + predicate_text(relation, index.predicate);
    return statement;
}

} // namespace citadel::advisor
