#include "pg/write_as.hpp"

namespace citadel::pg {

std::uint64_t execute_as(Oid user, const std::vector<std::string>& statements) {
    return write_as(user, [&statements](Spi& spi) {
        std::uint64_t rows = 0;
        for (const std::string& statement : statements)
            rows = spi.execute(statement);
        return rows;
    });
}

} // namespace citadel::pg
