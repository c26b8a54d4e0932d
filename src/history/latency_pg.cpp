// The SQL functions of latency.sql: stored histograms, merged and read.
#include "pg/server.hpp"

#include "capture/latency_histogram.hpp"
#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/text.hpp"
#include "pg/tuplestore.hpp"

#include <algorithm>
#include <limits>

extern "C" {
#include "utils/array.h"
}

namespace {

using citadel::capture::LatencyHistogram;
namespace pg = citadel::pg;

void merge(LatencyHistogram& into, Datum value) {
    const bytea* bytes = pg::guard([value] { return DatumGetByteaPP(value); });
    if (!into.merge_serial({VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)}))
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "these bytes are not a latency histogram", {},
                  "Histograms are in column latency of citadel.statement_minute, statement_hour and statement_day; "
                  "delete the rows that somebody changed by hand.");
}

LatencyHistogram histogram_of(Datum value) {
    LatencyHistogram histogram;
    merge(histogram, value);
    return histogram;
}

std::int64_t clamped(std::uint64_t count) {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return static_cast<std::int64_t>(std::min(count, most));
}

} // namespace

CITADEL_FUNCTION(citadel_latency_merge) {
    ArrayType* array = pg::guard([fcinfo] { return PG_GETARG_ARRAYTYPE_P(0); });
    LatencyHistogram sum;
    ArrayIterator elements = pg::guard([array] { return array_create_iterator(array, 0, nullptr); });
    Datum value = 0;
    bool missing = false;
    while (pg::guard([&] { return array_iterate(elements, &value, &missing); }))
        if (!missing)
            merge(sum, value);
    const std::string serial = sum.serial();
    text* bytes = pg::to_text(serial); // bytea and text lie in memory alike
    return PointerGetDatum(bytes);
}

CITADEL_FUNCTION(citadel_latency_percentile) {
    const LatencyHistogram histogram = histogram_of(PG_GETARG_DATUM(0));
    const double p = PG_GETARG_FLOAT8(1);
    if (!(p >= 0 && p <= 1))
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "p must be between 0 and 1");
    if (histogram.empty())
        PG_RETURN_NULL();
    PG_RETURN_FLOAT8(histogram.percentile(p));
}

CITADEL_FUNCTION(citadel_latency_calls) {
    PG_RETURN_INT64(clamped(histogram_of(PG_GETARG_DATUM(0)).count()));
}

CITADEL_FUNCTION(citadel_latency_buckets) {
    const LatencyHistogram histogram = histogram_of(PG_GETARG_DATUM(0));
    pg::ResultSet rows(fcinfo);
    for (int bucket = 0; bucket < citadel::capture::latency_bucket_count; ++bucket)
        if (histogram.in_bucket(bucket) > 0)
            rows.row({pg::arg(citadel::capture::latency_bucket_lower(bucket)),
                      pg::arg(citadel::capture::latency_bucket_upper(bucket)),
                      pg::arg(clamped(histogram.in_bucket(bucket)))});
    return 0;
}
