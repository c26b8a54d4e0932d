// What policies speak of: plain structs without the server.
//
// Places on the partition key are int64: microseconds since 2000-01-01 (UTC for timestamptz, as written for timestamp
// and date) or the value itself for an integer column. Open ends are the smallest and largest int64, which are also the
// server's -infinity and infinity.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace citadel::lifecycle {

using Place = std::int64_t;
inline constexpr Place open_low = std::numeric_limits<Place>::min();
inline constexpr Place open_high = std::numeric_limits<Place>::max();

enum class ColumnKind { timestamptz, timestamp, date, integer };
enum class TableMode { partitioned, convert, keep };
enum class OnExpiry { archive, detach, drop };

// A length: calendar months, days and microseconds, or a count for an integer column.
struct Span {
    std::int32_t months = 0;
    std::int32_t days = 0;
    std::int64_t micros = 0; // the count for an integer column
    bool operator==(const Span&) const = default;
};

struct Policy {
    std::int64_t id = 0;
    std::int32_t version = 1;
    std::uint32_t relation = 0; // OID
    std::uint32_t owner = 0;
    std::string schema, name;
    std::string column;
    ColumnKind kind = ColumnKind::timestamptz;
    TableMode mode = TableMode::partitioned;
    Span interval;
    std::string interval_text;
    std::int32_t premake = 12;
    std::optional<Span> retain;
    std::string retain_text; // empty: for ever
    OnExpiry on_expiry = OnExpiry::archive;
    std::string archive_to = "schema";
    std::string archive_tablespace; // empty: none
    std::int64_t quarantine_us = 0;
    std::string time_zone = "UTC";
    std::optional<bool> default_partition;
    std::string allowed_hours; // empty: any
    bool create_enabled = true, detach_enabled = true, archive_enabled = true, drop_enabled = true;
    bool extend_keys = false, split_after_conversion = false;
    bool at_home = true; // false in a restored or cloned database: nothing is moved or dropped
};

struct Partition {
    std::uint32_t oid = 0;
    std::string schema, name;
    Place lower = open_low;  // inclusive
    Place upper = open_high; // exclusive
    bool is_default = false;
    bool detach_pending = false;
    std::string obstacle; // why it can be neither archived nor dropped, as seen in the catalogue; empty: none
    std::string holds;    // why it is held; empty: it is not
};

// An open row of citadel.lifecycle_operation.
struct Operation {
    std::int64_t id = 0;
    std::string kind, state;
    std::uint32_t subject = 0;
    std::string subject_schema, subject_name;
    std::optional<std::string> lower_bound, upper_bound;
    std::int32_t attempts = 0;
    std::optional<std::int64_t> not_before; // microseconds since 2000-01-01 UTC
    std::int64_t archive_id = 0;
    std::string archive_to; // of that archive: an expiry goes on as it began; empty while it has none
    std::string obstacle;   // as for a partition
    std::string holds;
};

// Calendar arithmetic needs the policy's time zone, which the server knows.
class Zone {
  public:
    virtual ~Zone() = default;
    virtual std::int64_t to_local(std::int64_t utc) const = 0;
    virtual std::int64_t to_utc(std::int64_t local) const = 0;
};

enum class Action {
    create_partition,
    create_default,
    drop_default,
    move_default_rows,
    finalize_detach,
    detach,
    close_to_writers,
    archive,
    verify,
    drop,
    undo,
    move_rows, // of a plain table that is kept plain
    convert,
    split,
    restore,
};
const char* action_name(Action action);

// One line of a plan. What preview prints is what the executor walks through.
struct Step {
    Action action = Action::create_partition;
    std::int64_t operation_id = 0; // of a step that belongs to one under way
    std::uint32_t subject = 0;     // OID of the partition or table; 0 for one that does not exist yet
    std::string target;            // schema.name, quoted; of a new partition: its bounds
    Place lower = open_low, upper = open_high;
    std::string lock;    // strongest table lock that it takes, and on what
    std::string reason;  // why it is to be done
    std::string blocked; // why it is not done now; empty: it is
};

} // namespace citadel::lifecycle
