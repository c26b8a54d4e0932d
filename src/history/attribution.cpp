#include "history/attribution.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace citadel::history {

namespace {

constexpr double more_blocks = 1.5; // a run, or they are as many
constexpr double more_reads = 2;    // the same of those that were not cached, and of temporary ones
constexpr double grown = 1.3;       // rows of a table
constexpr double much_grown = 1.5; // so that it explains why ANALYZE found something else, or why in a day a plan flips
constexpr double stale = 0.2;      // of the rows changed since ANALYZE; autovacuum acts at 0.1
constexpr double least_modified = 50; // rows: autovacuum's own threshold
constexpr double dead_share = 0.3;
constexpr double waiting_share = 0.5; // of its time
constexpr double more_waiting = 0.3;  // than before
constexpr double least_waited_s = 0.5;

// Places in the ranking. What only happened at the same time stands behind what is known to make a difference.
enum Rank {
    index_gone,
    waiting_alone,
    setting_fits,
    new_index_used,
    data_made_statistics,
    statistics_changed,
    ddl_fits,
    data_grew,
    statistics_stale,
    bloated,
    waiting_too,
    reads_more,
    data_grew_slowly,
    parameters_left,
    plan_alone,
    blocks_alone,
    nothing_known,
    coincidence,
    companion
};

struct Ranked {
    Rank rank;
    Finding finding;
};

std::string number(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof text, std::abs(value) < 10 && value != std::floor(value) ? "%.1f" : "%.0f", value);
    return text;
}

std::string percent(double share) {
    return number(100 * share) + " %";
}

double grew(const TableFacts& table) {
    return table.rows / std::max(table.rows_before, 1.0);
}

bool is_stale(const TableFacts& table) {
    return table.modified >= least_modified + stale * std::max(table.analyzed_rows, 0.0);
}

class Attribution {
  public:
    explicit Attribution(const Facts& facts)
        : facts_(facts), blocks_(ratio(facts.since.blocks, facts.before.blocks) >= more_blocks),
          reads_(ratio(facts.since.reads, facts.before.reads) >= more_reads),
          spills_(ratio(facts.since.temp_blocks, facts.before.temp_blocks) >= more_reads) {}

