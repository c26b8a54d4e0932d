#include "advisor/index_info_pg.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"

#include <algorithm>

extern "C" {
#include "access/amapi.h"
#include "access/gist.h"
#include "access/relation.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace citadel::advisor {

namespace {

// ---- Under one guard: plain data, no C++ objects.

struct Shape {
    Oid relation;
    Oid table;
    Oid access_method;
    const HypotheticalColumn* key;
    int keys;
    const AttrNumber* included;
    int columns; // with the included ones
    const Node* predicate;
    bool unique;
};

// Column numbers and types may differ between a partition and its parent, when columns were dropped in one of them.
struct Mapping {
    AttrMap* map = nullptr; // nullptr: the same table
    AttrNumber operator()(AttrNumber column) const { return map == nullptr ? column : map->attnums[column - 1]; }
    Node* operator()(const Node* expression, Oid table) const {
        auto* copy = static_cast<Node*>(copyObjectImpl(expression));
        if (map == nullptr)
            return copy;
        bool whole_row = false;
        copy = map_variable_attnos(copy, 1, 0, map, InvalidOid, &whole_row);
        if (whole_row)
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("an index on partition \"%s\" cannot use whole rows", get_rel_name(table))));
        return copy;
    }
};

Mapping mapping_to(Oid table, Oid relation) {
    Mapping mapping;
    if (table == relation)
        return mapping;
    Relation parent = relation_open(relation, AccessShareLock);
    Relation child = relation_open(table, AccessShareLock);
    mapping.map = pg::attribute_map(RelationGetDescr(child), RelationGetDescr(parent));
    relation_close(child, AccessShareLock);
    relation_close(parent, AccessShareLock);
    return mapping;
}

// As RelationGetIndexExpressions() gives it to the planner.
Node* simplified(Node* expression) {
    Node* simple = eval_const_expressions(nullptr, expression);
    fix_opfuncids(simple);
    return simple;
}

// As RelationGetIndexPredicate() gives it.
List* simplified_predicate(Node* predicate) {
    Node* simple = eval_const_expressions(nullptr, predicate);
    simple = reinterpret_cast<Node*>(canonicalize_qual(reinterpret_cast<Expr*>(simple), false));
    List* conjunction = make_ands_implicit(reinterpret_cast<Expr*>(simple));
    fix_opfuncids(reinterpret_cast<Node*>(conjunction));
    return conjunction;
}

// Can an index-only scan give this column back? As btcanreturn() and gistcanreturn() answer; the others cannot.
bool returns(const Shape& shape, int position, Oid family, Oid type) {
    if (shape.access_method == BTREE_AM_OID)
        return true;
    if (shape.access_method != GIST_AM_OID)
        return false;
    return position >= shape.keys || OidIsValid(get_opfamily_proc(family, type, type, GIST_FETCH_PROC)) ||
           !OidIsValid(get_opfamily_proc(family, type, type, GIST_COMPRESS_PROC));
}

void describe_column(IndexOptInfo* info, const Shape& shape, const Mapping& mapping, int position) {
    const HypotheticalColumn* key = position < shape.keys ? &shape.key[position] : nullptr;
    const AttrNumber parent_column = key != nullptr ? key->column : shape.included[position - shape.keys];
    AttrNumber column = InvalidAttrNumber;
    if (parent_column != InvalidAttrNumber)
        column = mapping(parent_column);
    info->indexkeys[position] = column;
    Expr* value = nullptr;
    if (column == InvalidAttrNumber && key != nullptr) {
        value = reinterpret_cast<Expr*>(simplified(mapping(key->expression, shape.table)));
        info->indexprs = lappend(info->indexprs, value);
    } else {
        Oid type = InvalidOid;
        int32 modifier = -1;
        Oid collation = InvalidOid;
        get_atttypetypmodcoll(shape.table, column, &type, &modifier, &collation);
        value = reinterpret_cast<Expr*>(makeVar(1, column, type, modifier, collation, 0));
    }
    info->indextlist =
        lappend(info->indextlist, makeTargetEntry(value, static_cast<AttrNumber>(position + 1), nullptr, false));
    if (key != nullptr) {
        info->indexcollations[position] = key->collation;
        info->opfamily[position] = get_opclass_family(key->operator_class);
        info->opcintype[position] = get_opclass_input_type(key->operator_class);
    }
    info->canreturn[position] = returns(shape, position, key != nullptr ? info->opfamily[position] : InvalidOid,
                                        key != nullptr ? info->opcintype[position] : InvalidOid);
}

