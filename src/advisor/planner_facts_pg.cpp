#include "advisor/planner_facts_pg.hpp"

#include "advisor/what_if_pg.hpp"

#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/text.hpp"

#include <algorithm>

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace citadel::advisor {

namespace {

FactCollector* collecting = nullptr;
set_rel_pathlist_hook_type previous_hook = nullptr;

// ---- Everything down to the next line of this kind runs under one guard: plain data, palloc'd, no C++ objects.

constexpr int no_arm = -1;

struct RawClause {
    ColumnNumber column;
    ClauseKind kind;
    double selectivity;
    std::uint64_t partner;
    int arm;
};
static_assert(std::is_trivially_destructible_v<RawClause>);

struct RawOrder {
    KeyColumn column;
    int order;
};

// Grows by palloc; freed with the planner's memory.
template <class Item>
struct RawList {
    Item* items = nullptr;
    int count = 0;
    int capacity = 0;
    void add(const Item& item) {
        if (count == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            const Size bytes = sizeof(Item) * static_cast<Size>(capacity);
            items = static_cast<Item*>(items == nullptr ? palloc(bytes) : repalloc(items, bytes));
        }
        items[count++] = item;
    }
};

struct RawFacts {
    RawList<RawClause> clauses;
    RawList<RawOrder> orders;
    RawList<ColumnNumber> needed;
    bool whole_row = false;
    int arms = 0;
    int order_count = 0;
};

struct Scan {
    PlannerInfo* root;
    RelOptInfo* relation;
    RawFacts* facts;
};

// The column of our relation that the expression is, or 0.
AttrNumber column_of(const Scan& scan, Node* expression) {
    while (expression != nullptr && IsA(expression, RelabelType))
        expression = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(expression)->arg);
    if (expression == nullptr || !IsA(expression, Var))
        return 0;
    const Var* var = reinterpret_cast<Var*>(expression);
    if (var->varno != static_cast<decltype(var->varno)>(scan.relation->relid) || var->varlevelsup != 0 ||
        var->varattno <= 0)
        return 0;
    return var->varattno;
}

Oid btree_family(Oid type) {
    return lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
}

Oid type_of_column(Node* expression) {
    while (IsA(expression, RelabelType))
        expression = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(expression)->arg);
    return exprType(expression);
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

void add(const Scan& scan, AttrNumber column, ClauseKind kind, double selectivity, int arm, std::uint64_t partner = 0) {
    scan.facts->clauses.add(RawClause{column, kind, selectivity, partner, arm});
}

void add_comparison(const Scan& scan, AttrNumber column, Node* column_side, Oid operator_id, Node* value,
                    double selectivity, int arm) {
    if (column == 0 || !OidIsValid(operator_id) || !is_comparable_value(scan, value))
        return;
    const Oid family = btree_family(type_of_column(column_side));
    const int strategy = OidIsValid(family) ? get_op_opfamily_strategy(operator_id, family) : 0;
    if (strategy == 0)
        return;
    Relids others = pull_varnos(scan.root, value);
    if (strategy != BTEqualStrategyNumber)
        add(scan, column, ClauseKind::range, selectivity, arm);
    else if (bms_is_empty(others))
        add(scan, column, ClauseKind::equality, selectivity, arm);
    else
        add(scan, column, ClauseKind::join_equality, selectivity, arm, partner_of(others));
}

void add_row_comparison(const Scan& scan, const RowCompareExpr* row, double selectivity, int arm) {
    // Keyset paging: (a, b) > (x, y) is a range over the index (a, b).
    const int order = scan.facts->order_count;
    const ListCell* left;
    const ListCell* right;
    bool any = false;
    forboth(left, row->largs, right, row->rargs) {
        const AttrNumber column = column_of(scan, static_cast<Node*>(lfirst(left)));
        if (column == 0 || !is_comparable_value(scan, static_cast<Node*>(lfirst(right))))
            break;
        if (!any)
            add(scan, column, ClauseKind::range, selectivity, arm);
        any = true;
        scan.facts->orders.add(RawOrder{KeyColumn{column, false, false}, order});
    }
    if (any)
        ++scan.facts->order_count;
}

void add_clause(const Scan& scan, Node* clause, double selectivity, int arm);

void add_or(const Scan& scan, const List* arms) {
    const ListCell* cell;
    foreach (cell, arms) {
        const int arm = scan.facts->arms++;
        Node* node = static_cast<Node*>(lfirst(cell));
        if (is_andclause(node)) {
            const ListCell* part;
            foreach (part, reinterpret_cast<BoolExpr*>(node)->args)
                add_clause(scan, static_cast<Node*>(lfirst(part)), 1.0, arm);
        } else {
            add_clause(scan, node, 1.0, arm);
        }
    }
}

void add_clause(const Scan& scan, Node* clause, double selectivity, int arm) {
    if (IsA(clause, RestrictInfo)) {
        const RestrictInfo* info = reinterpret_cast<RestrictInfo*>(clause);
        if (info->pseudoconstant)
            return;
        if (info->norm_selec >= 0.0 && info->norm_selec <= 1.0)
            selectivity = info->norm_selec;
        if (info->orclause != nullptr) {
            if (arm == no_arm)
                add_or(scan, reinterpret_cast<BoolExpr*>(info->orclause)->args);
            return;
        }
        clause = reinterpret_cast<Node*>(info->clause);
    }
    if (const AttrNumber column = column_of(scan, clause); column != 0) {
        add(scan, column, ClauseKind::equality, selectivity, arm); // a boolean column by itself
    } else if (is_notclause(clause)) {
        if (const AttrNumber negated = column_of(scan, reinterpret_cast<Node*>(get_notclausearg(clause))); negated != 0)
            add(scan, negated, ClauseKind::equality, selectivity, arm);
    } else if (IsA(clause, OpExpr)) {
        const OpExpr* comparison = reinterpret_cast<OpExpr*>(clause);
        if (list_length(comparison->args) != 2)
            return;
        Node* left = static_cast<Node*>(linitial(comparison->args));
        Node* right = static_cast<Node*>(lsecond(comparison->args));
        add_comparison(scan, column_of(scan, left), left, comparison->opno, right, selectivity, arm);
        add_comparison(scan, column_of(scan, right), right, get_commutator(comparison->opno), left, selectivity, arm);
    } else if (IsA(clause, ScalarArrayOpExpr)) {
        const ScalarArrayOpExpr* any = reinterpret_cast<ScalarArrayOpExpr*>(clause);
        Node* left = static_cast<Node*>(linitial(any->args));
        const AttrNumber column = column_of(scan, left);
        if (!any->useOr || column == 0 || !is_comparable_value(scan, static_cast<Node*>(lsecond(any->args))))
            return;
        const Oid family = btree_family(type_of_column(left));
        if (OidIsValid(family) && get_op_opfamily_strategy(any->opno, family) == BTEqualStrategyNumber)
            add(scan, column, ClauseKind::any_of, selectivity, arm);
    } else if (IsA(clause, NullTest)) {
        const NullTest* test = reinterpret_cast<NullTest*>(clause);
        const AttrNumber column = column_of(scan, reinterpret_cast<Node*>(test->arg));
        if (column != 0 && test->nulltesttype == IS_NULL && !test->argisrow &&
            OidIsValid(btree_family(type_of_column(reinterpret_cast<Node*>(test->arg)))))
            add(scan, column, ClauseKind::equality, selectivity, arm);
    } else if (IsA(clause, BooleanTest)) {
        const BooleanTest* test = reinterpret_cast<BooleanTest*>(clause);
        const AttrNumber column = column_of(scan, reinterpret_cast<Node*>(test->arg));
        if (column != 0 && (test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE))
            add(scan, column, ClauseKind::equality, selectivity, arm);
    } else if (IsA(clause, RowCompareExpr)) {
        add_row_comparison(scan, reinterpret_cast<RowCompareExpr*>(clause), selectivity, arm);
    }
}

// Equalities of columns of two relations live in equivalence classes. A class with a constant has given each of its
// columns a restriction of its own already.
void add_equivalences(const Scan& scan) {
    const ListCell* cell;
    foreach (cell, scan.root->eq_classes) {
        const EquivalenceClass* equal = lfirst_node(EquivalenceClass, cell);
        if (equal->ec_merged != nullptr || equal->ec_has_const || equal->ec_has_volatile)
            continue;
        if (!bms_is_member(static_cast<int>(scan.relation->relid), equal->ec_relids))
            continue;
        const ListCell* ours;
        foreach (ours, equal->ec_members) {
            const EquivalenceMember* member = lfirst_node(EquivalenceMember, ours);
            if (member->em_is_child)
                continue;
            const AttrNumber column = column_of(scan, reinterpret_cast<Node*>(member->em_expr));
            if (column == 0 || !OidIsValid(btree_family(type_of_column(reinterpret_cast<Node*>(member->em_expr)))))
                continue;
            const ListCell* theirs;
            foreach (theirs, equal->ec_members) {
                const EquivalenceMember* other = lfirst_node(EquivalenceMember, theirs);
                if (other->em_is_child || bms_is_empty(other->em_relids) ||
                    bms_is_member(static_cast<int>(scan.relation->relid), other->em_relids))
                    continue;
                add(scan, column, ClauseKind::join_equality, 1.0, no_arm, partner_of(other->em_relids));
            }
        }
    }
}

// As much of a wanted order as our relation alone can give.
void add_order(const Scan& scan, const List* pathkeys) {
    const int order = scan.facts->order_count;
    bool any = false;
    const ListCell* cell;
    foreach (cell, pathkeys) {
        const PathKey* wanted = lfirst_node(PathKey, cell);
        const EquivalenceClass* equal = wanted->pk_eclass;
        while (equal->ec_merged != nullptr)
            equal = equal->ec_merged;
        AttrNumber column = 0;
        const ListCell* member_cell;
        foreach (member_cell, equal->ec_members) {
            const EquivalenceMember* member = lfirst_node(EquivalenceMember, member_cell);
            if (!member->em_is_child)
                column = column_of(scan, reinterpret_cast<Node*>(member->em_expr));
            if (column != 0)
                break;
        }
        if (column == 0)
            break;
        any = true;
        scan.facts->orders.add(
            RawOrder{KeyColumn{column, pg::pathkey_is_descending(wanted), wanted->pk_nulls_first}, order});
    }
    if (any)
        ++scan.facts->order_count;
}

void add_needed(const Scan& scan) {
    Bitmapset* columns = nullptr;
    const Index relid = scan.relation->relid;
    pull_varattnos(reinterpret_cast<Node*>(scan.relation->reltarget->exprs), relid, &columns);
    const ListCell* cell;
    foreach (cell, scan.relation->baserestrictinfo)
        pull_varattnos(reinterpret_cast<Node*>(lfirst_node(RestrictInfo, cell)->clause), relid, &columns);
    int member = -1;
    while ((member = bms_next_member(columns, member)) >= 0) {
        const int column = member + FirstLowInvalidHeapAttributeNumber;
        if (column <= 0)
            scan.facts->whole_row = true; // or a system column: not from an index
        else
            scan.facts->needed.add(static_cast<ColumnNumber>(column));
    }
}

void collect(const Scan& scan) {
    const ListCell* cell;
    foreach (cell, scan.relation->baserestrictinfo)
        add_clause(scan, static_cast<Node*>(lfirst(cell)), 1.0, no_arm);
    foreach (cell, scan.relation->joininfo)
        add_clause(scan, static_cast<Node*>(lfirst(cell)), 1.0, no_arm);
    add_equivalences(scan);
    add_order(scan, scan.root->query_pathkeys);
    add_order(scan, scan.root->group_pathkeys);
    add_order(scan, scan.root->window_pathkeys);
    add_order(scan, scan.root->distinct_pathkeys);
    add_order(scan, scan.root->sort_pathkeys);
    add_needed(scan);
}

// Members of a partitioned table stand for their parent, whose own facts are the same; members of a UNION ALL or of
// plain inheritance stand for themselves.
bool stands_for_itself(const PlannerInfo* root, const RelOptInfo* relation) {
    if (relation->reloptkind == RELOPT_BASEREL)
        return true;
    if (relation->reloptkind != RELOPT_OTHER_MEMBER_REL || root->append_rel_array == nullptr)
        return false;
    const AppendRelInfo* membership = root->append_rel_array[relation->relid];
    if (membership == nullptr)
        return false;
    const RangeTblEntry* parent = root->simple_rte_array[membership->parent_relid];
    return parent->rtekind != RTE_RELATION || parent->relkind != RELKIND_PARTITIONED_TABLE;
}

void set_rel_pathlist(PlannerInfo* root, RelOptInfo* relation, Index index, RangeTblEntry* entry) {
    if (previous_hook != nullptr)
        previous_hook(root, relation, index, entry);
    if (collecting == nullptr || entry->rtekind != RTE_RELATION || !is_ours(root) || !stands_for_itself(root, relation))
        return;
    pg::boundary([&] { collecting->note(root, relation, entry); });
}

// ---- From here on C++ again.

} // namespace

