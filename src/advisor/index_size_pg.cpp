#include "advisor/index_size_pg.hpp"

#include "pg/guard.hpp"

#include <algorithm>

extern "C" {
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

// What pg_statistic knows of one column, with the server's defaults where it knows nothing.
struct ColumnFacts {
    SizedColumn size;
    double distinct = 0; // as stadistinct: negative is a share of the rows; 0 unknown
    int common_count = 0;
    double common[100] = {}; // frequencies of the most common values
};

int alignment_bytes(char alignment) {
    switch (alignment) {
    case TYPALIGN_CHAR:
        return 1;
    case TYPALIGN_SHORT:
        return 2;
    case TYPALIGN_INT:
        return 4;
    default:
        return 8;
    }
}

ColumnFacts read_facts(Oid relation, AttrNumber column) {
    ColumnFacts facts;
    HeapTuple attribute = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relation), Int16GetDatum(column));
    if (!HeapTupleIsValid(attribute))
        elog(ERROR, "column %d of relation %u does not exist", column, relation);
    const auto* form = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(attribute));
    facts.size.variable_width = form->attlen < 0;
    facts.size.width = form->attlen > 0 ? form->attlen : get_typavgwidth(form->atttypid, form->atttypmod);
    facts.size.alignment = alignment_bytes(form->attalign);
    ReleaseSysCache(attribute);

    // Statistics of the table itself; of a partitioned table, those with inheritance.
    HeapTuple statistics =
        SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relation), Int16GetDatum(column), BoolGetDatum(false));
    if (!HeapTupleIsValid(statistics))
        statistics =
            SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relation), Int16GetDatum(column), BoolGetDatum(true));
    if (!HeapTupleIsValid(statistics))
        return facts;
    const auto* known = reinterpret_cast<Form_pg_statistic>(GETSTRUCT(statistics));
    if (facts.size.variable_width && known->stawidth > 0)
        facts.size.width = known->stawidth;
    facts.size.null_fraction = known->stanullfrac;
    facts.distinct = known->stadistinct;
    AttStatsSlot slot;
    if (get_attstatsslot(&slot, statistics, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_NUMBERS)) {
        facts.common_count = std::min<int>(slot.nnumbers, lengthof(facts.common));
        for (int i = 0; i < facts.common_count; ++i)
            facts.common[i] = slot.numbers[i];
        free_attstatsslot(&slot);
    }
    ReleaseSysCache(statistics);
    return facts;
}

// Of an expression, nothing is known but its type.
ColumnFacts type_facts(const Node* expression) {
    ColumnFacts facts;
    const Oid type = exprType(expression);
    int16 length = 0;
    bool by_value = false;
    char alignment = TYPALIGN_INT;
    get_typlenbyvalalign(type, &length, &by_value, &alignment);
    facts.size.variable_width = length < 0;
    facts.size.width = length > 0 ? length : get_typavgwidth(type, exprTypmod(expression));
    facts.size.alignment = alignment_bytes(alignment);
    return facts;
}

// As _bt_allequalimage() decides: equal keys must look the same, which numeric or float keys do not.
bool deduplicates(const IndexOptInfo& form) {
    if (form.relam != BTREE_AM_OID || form.unique || form.ncolumns != form.nkeycolumns)
        return false;
    for (int i = 0; i < form.nkeycolumns; ++i) {
        const Oid type = form.opcintype[i];
        const Oid function = get_opfamily_proc(form.opfamily[i], type, type, BTEQUALIMAGE_PROC);
        if (!OidIsValid(function) ||
            !DatumGetBool(OidFunctionCall1Coll(function, form.indexcollations[i], ObjectIdGetDatum(type))))
            return false;
    }
    return true;
}

} // namespace

SizedIndex sized_index(Oid table, double rows, const IndexOptInfo& form) {
    SizedIndex index;
    index.rows = rows;
    index.deduplicates = pg::guard([&form] { return deduplicates(form); });
    double distinct = 1;
    bool known = true;
    const bool single = form.nkeycolumns == 1;
    for (int i = 0; i < form.ncolumns; ++i) {
        const auto column = static_cast<AttrNumber>(form.indexkeys[i]);
        const auto* entry = static_cast<const TargetEntry*>(list_nth(form.indextlist, i));
        const ColumnFacts facts = pg::guard([=] {
            return column != InvalidAttrNumber ? read_facts(table, column)
                                               : type_facts(reinterpret_cast<const Node*>(entry->expr));
        });
        index.columns.push_back(facts.size);
        if (i >= form.nkeycolumns)
            continue;
        if (facts.distinct == 0)
            known = false;
        const double own =
            (facts.distinct < 0 ? -facts.distinct * rows : facts.distinct) + (facts.size.null_fraction > 0 ? 1 : 0);
        distinct *= own; // the columns taken as independent, as the planner does without extended statistics
        index.distinct_least = std::max(index.distinct_least, own);
        // NULLs are equal to deduplication, and no common value of the statistics.
        if (single && facts.size.null_fraction > 0)
            index.common.push_back(facts.size.null_fraction * rows);
        if (single)
            for (int j = 0; j < facts.common_count; ++j)
                index.common.push_back(facts.common[j] * rows);
    }
    index.distinct_keys = known ? std::clamp(distinct, 1.0, std::max(rows, 1.0)) : 0.0;
    return index;
}

} // namespace citadel::advisor
