// SQL functions of the door itself.
#include "pg/boundary.hpp"
#include "pg/preload.hpp"
#include "pg/text.hpp"

// citadel.raise_error(sqlstate text, message text, detail text, hint text): lets SQL functions raise an error of
// theirs.
CITADEL_FUNCTION(citadel_raise_error) {
    using citadel::pg::to_string;
    auto argument = [fcinfo](int i) { return PG_ARGISNULL(i) ? std::string() : to_string(PG_GETARG_TEXT_PP(i)); };
    const std::string state = argument(0);
    int sqlerrcode = ERRCODE_RAISE_EXCEPTION;
    if (state.size() == 5)
        sqlerrcode = MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
    citadel::pg::raise(sqlerrcode, argument(1), argument(2), argument(3));
}

CITADEL_FUNCTION(citadel_preloaded) {
    PG_RETURN_BOOL(citadel::pg::preloaded());
}
