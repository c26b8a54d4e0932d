// What is noted of a relation while the planner looks at it. Everything here runs under one guard: plain data,
// palloc'd, nothing that has a destructor.
#pragma once

#include "advisor/model.hpp"

#include "pg/server.hpp"

#include <type_traits>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor::raw {

// Grows by palloc; freed with the planner's memory.
template <class Item>
struct Items {
    static_assert(std::is_trivially_destructible_v<Item>);
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
    const Item* begin() const { return items; }
    const Item* end() const { return items + count; }
};

// A side of a clause, or an order, that an index could hold: a column of the relation, or an expression over it.
struct Term {
    ColumnNumber column = 0;
    Node* expression = nullptr; // when column is 0
    Oid type = InvalidOid;
    Oid collation = InvalidOid;
    bool exists() const { return column != 0 || expression != nullptr; }
};

constexpr int no_arm = -1;
constexpr int no_restriction = -1;

struct Clause {
    Term term;
    ClauseKind kind = ClauseKind::search;
    double selectivity = 1.0;
    std::uint64_t partner = 0;
    int arm = no_arm;
    int restriction = no_restriction; // which of RawFacts::restrictions it comes from
    Items<AccessChoice> serves;
};

// A condition on this relation alone: what a partial index may demand.
struct Restriction {
    Node* clause = nullptr;
    double selectivity = 1.0;
    Bitmapset* columns = nullptr; // offset by FirstLowInvalidHeapAttributeNumber
    bool constant = false;        // no parameters, nothing that is not immutable
    bool lasting = false;         // of the kind that stays the same: a flag, a status, a NULL test
};

struct OrderTerm {
    Term term;
    bool descending = false;
    bool nulls_first = false;
    int order = 0; // which order; terms of one order stand together
};

struct DistanceTerm {
    Term term;
    OperatorClassId operator_class = 0;
};

// A column that the scan reads and no B-tree can have as key.
struct UnsortableColumn {
    ColumnNumber number = 0;
};

struct Facts {
    Items<Clause> clauses;
    Items<Restriction> restrictions;
    Items<OrderTerm> orders;
    Items<DistanceTerm> distances;
    Items<UnsortableColumn> unsortable;
    Bitmapset* returned = nullptr; // columns that leave the scan, offset as above
    int arms = 0;
    int order_count = 0;
    double row_width = 0.0;
};

struct Scan {
    PlannerInfo* root;
    RelOptInfo* relation;
    const RangeTblEntry* entry;
    Facts* facts;
};

// The side of a comparison as something that an index on our relation could hold; empty when it is not.
Term term_of(const Scan& scan, Node* expression);

// Clauses, joins and restrictions (access_facts_pg.cpp).
void collect_access(const Scan& scan);
// Wanted orders and distance orders (order_facts_pg.cpp).
void collect_orders(const Scan& scan);

// An operator that compares (term op value), as the indexes of access methods see it (operator_classes_pg.cpp).
struct OperatorUse {
    int btree_strategy = 0;     // in the default class of the term's type; 0: not in it
    bool hashes = false;        // equality of the type's default hash class
    Items<AccessChoice> others; // classes of B-tree, GIN, GiST and BRIN (default ones alone) that are no default B-tree
};
OperatorUse operator_use(Oid operator_id, const Term& term);

// The class of an access method and family that takes this type: 0 when it is the type's default, no_class when there
// is none.
constexpr OperatorClassId no_class = 0xFFFFFFFFU;
OperatorClassId class_of_family(Oid method, Oid family, Oid type);

// The GiST class that can order by the distance (term op constant), or no_class.
OperatorClassId distance_class(Oid operator_id, const Term& term);
// Is it a distance operator of whatever access method?
bool is_distance(Oid operator_id);

// Classes for which the planner's support function of the clause's function can derive conditions on the term: LIKE
// 'prefix%', ^ in a regular expression, starts_with(), network containment, PostGIS. `argument` is the term's position.
Items<AccessChoice> supported_classes(const Scan& scan, Node* clause, int argument, const Term& term);

} // namespace citadel::advisor::raw
