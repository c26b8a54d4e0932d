// The partition key of a table, and places on it, between the server's forms and ours.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

#include <memory>

namespace citadel::lifecycle {

// The policy's time zone, by the server's own tables. Raises 22023 when the server does not know the name.
std::unique_ptr<Zone> make_zone(const std::string& name);

// Kind of a column of this type; nothing when it is neither a time nor an integer.
std::optional<ColumnKind> kind_of_type(Oid type);
// Largest value of a column type (2147483647 for integer); open_high for others.
Place highest_of_type(Oid type);
const char* kind_name(ColumnKind kind);
ColumnKind kind_from_name(const std::string& name);

// A place as SQL literal text without quotes: whatever the session's TimeZone and DateStyle are, it is read back as the
// same place. timestamptz is shown in the policy's zone. '-infinity' and 'infinity' for the open ends.
std::string place_text(Place place, const Policy& policy);
// As the bound of FOR VALUES FROM (...) TO (...), quoted.
std::string bound_literal(Place place, const Policy& policy);

// Parses "1 month", "monthly", "10000" (integer). Raises 22023, naming `what`, for anything but a positive length.
Span parse_span(const std::string& text, ColumnKind kind, const char* what);

// Type of a column, InvalidOid when there is none.
Oid column_type(Oid relation, const std::string& column);

struct PartitionKey {
    char strategy = 0;                // 'r', 'l', 'h'; 0: not partitioned
    std::vector<std::string> columns; // "" for an expression
};
PartitionKey read_partition_key(Oid relation);

// All partitions of the table, with the bounds that the server itself goes by. Raises 0A000 for a partition whose bound
// is no range over one column.
std::vector<Partition> read_partitions(Oid parent, ColumnKind kind);

} // namespace citadel::lifecycle