FactCollector::FactCollector() : outer_(collecting) {
    collecting = this;
}

FactCollector::~FactCollector() {
    collecting = outer_;
}

void FactCollector::note(PlannerInfo* root, RelOptInfo* relation, const RangeTblEntry* entry) {
    const std::string reason = unsupported_reason(entry->relid);
    if (!reason.empty()) {
        unsupported_.emplace(entry->relid, reason);
        return;
    }
    RawFacts raw;
    const Scan scan{root, relation, &raw};
    pg::guard([&scan] { collect(scan); });

    RelationUse use;
    use.relation = entry->relid;
    use.arms.resize(static_cast<std::size_t>(raw.arms));
    for (int i = 0; i < raw.clauses.count; ++i) {
        const RawClause& clause = raw.clauses.items[i];
        std::vector<Clause>& into = clause.arm == no_arm ? use.clauses : use.arms[static_cast<std::size_t>(clause.arm)];
        const Clause found{clause.column, clause.kind, clause.selectivity, clause.partner};
        if (std::find(into.begin(), into.end(), found) == into.end())
            into.push_back(found);
    }
    std::vector<Key> orders(static_cast<std::size_t>(raw.order_count));
    for (int i = 0; i < raw.orders.count; ++i)
        if (raw.orders.items[i].order < raw.order_count)
            orders[static_cast<std::size_t>(raw.orders.items[i].order)].push_back(raw.orders.items[i].column);
    for (Key& order : orders)
        if (!order.empty() && std::find(use.orders.begin(), use.orders.end(), order) == use.orders.end())
            use.orders.push_back(std::move(order));
    if (!raw.whole_row)
        use.needed.assign(raw.needed.items, raw.needed.items + raw.needed.count);
    uses_.push_back(std::move(use));
}

