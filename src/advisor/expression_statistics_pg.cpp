#include "advisor/expression_statistics_pg.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "pg/subtransaction.hpp"

#include <algorithm>

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

// ---- Under one guard: plain data, no C++ objects.

Datum fetch_value(VacAttrStatsP statistics, int row, bool* is_null) {
    *is_null = statistics->exprnulls[row];
    return statistics->exprvals[row];
}

VacAttrStats* start(const SampledValues& values, MemoryContext memory) {
    auto* statistics = static_cast<VacAttrStats*>(palloc0(sizeof(VacAttrStats)));
    pg::use_default_statistics_target(statistics);
    statistics->attrtypid = values.type;
    statistics->attrtypmod = values.modifier;
    statistics->attrcollid = values.collation;
    HeapTuple type = SearchSysCacheCopy1(TYPEOID, ObjectIdGetDatum(values.type));
    if (!HeapTupleIsValid(type))
        elog(ERROR, "cache lookup failed for type %u", values.type);
    statistics->attrtype = reinterpret_cast<Form_pg_type>(GETSTRUCT(type));
    statistics->anl_context = memory;
    for (int i = 0; i < STATISTIC_NUM_SLOTS; ++i) {
        statistics->statypid[i] = statistics->attrtypid;
        statistics->statyplen[i] = statistics->attrtype->typlen;
        statistics->statypbyval[i] = statistics->attrtype->typbyval;
        statistics->statypalign[i] = statistics->attrtype->typalign;
    }
    statistics->exprvals = const_cast<Datum*>(values.values);
    statistics->exprnulls = const_cast<bool*>(values.nulls);
    statistics->rowstride = 1;
    const bool known =
        OidIsValid(statistics->attrtype->typanalyze)
            ? DatumGetBool(OidFunctionCall1(statistics->attrtype->typanalyze, PointerGetDatum(statistics)))
            : std_typanalyze(statistics);
    return known && statistics->compute_stats != nullptr ? statistics : nullptr;
}

// A row of pg_statistic.
HeapTuple form_row(Oid table, const VacAttrStats* statistics) {
    Datum values[Natts_pg_statistic] = {};
    bool nulls[Natts_pg_statistic] = {};
    values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(table);
    values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(1);
    values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(false);
    values[Anum_pg_statistic_stanullfrac - 1] = Float4GetDatum(statistics->stanullfrac);
    values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(statistics->stawidth);
    values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(statistics->stadistinct);
    for (int i = 0; i < STATISTIC_NUM_SLOTS; ++i) {
        values[Anum_pg_statistic_stakind1 - 1 + i] = Int16GetDatum(statistics->stakind[i]);
        values[Anum_pg_statistic_staop1 - 1 + i] = ObjectIdGetDatum(statistics->staop[i]);
        values[Anum_pg_statistic_stacoll1 - 1 + i] = ObjectIdGetDatum(statistics->stacoll[i]);
        const int numbers = statistics->numnumbers[i];
        nulls[Anum_pg_statistic_stanumbers1 - 1 + i] = numbers == 0;
        if (numbers > 0) {
            auto* data = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<Size>(numbers)));
            for (int n = 0; n < numbers; ++n)
                data[n] = Float4GetDatum(statistics->stanumbers[i][n]);
            values[Anum_pg_statistic_stanumbers1 - 1 + i] =
                PointerGetDatum(construct_array(data, numbers, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
        }
        nulls[Anum_pg_statistic_stavalues1 - 1 + i] = statistics->numvalues[i] == 0;
        if (statistics->numvalues[i] > 0)
            values[Anum_pg_statistic_stavalues1 - 1 + i] = PointerGetDatum(
                construct_array(statistics->stavalues[i], statistics->numvalues[i], statistics->statypid[i],
                                statistics->statyplen[i], statistics->statypbyval[i], statistics->statypalign[i]));
    }
    Relation catalogue = table_open(StatisticRelationId, AccessShareLock);
    HeapTuple row = heap_form_tuple(RelationGetDescr(catalogue), values, nulls);
    table_close(catalogue, AccessShareLock);
    return row;
}

} // namespace

HeapTuple expression_statistics(Oid table, const SampledValues& values, double total_rows) {
    if (values.count == 0)
        return nullptr;
    const MemoryContext kept = CurrentMemoryContext;
    HeapTuple row = nullptr;
    const std::optional<pg::Error> failure = pg::try_subtransaction([&] {
        const pg::MemoryScope scratch("expression statistics");
        pg::guard([&row, &values, table, total_rows, kept] {
            VacAttrStats* statistics = start(values, CurrentMemoryContext);
            if (statistics == nullptr)
                return;
            const int rows = static_cast<int>(values.count);
            statistics->compute_stats(statistics, fetch_value, rows, std::max<double>(total_rows, rows));
            if (!statistics->stats_valid)
                return;
            HeapTuple formed = form_row(table, statistics);
            const MemoryContext before = MemoryContextSwitchTo(kept);
            row = heap_copytuple(formed);
            MemoryContextSwitchTo(before);
        });
    });
    pg::rethrow_cancel(failure);
    return failure ? nullptr : row;
}

} // namespace citadel::advisor
