#include "advisor/planner_facts_pg.hpp"

#include "advisor/raw_facts_pg.hpp"
#include "advisor/what_if_pg.hpp"

#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/text.hpp"

#include <algorithm>
#include <optional>
#include <set>

extern "C" {
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace citadel::advisor {

namespace {

FactCollector* collecting = nullptr;
set_rel_pathlist_hook_type previous_hook = nullptr;

// What leaves the scan, and what the scan itself looks at. Under the guard.
void collect(const raw::Scan& scan) {
    raw::collect_access(scan);
    raw::collect_orders(scan);
    pull_varattnos(reinterpret_cast<Node*>(scan.relation->reltarget->exprs), scan.relation->relid,
                   &scan.facts->returned);
    for (int column = 1; column <= scan.relation->max_attr; ++column) {
        const int offset = column - FirstLowInvalidHeapAttributeNumber;
        if (scan.relation->attr_widths[column - scan.relation->min_attr] <= 0 &&
            !bms_is_member(offset, scan.facts->returned))
            continue; // not read
        const auto number = static_cast<ColumnNumber>(column);
        if (!OidIsValid(lookup_type_cache(get_atttype(scan.entry->relid, number), TYPECACHE_BTREE_OPFAMILY)->btree_opf))
            scan.facts->unsortable.add(raw::UnsortableColumn{number});
    }
    scan.facts->row_width = get_relation_data_width(scan.entry->relid, nullptr);
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

// The columns of a set, sorted; nothing when it has the whole row or a system column, which no index holds.
std::optional<std::vector<ColumnNumber>> columns_of(const Bitmapset* set) {
    std::vector<ColumnNumber> columns;
    for (int member = bms_next_member(set, -1); member >= 0; member = bms_next_member(set, member)) {
        const int column = member + FirstLowInvalidHeapAttributeNumber;
        if (column <= 0)
            return std::nullopt;
        columns.push_back(static_cast<ColumnNumber>(column));
    }
    return columns;
}

// From the plain data of one look to the model; expressions get their numbers on the way.
class Translation {
  public:
    Translation(const raw::Facts& facts, Oid relation, Index variable, Expressions& expressions, RelationUse& use)
        : facts_(facts), relation_(relation), variable_(variable), expressions_(expressions), use_(use) {}

    void run() {
        restrictions();
        clauses();
        orders();
        needed();
        predicates();
    }

  private:
    // 0 for a column; nothing for an expression that cannot be indexed.
    std::optional<ExpressionId> expression_of(const raw::Term& term) {
        if (term.column != 0)
            return 0;
        const ExpressionId id = expressions_.intern(term.expression, relation_, variable_);
        return id != 0 ? std::optional(id) : std::nullopt;
    }

    void restrictions() {
        for (const raw::Restriction& restriction : facts_.restrictions)
            ids_.push_back(restriction.constant ? expressions_.intern(restriction.clause, relation_, variable_) : 0);
    }

    void clauses() {
        use_.arms.resize(static_cast<std::size_t>(facts_.arms));
        std::set<int> seen;
        for (const raw::Clause& clause : facts_.clauses) {
            const std::optional<ExpressionId> expression = expression_of(clause.term);
            if (!expression)
                continue;
            Clause found{clause.term.column, clause.kind, clause.selectivity, clause.partner, *expression};
            if (clause.restriction != raw::no_restriction) {
                found.predicate = ids_[static_cast<std::size_t>(clause.restriction)];
                seen.insert(clause.restriction);
            }
            found.serves.assign(clause.serves.begin(), clause.serves.end());
            std::vector<Clause>& into =
                clause.arm == raw::no_arm ? use_.clauses : use_.arms[static_cast<std::size_t>(clause.arm)];
            if (std::find(into.begin(), into.end(), found) == into.end())
                into.push_back(std::move(found));
        }
        // Conditions that no key column can serve still prove predicates.
        for (int i = 0; i < facts_.restrictions.count; ++i)
            if (const ExpressionId id = ids_[static_cast<std::size_t>(i)]; id != 0 && seen.count(i) == 0)
                use_.clauses.push_back(
                    Clause{0, ClauseKind::search, facts_.restrictions.items[i].selectivity, 0, 0, id});
    }

    void orders() {
        std::vector<Key> orders(static_cast<std::size_t>(facts_.order_count));
        std::vector<bool> ended(orders.size());
        for (const raw::OrderTerm& term : facts_.orders) {
            const auto order = static_cast<std::size_t>(term.order);
            if (order >= orders.size() || ended[order])
                continue;
            const std::optional<ExpressionId> expression = expression_of(term.term);
            if (!expression)
                ended[order] = true;
            else
                orders[order].push_back(KeyColumn{term.term.column, term.descending, term.nulls_first, *expression, 0});
        }
        for (Key& order : orders)
            if (!order.empty() && std::find(use_.orders.begin(), use_.orders.end(), order) == use_.orders.end())
                use_.orders.push_back(std::move(order));
        for (const raw::DistanceTerm& distance : facts_.distances)
            if (const std::optional<ExpressionId> expression = expression_of(distance.term))
                use_.distance_orders.push_back({distance.term.column, *expression, distance.operator_class});
    }

    // The columns that the scan needs when the restrictions in `proved` are known to hold anyway.
    std::vector<ColumnNumber> needed_without(const std::set<ExpressionId>& proved) const {
        Bitmapset* all = facts_.returned;
        for (int i = 0; i < facts_.restrictions.count; ++i)
            if (proved.count(ids_[static_cast<std::size_t>(i)]) == 0) {
                const Bitmapset* columns = facts_.restrictions.items[i].columns;
                all = pg::guard([=] { return bms_union(all, columns); });
            }
        return columns_of(all).value_or(std::vector<ColumnNumber>{});
    }

    void needed() { use_.needed = needed_without({}); }

    // A flag or status by itself, and all of them together.
    void predicates() {
        std::vector<ExpressionId> all;
        double together = 1.0;
        for (int i = 0; i < facts_.restrictions.count; ++i) {
            const raw::Restriction& restriction = facts_.restrictions.items[i];
            const ExpressionId id = ids_[static_cast<std::size_t>(i)];
            if (id == 0 || !restriction.lasting || std::find(all.begin(), all.end(), id) != all.end())
                continue;
            add_predicate(id, restriction.selectivity, {id});
            all.push_back(id);
            together *= restriction.selectivity;
        }
        std::sort(all.begin(), all.end());
        if (all.size() > 1 && all.size() <= max_together)
            if (const ExpressionId both = expressions_.conjunction(all); both != 0)
                add_predicate(both, together, all);
    }

    void add_predicate(ExpressionId id, double selectivity, const std::vector<ExpressionId>& clauses) {
        use_.predicates.push_back(
            {id, selectivity, clauses, needed_without(std::set<ExpressionId>(clauses.begin(), clauses.end()))});
    }

    static constexpr std::size_t max_together = 4;

    const raw::Facts& facts_;
    Oid relation_;
    Index variable_;
    Expressions& expressions_;
    RelationUse& use_;
    std::vector<ExpressionId> ids_; // a restriction: its predicate, or 0
};

} // namespace

FactCollector::FactCollector(Expressions& expressions) : outer_(collecting), expressions_(expressions) {
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
    raw::Facts facts;
    const raw::Scan scan{root, relation, entry, &facts};
    pg::guard([&scan] { collect(scan); });
    RelationUse use;
    use.relation = entry->relid;
    use.rows = relation->tuples;
    use.pages = relation->pages;
    use.row_width = facts.row_width;
    for (AttrNumber column = 1; column <= relation->max_attr; ++column)
        use.column_widths.push_back(std::max<double>(relation->attr_widths[column - relation->min_attr], 0.0));
    for (const raw::UnsortableColumn& column : facts.unsortable)
        use.unsortable.push_back(column.number);
    Translation(facts, entry->relid, relation->relid, expressions_, use).run();
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
