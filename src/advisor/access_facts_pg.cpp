// Which columns and expressions of a relation its restrictions and joins could use an index for.
#include "advisor/raw_facts_pg.hpp"

#include "pg/plan_tree.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type_d.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

#include <cmath>

namespace citadel::advisor::raw {

namespace {

// From how many pages on, and from which correlation of value and place on, block ranges can tell rows apart.
constexpr double brin_pages = 512;
constexpr double brin_correlation = 0.9;
// From which average width on a hash is worth keeping instead of a column's value.
constexpr int hash_width = 24;
// As many distinct values as a flag or a status has at most.
constexpr double status_values = 32;

// Where a clause stands.
struct Place {
    double selectivity = 1.0;
    int arm = no_arm;
    int restriction = no_restriction;
    bool joins = false; // of more than this relation
};

Node* strip_relabel(Node* node) {
    while (node != nullptr && IsA(node, RelabelType))
        node = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg);
    return node;
}

// The other side of a comparison must be known before the scan of our relation starts.
bool is_comparable_value(const Scan& scan, Node* value) {
    return !bms_is_member(static_cast<int>(scan.relation->relid), pull_varnos(scan.root, value)) &&
           !contain_volatile_functions(value);
}

// Which join a set of relations stands for: the one relation, or a number of its own.
std::uint64_t partner_of(Relids relations) {
    int only = 0;
    if (bms_get_singleton_member(relations, &only))
        return static_cast<std::uint64_t>(only);
    return 0x100000000ULL + bms_hash_value(relations);
}

// |correlation| of the column's values with the rows' places; 0 when unknown.
double correlation_of(const Scan& scan, const Term& term) {
    if (term.column == 0)
        return 0.0;
    double found = 0.0;
    HeapTuple tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(scan.entry->relid), Int16GetDatum(term.column),
                                      BoolGetDatum(false));
    if (!HeapTupleIsValid(tuple))
        return found;
    AttStatsSlot slot;
    if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid, ATTSTATSSLOT_NUMBERS)) {
        if (slot.nnumbers == 1)
            found = std::fabs(slot.numbers[0]);
        free_attstatsslot(&slot);
    }
    ReleaseSysCache(tuple);
    return found;
}

int width_of(const Scan& scan, const Term& term) {
    if (term.column == 0)
        return 0; // unknown
    const int known = get_attavgwidth(scan.entry->relid, term.column);
    return known > 0 ? known : get_typavgwidth(term.type, -1);
}

// Does the expression hold what this one statement looks for (a query of words, a place, a text to be similar to), and
// not only what shapes the column's value (a unit of time, a key of a document)? An index on it would serve nobody
// else.
bool holds_search_value(Node* node, void* context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Const)) {
        switch (reinterpret_cast<Const*>(node)->consttype) {
        case TSQUERYOID:
        case POINTOID:
        case LINEOID:
        case LSEGOID:
        case BOXOID:
        case PATHOID:
        case POLYGONOID:
        case CIRCLEOID:
            return true;
        default:
            return false;
        }
    }
    if (IsA(node, FuncExpr)) {
        const FuncExpr* call = reinterpret_cast<FuncExpr*>(node);
        const bool measures = call->funcresulttype == FLOAT4OID || call->funcresulttype == FLOAT8OID;
        const ListCell* cell;
        foreach (cell, call->args) {
            const Node* argument = static_cast<Node*>(lfirst(cell));
            if (measures && list_length(call->args) > 1 && IsA(argument, Const) &&
                reinterpret_cast<const Const*>(argument)->consttype == TEXTOID &&
                IsA(static_cast<Node*>(llast(call->args)), Const))
                return true; // a similarity
        }
    }
    return pg::walk_expression(node, holds_search_value, context);
}

double distinct_values(const Scan& scan, Node* expression) {
    VariableStatData variable;
    examine_variable(scan.root, expression, 0, &variable);
    bool is_default = false;
    const double distinct = get_variable_numdistinct(&variable, &is_default);
    ReleaseVariableStats(variable);
    return is_default ? 0.0 : distinct;
}

Node* node_of(const Term& term, Node* side) {
    return term.expression != nullptr ? term.expression : strip_relabel(side);
}

void add(const Scan& scan, const Term& term, ClauseKind kind, const Place& place,
         const Items<AccessChoice>& serves = {}, std::uint64_t partner = 0) {
    scan.facts->clauses.add(Clause{term, kind, place.selectivity, partner, place.arm, place.restriction, serves});
}

