// Why a statement has become slower: what is known of the time before and since, ranked. Server-free.
//
// The planner is deterministic: the same statement gets another plan only when its objects, their statistics or sizes,
// a setting or its parameter values are others. So what triggers a change goes before what it did (another plan, more
// blocks), and when all triggers that are looked at are ruled out, the parameters are what is left.
#pragma once

#include "history/watched_settings.hpp"

#include <string>
#include <vector>

namespace citadel::history {

// The order is that of the columns in the documentation, not that of importance.
enum class Cause { index, setting, ddl, statistics, data, bloat, waiting, cache, parameters, plan, blocks, unknown };
const char* name_of(Cause cause);

struct RunFigures { // means of a run
    double calls = 0;
    double blocks = 0;
    double reads = 0;
    double temp_blocks = 0;
    double rows = 0;
};

struct TableFacts {
    std::string name;
    double rows = 0;              // now
    double rows_before = 0;       // when the statement was last as usual
    double rows_a_day_before = 0; // or when it was first seen, if that is later
    double analyzed_rows = 0;     // as the last ANALYZE saw it
    double modified = 0;          // rows changed since then
    double dead = 0;
    bool has_statistics = true;
    std::string analyzed_at; // ANALYZE ran about when it began; empty: it did not
};

struct IndexFacts { // of the plan before
    std::string name;
    bool exists = true;
    bool valid = true;
    double pages = 0;
    double pages_before = 0; // when it was last vacuumed or analysed
};

struct DdlFacts { // on a table of one of the plans
    std::string at, command, action, object, table;
    bool index = false;
    bool trigger = false;          // or a constraint: work of writers that no plan shows
    bool used_by_new_plan = false; // an index
};

struct SettingFacts {
    std::string at, name, old_value, new_value, where; // where: '' (server), 'database', 'role x'
    SettingEffect effect = SettingEffect::none;
};

struct WaitFacts { // of its time, as far as that was sampled
    double seconds_before = 0, seconds = 0;
    double share_before = 0, share = 0; // spent waiting, 0..1
    std::string most;                   // what for, mainly
};

struct Facts {
    double usual_ms = 0, ms = 0;
    bool other_plan = false;     // most runs have another plan than before
    bool plan_known = false;     // the text of one of both: which tables it reads
    bool old_plan_known = false; // that of the plan before: which indexes it used
    std::string restarted_at;    // the server, about when it began; empty: it was not
    RunFigures before, since;
    std::vector<TableFacts> tables;
    std::vector<IndexFacts> indexes;
    std::vector<DdlFacts> ddl;
    std::vector<SettingFacts> settings;
    WaitFacts waits;
};

struct Finding {
    Cause cause = Cause::unknown;
    std::string why; // a sentence with its figures
};

// What applies, the main cause first; never empty.
std::vector<Finding> attribute(const Facts& facts);

} // namespace citadel::history
