// Writing as a table's owner: the one way in which workers run what may call his code.
#pragma once

#include "pg/role.hpp"
#include "pg/spi.hpp"

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace citadel::pg {

// Runs `work(spi)` as `user` in a restricted operation (RoleScope, Work::writes) with an SPI connection of its own, and
// gives back what it gives back. Constraint triggers of what it did have fired, as `user`, when this returns.
template <typename Work>
std::invoke_result_t<Work, Spi&> write_as(Oid user, Work work) {
    RoleScope role(user, "pg_catalog, pg_temp", RoleScope::Work::writes);
    if constexpr (std::is_void_v<std::invoke_result_t<Work, Spi&>>) {
        {
            Spi spi;
            work(spi);
        }
        role.leave();
    } else {
        auto result = [&work] {
            Spi spi;
            return work(spi);
        }();
        role.leave();
        return result;
    }
}

// Runs the statements one after the other as `user`, as above; rows processed by the last one.
std::uint64_t execute_as(Oid user, const std::vector<std::string>& statements);

} // namespace citadel::pg