bool has_btree(Oid type) {
    return OidIsValid(lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf);
}

// An index is built with the collation of its column, and can only answer for that one.
bool collation_fits(const Term& term, Oid input_collation) {
    return !OidIsValid(term.collation) || term.collation == input_collation;
}

void add_brin(const Scan& scan, const Term& term, Items<AccessChoice>& serves, const Items<AccessChoice>& others) {
    for (const AccessChoice& choice : others)
        if (choice.method == AccessMethod::brin && scan.relation->pages >= brin_pages &&
            correlation_of(scan, term) >= brin_correlation)
            serves.add(choice);
}

// (term op value), the value from outside our relation.
void add_comparison(const Scan& scan, Node* side, Oid operator_id, Oid input_collation, Node* value, Node* clause,
                    int argument, const Place& place) {
    if (!OidIsValid(operator_id))
        return;
    const Term term = term_of(scan, side);
    if (!term.exists() || !collation_fits(term, input_collation) || !is_comparable_value(scan, value))
        return;
    const OperatorUse use = operator_use(operator_id, term);
    Items<AccessChoice> serves;
    add_brin(scan, term, serves, use.others);
    if (use.btree_strategy == BTEqualStrategyNumber || (use.hashes && use.btree_strategy == 0)) {
        if (use.hashes && (use.btree_strategy == 0 || width_of(scan, term) >= hash_width))
            serves.add(AccessChoice{AccessMethod::hash, 0});
        Relids others = pull_varnos(scan.root, value);
        Place here = place;
        if (place.joins && here.selectivity >= 1.0)
            if (const double distinct = distinct_values(scan, node_of(term, side)); distinct > 0.0)
                here.selectivity = 1.0 / distinct;
        if (use.btree_strategy == 0)
            add(scan, term, ClauseKind::search, here, serves);
        else if (bms_is_empty(others))
            add(scan, term, ClauseKind::equality, here, serves);
        else
            add(scan, term, ClauseKind::join_equality, here, serves, partner_of(others));
        return;
    }
    if (use.btree_strategy != 0) {
        add(scan, term, ClauseKind::range, place, serves);
        return;
    }
    for (const AccessChoice& choice : use.others)
        if (choice.method != AccessMethod::brin)
            serves.add(choice);
    bool default_btree = false;
    bool prefix = false;
    for (const AccessChoice& choice : supported_classes(scan, clause, argument, term)) {
        if (choice.method == AccessMethod::btree && choice.operator_class == 0)
            default_btree = true;
        else
            serves.add(choice);
        prefix = prefix || choice.method == AccessMethod::btree;
    }
    if (default_btree)
        add(scan, term, ClauseKind::range, place, serves);
    else if (prefix)
        add(scan, term, ClauseKind::prefix, place, serves);
    else if (serves.count > 0)
        add(scan, term, ClauseKind::search, place, serves);
}

// A function whose support function can turn it into index conditions: starts_with(), PostGIS.
void add_function(const Scan& scan, const FuncExpr* call, Node* clause, const Place& place) {
    const ListCell* cell;
    int argument = 0;
    foreach (cell, call->args) {
        Node* side = static_cast<Node*>(lfirst(cell));
        const Term term = term_of(scan, side);
        if (term.exists() && collation_fits(term, call->inputcollid)) {
            Items<AccessChoice> serves;
            bool default_btree = false;
            bool prefix = false;
            for (const AccessChoice& choice : supported_classes(scan, clause, argument, term)) {
                default_btree = default_btree || choice == AccessChoice{AccessMethod::btree, 0};
                prefix = prefix || choice.method == AccessMethod::btree;
                if (choice != AccessChoice{AccessMethod::btree, 0})
                    serves.add(choice);
            }
            if (default_btree)
                add(scan, term, ClauseKind::range, place, serves);
            else if (serves.count > 0)
                add(scan, term, prefix ? ClauseKind::prefix : ClauseKind::search, place, serves);
        }
        ++argument;
    }
}

