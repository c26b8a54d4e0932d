#include "advisor/wording_pg.hpp"

#include "advisor/index_definition_pg.hpp"
#include "advisor/reason_pg.hpp"

#include "pg/guard.hpp"
#include "pg/text.hpp"
#include "settings/settings.hpp"

#include <cstdio>

extern "C" {
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
}

namespace citadel::advisor {

namespace {

// What the index is for, and how much it brings.
std::string describe(const Candidate& index, const std::vector<Beneficiary>& helped,
                     const std::vector<const StatementUse*>& uses, const Expressions& expressions) {
    std::string text = purpose(index, uses, expressions);
    if (helped.empty())
        return text;
    char figures[160];
    std::snprintf(figures, sizeof figures, "; %zu statement%s cheaper, one from cost %.2f to %.2f", helped.size(),
                  helped.size() == 1 ? "" : "s", helped.front().cost_before, helped.front().cost_after);
    return text + figures;
}

char kind_of(RelationId relation) {
    const Oid oid = relation;
    return pg::guard([=] { return get_rel_relkind(oid); });
}

std::string reason_to_drop(DropReason reason) {
    switch (reason) {
    case DropReason::unused:
        return "no scan was counted for " + std::to_string(settings::unused_index_age_min / (24 * 60)) + " days";
    case DropReason::invalid:
        return "it is invalid, left behind by a build that failed: it is kept up to date and never read";
    case DropReason::duplicate:
        return "another index is the same";
    case DropReason::redundant:
        return "a longer index does what it does";
    }
    return {};
}

} // namespace

std::string Wording::unused_name(const HypotheticalIndex& index) {
    const std::string wanted = choose_index_name(index);
    std::string name = wanted;
    for (int i = 1; taken_.count(name) != 0; ++i) {
        const std::string suffix = "_" + std::to_string(i);
        const std::size_t room = NAMEDATALEN - 1 - suffix.size();
        // Never cut a character in two.
        const int kept = wanted.size() <= room
                             ? static_cast<int>(wanted.size())
                             : pg_mbcliplen(wanted.c_str(), static_cast<int>(wanted.size()), static_cast<int>(room));
        name = wanted.substr(0, static_cast<std::size_t>(kept)) + suffix;
        const char* text = name.c_str();
        const Oid relation = index.relation;
        if (pg::guard([=] { return get_relname_relid(text, get_rel_namespace(relation)); }) != InvalidOid)
            taken_.insert(name);
    }
    taken_.insert(name);
    return name;
}

void Wording::say_what_it_replaces(Recommendation& found, const Step& step) {
    for (const IndexId replaced : step.replaces) {
        const std::string name = pg::qualified_name(replaced);
        if (name.empty())
            continue;
        found.reason += (found.existing == 0 ? "; replaces " : " and ") + name;
        if (found.existing == 0) {
            found.existing = replaced;
            found.existing_name = name;
            found.action = Recommendation::Action::replace;
        }
    }
}

void Wording::word(Recommendation& found, const Step& step, const std::vector<const StatementUse*>& uses) {
    HypotheticalIndex index = costs_.hypothetical(step.index);
    index.name = unused_name(index);
    found.name = index.name;
    found.definition = create_index_statement(index);
    found.reason = describe(step.index, found.helped, uses, costs_.expressions());
    for (std::size_t i = 0; i < step.together.size(); ++i)
        found.reason +=
            (i == 0 ? "; pays only together with " : " and ") + key_text(step.together[i], costs_.expressions());
    say_what_it_replaces(found, step);
    if (kind_of(step.index.relation) == RELKIND_PARTITIONED_TABLE)
        found.build_note =
            "The table is partitioned, and CONCURRENTLY is not allowed on it: this statement blocks writes to every "
            "partition while it runs. citadel.index_build_plan() builds it partition by partition without blocking";
}

bool Wording::word(Recommendation& found, const Drop& drop, const std::vector<ExistingIndex>& existing) {
    found.existing_name = pg::qualified_name(drop.index);
    if (found.existing_name.empty())
        return false;
    found.name = found.existing_name;
    const bool partitioned = kind_of(drop.index) == RELKIND_PARTITIONED_INDEX;
    found.definition = (partitioned ? "DROP INDEX " : "DROP INDEX CONCURRENTLY ") + found.existing_name;
    if (partitioned)
        found.build_note =
            "The index is partitioned, and CONCURRENTLY is not allowed on it: dropping it locks the table "
            "exclusively for a moment";
    found.reason = reason_to_drop(drop.reason);
    if (drop.covered_by != 0)
        found.reason += ": " + pg::qualified_name(drop.covered_by);
    else if (drop.covered_by_step)
        found.reason += ", once it is built: " + key_text(*drop.covered_by_step, costs_.expressions());
    for (const ExistingIndex& one : existing)
        if (one.id == drop.index)
            found.index = as_candidate(drop.relation, one);
    found.index.relation = drop.relation;
    return true;
}

} // namespace citadel::advisor
