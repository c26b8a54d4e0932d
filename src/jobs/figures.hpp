// Figures: what rooms measure about the database and the server, for alert rules to judge and metrics to show.
//
// A room registers the SQL that reads a figure, once, when the library is preloaded. alerts/ reads all of them in the
// scheduler and knows no room. The registry lies here, under all rooms that have something to measure.
#pragma once

#include <cstddef>
#include <string_view>

namespace citadel::jobs {

enum class FigureKind {
    gauge,      // the value as it is
    per_minute, // the value counts upwards: its growth a minute since the last reading
    share       // the value and a total count upwards: growth of the one / growth of the other, 0..1
};

struct Figure {
    const char* name;
    const char* unit; // 'ratio', 's', 'ms', 'bytes', 'count', ...: a rule names the same one
    const char* description;
    FigureKind kind;
    // Speaks of the whole server, so that one database reads it: that with the lowest OID among those with a scheduler.
    bool cluster_wide;
    // One row a subject: subject text, value float8, and detail text (share: total float8 instead). Run as the
    // bootstrap superuser with search_path pg_catalog, pg_temp. No row or a NULL value: there is nothing to judge. What
    // matters most comes first: only `max_subjects` rows are read.
    const char* sql;
};

inline constexpr std::size_t max_figures = 64;
inline constexpr std::size_t max_subjects = 200;

// Throws std::logic_error when the table is full, the name is taken, or a part is missing.
void register_figure(const Figure& figure);
std::size_t figure_count();
const Figure& figure_at(std::size_t i);
const Figure* find_figure(std::string_view name);
// Starts empty again; for tests.
void forget_figures();

} // namespace citadel::jobs