void add_row_comparison(const Scan& scan, const RowCompareExpr* row, const Place& place) {
    // Keyset paging: (a, b) > (x, y) is a range over the index (a, b).
    const int order = scan.facts->order_count;
    bool any = false;
    for (int i = 0; i < list_length(row->largs); ++i) {
        Node* left = static_cast<Node*>(list_nth(row->largs, i));
        Node* right = static_cast<Node*>(list_nth(row->rargs, i));
        Oid operator_id = list_nth_oid(row->opnos, i);
        if (!term_of(scan, left).exists() || !is_comparable_value(scan, right)) {
            Node* other = left;
            left = right;
            right = other;
            operator_id = get_commutator(operator_id);
        }
        const Term term = term_of(scan, left);
        if (!term.exists() || !OidIsValid(operator_id) || !is_comparable_value(scan, right) ||
            !collation_fits(term, list_nth_oid(row->inputcollids, i)) ||
            operator_use(operator_id, term).btree_strategy == 0)
            break;
        if (!any)
            add(scan, term, ClauseKind::range, place);
        any = true;
        scan.facts->orders.add(OrderTerm{term, false, false, order});
    }
    if (any)
        ++scan.facts->order_count;
}

void add_array_comparison(const Scan& scan, const ScalarArrayOpExpr* any, const Place& place) {
    Node* left = static_cast<Node*>(linitial(any->args));
    const Term term = term_of(scan, left);
    if (!any->useOr || !term.exists() || !collation_fits(term, any->inputcollid) ||
        !is_comparable_value(scan, static_cast<Node*>(lsecond(any->args))))
        return;
    if (operator_use(any->opno, term).btree_strategy == BTEqualStrategyNumber)
        add(scan, term, ClauseKind::any_of, place);
}

void add_clause(const Scan& scan, Node* clause, const Place& place);

double selectivity_of(const Scan& scan, Node* clause) {
    return clause_selectivity(scan.root, clause, static_cast<int>(scan.relation->relid), JOIN_INNER, nullptr);
}

void add_or(const Scan& scan, const List* arms, bool joins) {
    const ListCell* cell;
    foreach (cell, arms) {
        Node* node = static_cast<Node*>(lfirst(cell));
        if (IsA(node, RestrictInfo))
            node = reinterpret_cast<Node*>(reinterpret_cast<RestrictInfo*>(node)->clause);
        Place place;
        place.arm = scan.facts->arms++;
        place.joins = joins;
        List* parts = is_andclause(node) ? reinterpret_cast<BoolExpr*>(node)->args : list_make1(node);
        const ListCell* part;
        foreach (part, parts) {
            Node* condition = static_cast<Node*>(lfirst(part));
            if (IsA(condition, RestrictInfo))
                condition = reinterpret_cast<Node*>(reinterpret_cast<RestrictInfo*>(condition)->clause);
            place.selectivity = joins ? 1.0 : selectivity_of(scan, condition);
            add_clause(scan, condition, place);
        }
    }
}

// A column or expression that is true, false or NULL by itself.
void add_truth(const Scan& scan, Node* tested, const Place& place) {
    const Term term = term_of(scan, tested);
    if (term.exists() && term.type == BOOLOID)
        add(scan, term, ClauseKind::equality, place);
}

void add_null_test(const Scan& scan, const NullTest* test, const Place& place) {
    const Term term = term_of(scan, reinterpret_cast<Node*>(test->arg));
    if (!term.exists() || test->argisrow || !has_btree(term.type))
        return;
    if (test->nulltesttype == IS_NULL)
        add(scan, term, ClauseKind::equality, place);
    else if (place.selectivity < 0.5)
        add(scan, term, ClauseKind::range, place);
}

void add_clause(const Scan& scan, Node* clause, const Place& place) {
    const int before = scan.facts->clauses.count;
    if (IsA(clause, OpExpr)) {
        const OpExpr* comparison = reinterpret_cast<OpExpr*>(clause);
        if (list_length(comparison->args) != 2)
            return;
        Node* left = static_cast<Node*>(linitial(comparison->args));
        Node* right = static_cast<Node*>(lsecond(comparison->args));
        add_comparison(scan, left, comparison->opno, comparison->inputcollid, right, clause, 0, place);
        add_comparison(scan, right, get_commutator(comparison->opno), comparison->inputcollid, left, clause, 1, place);
    } else if (IsA(clause, ScalarArrayOpExpr)) {
        add_array_comparison(scan, reinterpret_cast<ScalarArrayOpExpr*>(clause), place);
    } else if (IsA(clause, NullTest)) {
        add_null_test(scan, reinterpret_cast<NullTest*>(clause), place);
    } else if (IsA(clause, BooleanTest)) {
        const BooleanTest* test = reinterpret_cast<BooleanTest*>(clause);
        if (test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE)
            add_truth(scan, reinterpret_cast<Node*>(test->arg), place);
    } else if (IsA(clause, RowCompareExpr)) {
        add_row_comparison(scan, reinterpret_cast<RowCompareExpr*>(clause), place);
    } else if (is_notclause(clause)) {
        add_truth(scan, reinterpret_cast<Node*>(get_notclausearg(clause)), place);
    } else if (IsA(clause, FuncExpr)) {
        add_function(scan, reinterpret_cast<FuncExpr*>(clause), clause, place);
        if (scan.facts->clauses.count == before)
            add_truth(scan, clause, place);
    } else if (IsA(clause, Var)) {
        add_truth(scan, clause, place);
    }
}