std::string unsupported_reason(Oid relation) {
    struct Found {
        bool exists;
        char kind;
        char persistence;
        char name[NAMEDATALEN];
        char schema[NAMEDATALEN];
    };
    const Found found = pg::guard([relation] {
        Found facts = {};
        const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
        if (!HeapTupleIsValid(tuple))
            return facts;
        const FormData_pg_class* row = reinterpret_cast<FormData_pg_class*>(GETSTRUCT(tuple));
        facts.exists = true;
        facts.kind = row->relkind;
        facts.persistence = row->relpersistence;
        strlcpy(facts.name, NameStr(row->relname), NAMEDATALEN);
        const char* schema = get_namespace_name(row->relnamespace);
        strlcpy(facts.schema, schema != nullptr ? schema : "", NAMEDATALEN);
        ReleaseSysCache(tuple);
        return facts;
    });
    if (!found.exists)
        return "relation " + std::to_string(relation) + " no longer exists";
    const std::string name = std::string(found.schema) + "." + found.name;
    if (relation < FirstNormalObjectId)
        return name + " is a system catalog";
    if (found.persistence == RELPERSISTENCE_TEMP)
        return found.name + std::string(" is a temporary table");
    if (found.kind == RELKIND_FOREIGN_TABLE)
        return name + " is a foreign table";
    if (std::string(found.schema) == "citadel")
        return name + " belongs to citadel_opt";
    if (found.kind != RELKIND_RELATION && found.kind != RELKIND_MATVIEW && found.kind != RELKIND_PARTITIONED_TABLE)
        return name + " is not a table";
    return {};
}

void install_planner_facts() {
    previous_hook = set_rel_pathlist_hook;
    set_rel_pathlist_hook = set_rel_pathlist;
}

} // namespace citadel::advisor
