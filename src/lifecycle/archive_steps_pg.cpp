// The steps of archiving for superusers, by hand: what the executor of policies calls, one at a time.
#include "lifecycle/archive_pg.hpp"

#include "pg/boundary.hpp"
#include "pg/spi.hpp"
#include "pg/tuplestore.hpp"

using namespace citadel;
using namespace citadel::lifecycle;

namespace {

std::string optional_text(FunctionCallInfo fcinfo, int i) {
    return PG_ARGISNULL(i) ? std::string() : pg::to_string(PG_GETARG_TEXT_PP(i));
}

const char* name_of(archive::Progress progress) {
    return progress == archive::Progress::done ? "done" : "more";
}

} // namespace

CITADEL_FUNCTION(citadel_archive_begin) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "relation and destination must not be null");
    archive::Source source;
    source.relation = PG_GETARG_OID(0);
    source.destination = optional_text(fcinfo, 1);
    source.tablespace = optional_text(fcinfo, 2);
    source.partition_bound = optional_text(fcinfo, 3);
    PG_RETURN_INT64(archive::begin(source));
}

CITADEL_FUNCTION(citadel_archive_step) {
    const std::int64_t archive_id = PG_GETARG_INT64(0);
    const std::string step = pg::to_string(PG_GETARG_TEXT_PP(1));
    std::string result;
    if (step == "copy")
        result = name_of(archive::copy_some(archive_id));
    else if (step == "verify")
        result = name_of(archive::verify_some(archive_id));
    else if (step == "restore")
        result = name_of(archive::restore_some(archive_id));
    else if (step == "compare")
        result = archive::source_matches(archive_id) ? "same" : "different";
    else if (step == "discard") {
        archive::discard_partial(archive_id);
        result = "done";
    } else {
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "\"" + step + "\" is no step of archiving",
                  "It is copy, verify, compare, discard or restore.");
    }
    PG_RETURN_TEXT_P(pg::to_text(result));
}