// How many of the status values a comparison with a constant lets through; 0 when it is none with a status.
double allowed_values(Node* clause, double distinct, Oid operator_id) {
    if (IsA(clause, ScalarArrayOpExpr)) {
        const Node* array = static_cast<Node*>(lsecond(reinterpret_cast<ScalarArrayOpExpr*>(clause)->args));
        if (!IsA(array, Const) || !reinterpret_cast<ScalarArrayOpExpr*>(clause)->useOr ||
            reinterpret_cast<const Const*>(array)->constisnull)
            return 0.0;
        ArrayType* values = DatumGetArrayTypeP(reinterpret_cast<const Const*>(array)->constvalue);
        return ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values));
    }
    return get_oprrest(operator_id) == F_NEQSEL ? distinct - 1.0 : 1.0;
}

bool has_row_security(Oid relation) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(tuple))
        return true;
    const bool found = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relrowsecurity;
    ReleaseSysCache(tuple);
    return found;
}

// Are some of its rows hidden from some? Policies of a partitioned table are not those of its partitions.
bool hides_rows(const Scan& scan) {
    int parent = 0;
    return has_row_security(scan.entry->relid) ||
           (bms_get_singleton_member(scan.relation->top_parent_relids, &parent) &&
            has_row_security(planner_rt_fetch(parent, scan.root)->relid));
}

// Will the condition be the same next month? NULL tests; flags and states when the rows that they let through are
// clearly fewer, or clearly more, than their share: one value among equals is a category, and the next statement will
// ask for another. Not keys, names or dates.
bool is_lasting(const Scan& scan, Node* clause, double selectivity) {
    constexpr double few = 0.5;  // of their share
    constexpr double most = 0.8; // of the rows
    if (IsA(clause, NullTest))
        return true;
    if (IsA(clause, Var) || is_notclause(clause) || IsA(clause, BooleanTest))
        return selectivity <= few / 2.0 || selectivity >= most;
    // The constant of a predicate is shown to all who may see recommendations: no value out of rows that are hidden.
    if (hides_rows(scan))
        return false;
    const List* sides = nullptr;
    Oid operator_id = InvalidOid;
    if (IsA(clause, OpExpr)) {
        sides = reinterpret_cast<OpExpr*>(clause)->args;
        operator_id = reinterpret_cast<OpExpr*>(clause)->opno;
    } else if (IsA(clause, ScalarArrayOpExpr)) {
        sides = reinterpret_cast<ScalarArrayOpExpr*>(clause)->args;
    }
    if (list_length(sides) != 2)
        return false;
    Node* tested = static_cast<Node*>(linitial(sides));
    Node* value = static_cast<Node*>(lsecond(sides));
    if (!IsA(value, Const)) {
        Node* other = tested;
        tested = value;
        value = other;
    }
    const Term term = term_of(scan, tested);
    if (!IsA(value, Const) || !term.exists())
        return false;
    const double distinct = distinct_values(scan, node_of(term, tested));
    if (distinct <= 0.0 || distinct > status_values)
        return false;
    const double allowed = allowed_values(clause, distinct, operator_id);
    return allowed > 0.0 && (selectivity <= few * allowed / distinct || selectivity >= most);
}