IndexOptInfo* describe(const Shape& shape) {
    const Mapping mapping = mapping_to(shape.table, shape.relation);
    const IndexAmRoutine* method = GetIndexAmRoutineByAmId(shape.access_method, false);
    IndexOptInfo* info = makeNode(IndexOptInfo);
    const auto keys = static_cast<Size>(shape.keys);
    const auto columns = static_cast<Size>(shape.columns);
    info->reltablespace = InvalidOid; // costs as in the database's default tablespace
    info->ncolumns = shape.columns;
    info->nkeycolumns = shape.keys;
    info->indexkeys = static_cast<int*>(palloc0(sizeof(int) * columns));
    info->canreturn = static_cast<bool*>(palloc0(sizeof(bool) * columns));
    info->indexcollations = static_cast<Oid*>(palloc0(sizeof(Oid) * keys));
    info->opfamily = static_cast<Oid*>(palloc0(sizeof(Oid) * keys));
    info->opcintype = static_cast<Oid*>(palloc0(sizeof(Oid) * keys));
    info->opclassoptions = static_cast<bytea**>(palloc0(sizeof(bytea*) * keys));
    for (int i = 0; i < shape.columns; ++i)
        describe_column(info, shape, mapping, i);
    if (method->amcanorder) { // of ours the B-tree alone
        info->sortopfamily = info->opfamily;
        info->reverse_sort = static_cast<bool*>(palloc(sizeof(bool) * keys));
        info->nulls_first = static_cast<bool*>(palloc(sizeof(bool) * keys));
        for (int i = 0; i < shape.keys; ++i) {
            info->reverse_sort[i] = shape.key[i].descending;
            info->nulls_first[i] = shape.key[i].nulls_first;
        }
    }
    if (shape.predicate != nullptr)
        info->indpred = simplified_predicate(mapping(shape.predicate, shape.table));
    info->relam = shape.access_method;
    info->unique = shape.unique;
    info->immediate = true;
    info->hypothetical = true;
    pg::copy_access_method(info, method);
    return info;
}

} // namespace

IndexOptInfo* describe_index(const HypotheticalIndex& index, Oid table) {
    const Shape shape{index.relation,
                      table,
                      index.access_method,
                      index.key.data(),
                      static_cast<int>(index.key.size()),
                      index.included.data(),
                      static_cast<int>(index.key.size() + index.included.size()),
                      index.predicate,
                      index.unique};
    return pg::guard([&shape] { return describe(shape); });
}

IndexOptInfo* copy_for_planner(const IndexOptInfo* form, RelOptInfo* relation, Oid oid, const IndexSize& size) {
    IndexOptInfo* info = makeNode(IndexOptInfo);
    *info = *form; // what it points to is never written by the planner, except for:
    info->indextlist = static_cast<List*>(copyObjectImpl(form->indextlist));
    info->indexprs = static_cast<List*>(copyObjectImpl(form->indexprs));
    info->indpred = static_cast<List*>(copyObjectImpl(form->indpred));
    if (relation->relid != 1) {
        const int number = static_cast<int>(relation->relid);
        ChangeVarNodes(reinterpret_cast<Node*>(info->indextlist), 1, number, 0);
        if (info->indexprs != NIL)
            ChangeVarNodes(reinterpret_cast<Node*>(info->indexprs), 1, number, 0);
        if (info->indpred != NIL)
            ChangeVarNodes(reinterpret_cast<Node*>(info->indpred), 1, number, 0);
    }
    info->indexoid = oid;
    info->rel = relation;
    info->pages = static_cast<BlockNumber>(std::min<std::uint64_t>(size.pages, MaxBlockNumber));
    info->tuples = size.tuples;
    info->tree_height = form->relam == BTREE_AM_OID ? size.tree_height : -1;
    return info;
}

IndexOptInfo* describe_carrier(const Node* const* expressions, std::size_t count, RelOptInfo* relation, Oid oid) {
    IndexOptInfo* info = makeNode(IndexOptInfo);
    info->indexoid = oid;
    info->rel = relation;
    info->pages = 1;
    info->tuples = 1;
    info->tree_height = -1;
    info->ncolumns = static_cast<int>(count);
    info->nkeycolumns = static_cast<int>(count);
    info->indexkeys = static_cast<int*>(palloc0(sizeof(int) * count)); // all are expressions
    info->canreturn = static_cast<bool*>(palloc0(sizeof(bool) * count));
    info->indexcollations = static_cast<Oid*>(palloc0(sizeof(Oid) * count));
    info->opfamily = static_cast<Oid*>(palloc0(sizeof(Oid) * count));
    info->opcintype = static_cast<Oid*>(palloc0(sizeof(Oid) * count));
    info->opclassoptions = static_cast<bytea**>(palloc0(sizeof(bytea*) * count));
    for (std::size_t i = 0; i < count; ++i) {
        auto* expression = static_cast<Expr*>(copyObjectImpl(expressions[i]));
        info->indexprs = lappend(info->indexprs, expression);
        info->indextlist =
            lappend(info->indextlist, makeTargetEntry(expression, static_cast<AttrNumber>(i + 1), nullptr, false));
    }
    if (relation->relid != 1)
        ChangeVarNodes(reinterpret_cast<Node*>(info->indexprs), 1, static_cast<int>(relation->relid), 0);
    // A predicate that holds for no row: never proved, so create_index_paths() passes over it.
    info->indpred = list_make1(makeBoolConst(false, false));
    info->relam = BTREE_AM_OID;
    info->immediate = true;
    info->hypothetical = true;
    return info;
}

} // namespace citadel::advisor
