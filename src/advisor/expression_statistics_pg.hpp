// Statistics of an expression that no index and no statistics object has yet.
#pragma once

#include "advisor/table_sample_pg.hpp"

#include "pg/server.hpp"

extern "C" {
#include "access/htup.h"
}

namespace citadel::advisor {

// What ANALYZE would store in pg_statistic for an expression index, worked out by the type's own typanalyze function
// over the sampled values. `total_rows`: of the whole table. In the current memory context; nullptr when the type has
// no statistics or an error got in the way.
HeapTuple expression_statistics(Oid table, const SampledValues& values, double total_rows);

} // namespace citadel::advisor