void add_restriction(const Scan& scan, RestrictInfo* info) {
    if (info->pseudoconstant)
        return;
    Node* clause = reinterpret_cast<Node*>(info->clause);
    Restriction restriction;
    restriction.clause = clause;
    restriction.selectivity = selectivity_of(scan, reinterpret_cast<Node*>(info));
    pull_varattnos(clause, scan.relation->relid, &restriction.columns);
    restriction.constant = !contain_mutable_functions(clause) && !contain_subplans(clause);
    restriction.lasting = restriction.constant && is_lasting(scan, clause, restriction.selectivity);
    Place place;
    place.selectivity = restriction.selectivity;
    place.restriction = scan.facts->restrictions.count;
    scan.facts->restrictions.add(restriction);
    if (info->orclause != nullptr)
        add_or(scan, reinterpret_cast<BoolExpr*>(info->orclause)->args, false);
    else
        add_clause(scan, clause, place);
}

void add_join_clause(const Scan& scan, RestrictInfo* info) {
    // A clause of an outer join cannot be pushed into the side whose rows are all kept.
    if (info->pseudoconstant || !join_clause_is_movable_to(info, scan.relation))
        return;
    Place place;
    place.joins = true;
    if (info->orclause != nullptr)
        add_or(scan, reinterpret_cast<BoolExpr*>(info->orclause)->args, true);
    else
        add_clause(scan, reinterpret_cast<Node*>(info->clause), place);
}

// Equalities of columns of two relations live in equivalence classes. A class with a constant has given each of its
// columns a restriction of its own already.
void add_equivalences(const Scan& scan) {
    const ListCell* cell;
    foreach (cell, scan.root->eq_classes) {
        const EquivalenceClass* equal = lfirst_node(EquivalenceClass, cell);
        if (equal->ec_merged != nullptr || equal->ec_has_const || equal->ec_has_volatile ||
            !bms_is_member(static_cast<int>(scan.relation->relid), equal->ec_relids))
            continue;
        const ListCell* ours;
        foreach (ours, equal->ec_members) {
            const EquivalenceMember* member = lfirst_node(EquivalenceMember, ours);
            Node* side = reinterpret_cast<Node*>(member->em_expr);
            if (member->em_is_child)
                continue;
            const Term term = term_of(scan, side);
            if (!term.exists() || !collation_fits(term, equal->ec_collation))
                continue;
            const TypeCacheEntry* type = lookup_type_cache(term.type, TYPECACHE_BTREE_OPFAMILY);
            if (!OidIsValid(type->btree_opf) || !list_member_oid(equal->ec_opfamilies, type->btree_opf))
                continue;
            Place place;
            place.joins = true;
            if (const double distinct = distinct_values(scan, node_of(term, side)); distinct > 0.0)
                place.selectivity = 1.0 / distinct;
            const ListCell* theirs;
            foreach (theirs, equal->ec_members) {
                const EquivalenceMember* other = lfirst_node(EquivalenceMember, theirs);
                if (other->em_is_child || bms_is_empty(other->em_relids) ||
                    bms_is_member(static_cast<int>(scan.relation->relid), other->em_relids))
                    continue;
                add(scan, term, ClauseKind::join_equality, place, {}, partner_of(other->em_relids));
            }
        }
    }
}

} // namespace

Term term_of(const Scan& scan, Node* expression) {
    Term term;
    expression = strip_relabel(expression);
    if (expression == nullptr)
        return term;
    if (IsA(expression, Var)) {
        const Var* var = reinterpret_cast<Var*>(expression);
        if (var->varno == static_cast<decltype(var->varno)>(scan.relation->relid) && var->varlevelsup == 0 &&
            var->varattno > 0)
            term.column = var->varattno;
    } else if (!IsA(expression, Const) && !IsA(expression, Param)) {
        int only = 0;
        if (bms_get_singleton_member(pull_varnos(scan.root, expression), &only) &&
            only == static_cast<int>(scan.relation->relid) && !contain_mutable_functions(expression) &&
            !contain_subplans(expression) && !holds_search_value(expression, nullptr))
            term.expression = expression;
    }
    if (term.exists()) {
        term.type = exprType(expression);
        term.collation = exprCollation(expression);
    }
    return term;
}

void collect_access(const Scan& scan) {
    const ListCell* cell;
    foreach (cell, scan.relation->baserestrictinfo)
        add_restriction(scan, lfirst_node(RestrictInfo, cell));
    foreach (cell, scan.relation->joininfo)
        add_join_clause(scan, lfirst_node(RestrictInfo, cell));
    add_equivalences(scan);
}

} // namespace citadel::advisor::raw
