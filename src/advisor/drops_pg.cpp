#include "advisor/drops_pg.hpp"

#include "pg/guard.hpp"
#include "pg/spi.hpp"
#include "pg/text.hpp"

extern "C" {
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
}

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

std::string drop_statement(const Drop& drop) {
    const Oid index = drop.index;
    const bool partitioned = pg::guard([index] { return get_rel_relkind(index); }) == RELKIND_PARTITIONED_INDEX;
    return std::string("DROP INDEX ") + (partitioned ? "" : "CONCURRENTLY ") + pg::qualified_name(index);
}

std::string drop_reason(const Drop& drop) {
    switch (drop.reason) {
    case DropReason::unused:
        return "not scanned for longer than citadel_opt.unused_index_age";
    case DropReason::invalid:
        return "invalid: left behind by a failed CREATE INDEX CONCURRENTLY, maintained and never read";
    case DropReason::duplicate:
        return drop.covered_by != 0 ? "duplicate of " + pg::qualified_name(drop.covered_by)
                                    : "duplicate of a recommended index";
    case DropReason::redundant:
        break;
    }
    return drop.covered_by != 0 ? pg::qualified_name(drop.covered_by) + " does what it does"
                                : "a recommended index does what it does; create that one first";
}

} // namespace citadel::advisor
