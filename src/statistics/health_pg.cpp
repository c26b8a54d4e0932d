// citadel.health(): the report of health_figures(), or that our own tables do not let it be made.
#include "pg/server.hpp"

#include "pg/boundary.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"

#include <string>

namespace {

namespace pg = citadel::pg;

// Errors that speak of the tables and what is in them: something undefined or of another type (42), a value that
// cannot be computed with (22), a damaged file (XX). Everything else is the caller's: a privilege, a cancel, a lock.
bool tells_of_damage(const pg::Error& error) {
    const std::string state = error.sqlstate();
    const std::string kind = state.substr(0, 2);
    return state != "42501" && (kind == "42" || kind == "22" || kind == "XX");
}

std::string health_of_damaged(const pg::Error& error) {
    pg::Spi spi;
    return spi
        .query(
            "SELECT jsonb_build_object('status', 'error', 'reasons', jsonb_build_array($1::text), 'at', now(), "
            "'database', current_database(), 'version', (SELECT extversion FROM pg_extension WHERE extname = "
            "'citadel_opt'))",
            {pg::arg(std::string("tables of citadel_opt are damaged, so nothing else can be said: ") + error.what())})
        .text(0, 0);
}

} // namespace

// health_figures() looks at the versions itself.
CITADEL_FUNCTION_OF_ANY_VERSION(citadel_health) {
    std::string document;
    const auto error = pg::try_subtransaction([&document] {
        pg::Spi spi;
        document = spi.query("SELECT citadel.health_figures()").text(0, 0);
    });
    if (error) {
        if (!tells_of_damage(*error))
            throw *error;
        document = health_of_damaged(*error);
    }
    return pg::to_datum(pg::arg_as(JSONBOID, document));
}
