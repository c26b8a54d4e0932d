// SQL functions of the door itself.
#include "pg/boundary.hpp"
#include "pg/preload.hpp"
#include "pg/text.hpp"

// citadel.raise_error(sqlstate text, message text, detail text, hint text): lets SQL functions raise an error of
// theirs.
CITADEL_FUNCTION_OF_ANY_VERSION(citadel_raise_error) {
    using citadel::pg::to_string;
    auto argument = [fcinfo](int i) { return PG_ARGISNULL(i) ? std::string() : to_string(PG_GETARG_TEXT_PP(i)); };
    const std::string state = argument(0);
    int sqlerrcode = ERRCODE_RAISE_EXCEPTION;
    if (state.size() == 5)
        sqlerrcode = MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
    citadel::pg::raise(sqlerrcode, argument(1), argument(2), argument(3));
}

CITADEL_FUNCTION_OF_ANY_VERSION(citadel_preloaded) {
    PG_RETURN_BOOL(citadel::pg::preloaded());
}

CITADEL_FUNCTION_OF_ANY_VERSION(citadel_library_version) {
    return citadel::pg::to_datum(citadel::pg::arg(citadel::pg::library_version));
}

CITADEL_FUNCTION_OF_ANY_VERSION(citadel_version_problem) {
    const auto problem = citadel::pg::version_problem();
    if (!problem)
        PG_RETURN_NULL();
    return citadel::pg::to_datum(citadel::pg::arg(problem->message + ". " + problem->hint));
}
