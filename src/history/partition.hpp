// Daily partitions of the history, as plain arithmetic: days are UTC days, counted from 2000-01-01.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace citadel::history {

// The tables that are partitioned by day.
inline constexpr std::string_view partitioned_tables[] = {"sample",      "statement_delta",  "table_delta",
                                                          "index_delta", "statement_minute", "statement_hour",
                                                          "table_hour",  "index_hour"};

// The day of a TimestampTz (microseconds since 2000-01-01 00:00 UTC); right for times before it as well.
std::int64_t day_of(std::int64_t timestamp);

// Name of the partition of a table for a day: sample_p20261121.
std::string partition_name(std::string_view table, std::int64_t day);

// The first moment of a day, to be read as timestamptz whatever DateStyle and TimeZone are: 2026-11-21 00:00:00+00.
std::string day_start(std::int64_t day);

} // namespace citadel::history
