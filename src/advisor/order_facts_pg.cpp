// Which orders of a relation's rows a statement could use.
#include "advisor/raw_facts_pg.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace citadel::advisor::raw {

namespace {

const EquivalenceClass* class_of(const PathKey* key) {
    const EquivalenceClass* equal = key->pk_eclass;
    while (equal->ec_merged != nullptr)
        equal = equal->ec_merged;
    return equal;
}

// The member of the class that our relation holds, in the order that a B-tree of the default class has.
Term ordered_term(const Scan& scan, const PathKey* key) {
    const EquivalenceClass* equal = class_of(key);
    const ListCell* cell;
    foreach (cell, equal->ec_members) {
        const EquivalenceMember* member = lfirst_node(EquivalenceMember, cell);
        if (member->em_is_child)
            continue;
        // A B-tree of distances from one constant would serve that constant alone.
        if (IsA(member->em_expr, OpExpr) && is_distance(reinterpret_cast<OpExpr*>(member->em_expr)->opno))
            continue;
        const Term term = term_of(scan, reinterpret_cast<Node*>(member->em_expr));
        if (!term.exists() || (OidIsValid(term.collation) && term.collation != equal->ec_collation))
            continue;
        if (lookup_type_cache(term.type, TYPECACHE_BTREE_OPFAMILY)->btree_opf == key->pk_opfamily)
            return term;
    }
    return {};
}

// As much of a wanted order as our relation alone can give.
void add_order(const Scan& scan, const List* pathkeys) {
    const int order = scan.facts->order_count;
    bool any = false;
    const ListCell* cell;
    foreach (cell, pathkeys) {
        const PathKey* wanted = lfirst_node(PathKey, cell);
        const Term term = ordered_term(scan, wanted);
        if (!term.exists())
            break;
        any = true;
        scan.facts->orders.add(OrderTerm{term, pg::pathkey_is_descending(wanted), wanted->pk_nulls_first, order});
    }
    if (any)
        ++scan.facts->order_count;
}

// ORDER BY column <-> value.
void add_distance(const Scan& scan, const List* pathkeys) {
    if (pathkeys == NIL)
        return;
    const PathKey* first = linitial_node(PathKey, pathkeys);
    if (pg::pathkey_is_descending(first) || first->pk_nulls_first)
        return;
    const ListCell* cell;
    foreach (cell, class_of(first)->ec_members) {
        const EquivalenceMember* member = lfirst_node(EquivalenceMember, cell);
        if (member->em_is_child || !IsA(member->em_expr, OpExpr))
            continue;
        const OpExpr* distance = reinterpret_cast<OpExpr*>(member->em_expr);
        if (list_length(distance->args) != 2)
            continue;
        for (int side = 0; side < 2; ++side) {
            const Term term = term_of(scan, static_cast<Node*>(list_nth(distance->args, side)));
            Node* value = static_cast<Node*>(list_nth(distance->args, 1 - side));
            const Oid operator_id = side == 0 ? distance->opno : get_commutator(distance->opno);
            if (!term.exists() || !OidIsValid(operator_id) ||
                bms_is_member(static_cast<int>(scan.relation->relid), pull_varnos(scan.root, value)) ||
                (OidIsValid(term.collation) && term.collation != distance->inputcollid))
                continue;
            const OperatorClassId operator_class = distance_class(operator_id, term);
            if (operator_class != no_class)
                scan.facts->distances.add(DistanceTerm{term, operator_class});
        }
    }
}

Oid sort_operator(Oid aggregate) {
    HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
    if (!HeapTupleIsValid(tuple))
        return InvalidOid;
    const Oid found = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple))->aggsortop;
    ReleaseSysCache(tuple);
    return found;
}

// min() and max() of several columns. The planner reads each from the end of an index, if there is one for every one of
// them: it plans one after the other and gives up at the first without, so that plans do not tell of the others.
void add_ends(const Scan& scan) {
    const Query* query = scan.root->parse;
    if (query->groupClause != NIL || query->groupingSets != NIL || list_length(scan.root->agginfos) < 2)
        return;
    const int order = scan.facts->order_count;
    int ends = 0;
    Items<OrderTerm> found;
    const ListCell* cell;
    foreach (cell, scan.root->agginfos) {
        const Aggref* call = pg::one_of(lfirst_node(AggInfo, cell));
        const Oid operator_id = sort_operator(call->aggfnoid);
        bool descending = false;
        if (list_length(call->args) != 1 || call->aggorder != NIL || call->aggfilter != nullptr ||
            !OidIsValid(operator_id))
            return;
        const Oid family = pg::ordering_family(operator_id, &descending);
        const Term term = term_of(scan, reinterpret_cast<Node*>(linitial_node(TargetEntry, call->args)->expr));
        if (!term.exists() || (OidIsValid(term.collation) && term.collation != call->inputcollid) ||
            lookup_type_cache(term.type, TYPECACHE_BTREE_OPFAMILY)->btree_opf != family)
            return;
        found.add(OrderTerm{term, descending, descending, order + ends++});
    }
    for (const OrderTerm& end : found)
        scan.facts->orders.add(end);
    scan.facts->order_count += ends;
}

} // namespace

void collect_orders(const Scan& scan) {
    const PlannerInfo* root = scan.root;
    add_order(scan, root->query_pathkeys);
    add_order(scan, root->group_pathkeys);
    add_order(scan, root->window_pathkeys);
    add_order(scan, root->distinct_pathkeys);
    add_order(scan, root->sort_pathkeys);
    add_distance(scan, root->sort_pathkeys);
    add_ends(scan);
}

} // namespace citadel::advisor::raw
