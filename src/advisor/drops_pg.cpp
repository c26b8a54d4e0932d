#include "advisor/drops_pg.hpp"

#include "pg/spi.hpp"

namespace citadel::advisor {

bool standbys_exist() {
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_replication r WHERE r.pid NOT IN
                           (SELECT s.active_pid FROM pg_catalog.pg_replication_slots s
                            WHERE s.slot_type = 'logical' AND s.active_pid IS NOT NULL))
            OR EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.slot_type = 'physical'))");
    return rows.boolean(0, 0);
}

} // namespace citadel::advisor
