// The statements that follow tables and indexes over time, as text: measuring them, and summing their minutes up.
//
// An hour keeps at most max_hour_relations tables and as many indexes, a day max_day_relations: the busiest.
#pragma once

#include "history/buckets.hpp"

#include <string>

namespace citadel::history {

inline constexpr int max_hour_relations = 2000;
inline constexpr int max_day_relations = 20000;

enum class RelationKind { table, index };

// Rows of citadel.watched_relation whose OID is not here (they came with a restored dump, or the relation was made
// anew, as REINDEX CONCURRENTLY does): what has their name takes them over. Then, what is gone for good. $1: now.
std::string adopt_relations_sql();
std::string forget_relations_sql();

// Names, owners, ancestors and sizes of all user tables and indexes; writes what has changed. No locks. $1: now.
std::string measure_relations_sql();

// Sums the minutes of the hour or day that begins at $1 up, for at most $2 relations; clear first.
std::string clear_relations_sql(RelationKind kind, Step step);
std::string sum_up_relations_sql(RelationKind kind, Step step);

// Begins (microseconds since 2000) of the hours or days from $1 to before $2 of which there are minutes, and of the
// last.
std::string relation_buckets_due_sql(Step step);

// How large the relations $1 (bigint[]) were before the moments $2 (timestamptz[]), as last measured, as far as the
// role $3 may see them: place in the arrays, bytes of table and indexes, rows, dead rows. A few index entries are read
// for each, however long the history is.
std::string relation_sizes_sql();

} // namespace citadel::history