    std::vector<Finding> findings() {
        indexes();
        waits();
        for (const SettingFacts& setting : facts_.settings)
            changed(setting);
        for (const DdlFacts& ddl : facts_.ddl)
            happened(ddl);
        for (const TableFacts& table : facts_.tables)
            look_at(table);
        cache();
        what_is_left();
        std::stable_sort(found_.begin(), found_.end(),
                         [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
        std::vector<Finding> all;
        for (Ranked& one : found_)
            all.push_back(std::move(one.finding));
        return all;
    }

  private:
    static double ratio(double since, double before) { return since / std::max(before, 1.0); }

    void add(Rank rank, Cause cause, std::string why) { found_.push_back({rank, {cause, std::move(why)}}); }

    void indexes() {
        for (const IndexFacts& index : facts_.indexes) {
            if (facts_.other_plan && !index.exists) {
                const auto dropped = std::find_if(facts_.ddl.begin(), facts_.ddl.end(), [&index](const DdlFacts& ddl) {
                    return ddl.index && ddl.action == "dropped" && ddl.object == index.name;
                });
                add(index_gone, Cause::index,
                    "index " + index.name + ", which the plan before used, is gone" +
                        (dropped == facts_.ddl.end() ? std::string() : ": " + dropped->command + " at " + dropped->at));
            } else if (facts_.other_plan && !index.valid) {
                add(index_gone, Cause::index, "index " + index.name + ", which the plan before used, is invalid");
            } else if (!facts_.other_plan && blocks_ && index.pages_before > 0 &&
                       index.pages >= more_blocks * index.pages_before && !table_grew()) {
                add(bloated, Cause::bloat,
                    "index " + index.name + " has " + number(index.pages) + " pages, it had " +
                        number(index.pages_before) + " when it was last vacuumed or analysed");
            }
        }
    }

    bool table_grew() const {
        return std::any_of(facts_.tables.begin(), facts_.tables.end(),
                           [](const TableFacts& table) { return grew(table) >= grown; });
    }

    void waits() {
        const WaitFacts& waits = facts_.waits;
        if (waits.seconds < least_waited_s || waits.share < waiting_share ||
            (waits.seconds_before > 0 && waits.share < waits.share_before + more_waiting))
            return;
        add(facts_.other_plan ? waiting_too : waiting_alone, Cause::waiting,
            "it waits for " + percent(waits.share) + " of its time, mainly " + waits.most + " (before: " +
                (waits.seconds_before > 0 ? percent(waits.share_before) : std::string("not seen waiting")) + ")");
    }

    bool fits(const SettingFacts& setting) const {
        switch (setting.effect) {
        case SettingEffect::planning: // jit is no part of a plan's identity
            return facts_.other_plan || setting.name.rfind("jit", 0) == 0;
        case SettingEffect::memory:
            return facts_.other_plan || spills_;
        case SettingEffect::io:
            return !facts_.other_plan;
        case SettingEffect::none:
            return false;
        }
        return false;
    }

    void changed(const SettingFacts& setting) {
        const auto shown = [](const std::string& value) { return value.empty() ? std::string("unset") : value; };
        add(fits(setting) ? setting_fits : coincidence, Cause::setting,
            setting.name + (setting.where.empty() ? "" : " of " + setting.where) + " was changed from " +
                shown(setting.old_value) + " to " + shown(setting.new_value) + " at " + setting.at);
    }

    void happened(const DdlFacts& ddl) {
        std::string why = ddl.command + " at " + ddl.at + ": " + ddl.object + " was " + ddl.action;
        if (!ddl.table.empty() && ddl.table != ddl.object)
            why += " on " + ddl.table;
        if (ddl.index && ddl.action == "dropped" && facts_.other_plan && !facts_.old_plan_known) {
            add(index_gone, Cause::index, why + " (which indexes the plan before used is not known)");
            return;
        }
        if (ddl.index && ddl.action == "created" && facts_.other_plan && ddl.used_by_new_plan) {
            add(new_index_used, Cause::ddl, why + ", and the new plan uses it");
            return;
        }
        const bool matters = ddl.index ? false : ddl.trigger ? !facts_.other_plan : facts_.other_plan || blocks_;
        add(matters ? ddl_fits : coincidence, Cause::ddl, why);
    }

    void look_at(const TableFacts& table) {
        const double growth = grew(table);
        if (facts_.other_plan && !table.has_statistics && table.rows > 0)
            add(statistics_changed, Cause::statistics, "table " + table.name + " has no statistics");
        else if (facts_.other_plan && is_stale(table))
            add(statistics_changed, Cause::statistics,
                number(table.modified) + " rows of " + table.name + " were changed since ANALYZE saw " +
                    number(table.analyzed_rows));
        else if (facts_.other_plan && !table.analyzed_at.empty())
            add(growth >= much_grown ? coincidence : statistics_changed, Cause::statistics,
                "ANALYZE ran on " + table.name + " at " + table.analyzed_at);
        else if (!facts_.other_plan && blocks_ && is_stale(table))
            add(statistics_stale, Cause::statistics,
                number(table.modified) + " rows of " + table.name + " were changed since ANALYZE saw " +
                    number(table.analyzed_rows));
        if (growth >= grown && table.rows >= table.rows_before + least_modified && (facts_.other_plan || blocks_))
            add(facts_.other_plan && growth >= much_grown && !is_stale(table) ? data_made_statistics : data_grew,
                Cause::data,
                "table " + table.name + " has " + number(table.rows) + " rows, before it had " +
                    number(table.rows_before));
        else if (table.rows >= much_grown * table.rows_a_day_before + least_modified && (facts_.other_plan || blocks_))
            add(data_grew_slowly, Cause::data,
                "table " + table.name + " has " + number(table.rows) + " rows, a day before it had " +
                    number(table.rows_a_day_before));
        if (!facts_.other_plan && blocks_ && growth < grown && table.dead > least_modified &&
            table.dead >= dead_share * (table.rows + table.dead))
            add(bloated, Cause::bloat,
                percent(table.dead / (table.rows + table.dead)) + " of the rows of " + table.name + " are dead");
    }

    void cache() {
        const bool of_all =
            facts_.since.blocks > 0 && facts_.before.blocks > 0 &&
            facts_.since.reads / facts_.since.blocks > more_reads * facts_.before.reads / facts_.before.blocks;
        if (!reads_ || (blocks_ && !of_all) || facts_.other_plan)
            return;
        std::string why =
            number(facts_.since.reads) + " blocks a run were not in the cache, before " + number(facts_.before.reads);
        if (!facts_.restarted_at.empty())
            why += "; the server was started at " + facts_.restarted_at;
        add(blocks_ ? coincidence : reads_more, Cause::cache, std::move(why));
    }

    bool nothing_found() const {
        return std::none_of(found_.begin(), found_.end(), [](const Ranked& one) { return one.rank < coincidence; });
    }

    void what_is_left() {
        const bool nothing = nothing_found();
        const std::string numbers = number(facts_.since.blocks) + " blocks and " + number(facts_.since.rows) +
                                    " rows a run, before " + number(facts_.before.blocks) + " and " +
                                    number(facts_.before.rows);
        if (nothing && facts_.plan_known && (facts_.other_plan || blocks_))
            add(parameters_left, Cause::parameters,
                std::string(facts_.other_plan ? "another plan" : "the same plan") + ", " + numbers +
                    ", while its tables, their statistics and indexes and the settings are as they were: other "
                    "parameter values (or a session's own settings)");
        else if (nothing && blocks_ && !facts_.other_plan)
            add(blocks_alone, Cause::blocks, "the same plan with " + numbers);
        if (facts_.other_plan)
            add(nothing && !facts_.plan_known ? plan_alone : companion, Cause::plan,
                "most runs have another plan than before: " + numbers);
        if (nothing && nothing_found())
            add(nothing_known, Cause::unknown, "none of what is looked at tells why: " + numbers);
    }

    const Facts& facts_;
    bool blocks_, reads_, spills_;
    std::vector<Ranked> found_;
};

} // namespace

const char* name_of(Cause cause) {
    switch (cause) {
    case Cause::index:
        return "index";
    case Cause::setting:
        return "setting";
    case Cause::ddl:
        return "ddl";
    case Cause::statistics:
        return "statistics";
    case Cause::data:
        return "data";
    case Cause::bloat:
        return "bloat";
    case Cause::waiting:
        return "waiting";
    case Cause::cache:
        return "cache";
    case Cause::parameters:
        return "parameters";
    case Cause::plan:
        return "plan";
    case Cause::blocks:
        return "blocks";
    case Cause::unknown:
        return "unknown";
    }
    return "unknown";
}

std::vector<Finding> attribute(const Facts& facts) {
    return Attribution(facts).findings();
}

} // namespace citadel::history
