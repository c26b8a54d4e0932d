#include "advisor/recommend_pg.hpp"

#include "advisor/drops_pg.hpp"
#include "advisor/existing_indexes_pg.hpp"
#include "advisor/index_definition_pg.hpp"
#include "advisor/predicates_pg.hpp"
#include "advisor/progress_pg.hpp"
#include "advisor/reason_pg.hpp"

#include "pg/fault.hpp"
#include "pg/guard.hpp"
#include "pg/subtransaction.hpp"
#include "pg/text.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

extern "C" {
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
}

namespace citadel::advisor {

namespace {

// Statements whose load was measured share the planner cost of all of them in proportion to that load: what runs slower
// than the planner thinks counts for more.
void weigh(const std::vector<WorkloadStatement>& workload, const std::vector<std::size_t>& positions,
           PlannerCosts& costs) {
    std::vector<StatementUse>& uses = costs.uses();
    double load = 0.0;
    double planned = 0.0;
    std::vector<double> single(uses.size());
    for (std::size_t s = 0; s < uses.size(); ++s) {
        const WorkloadStatement& statement = workload[positions[s]];
        single[s] = std::max(costs.first_cost(s), 0.01);
        uses[s].weight = std::max(statement.calls, 0.0);
        if (statement.load_ms > 0.0) {
            load += statement.load_ms;
            planned += statement.calls * single[s];
        }
    }
    for (std::size_t s = 0; s < uses.size(); ++s)
        if (const double measured = workload[positions[s]].load_ms; measured > 0.0 && planned > 0.0)
            uses[s].weight = measured / load * planned / single[s];
}

std::string unused_name(const HypotheticalIndex& index, std::set<std::string>& taken) {
    const std::string wanted = choose_index_name(index);
    std::string name = wanted;
    for (int i = 1; taken.count(name) != 0; ++i) {
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
            taken.insert(name);
    }
    taken.insert(name);
    return name;
}

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

// Without keeping the table locked. A table that went away meanwhile has none; nothing is recommended on it, because
// its statements cannot be planned any more.
std::vector<ExistingIndex> indexes_of(RelationId relation, PlannerCosts& costs) {
    std::vector<ExistingIndex> indexes;
    const std::optional<pg::Error> failure =
        pg::try_discarded_subtransaction([&] { indexes = existing_indexes(relation, costs.expressions()); });
    pg::rethrow_cancel(failure);
    return indexes;
}

// What somebody would try first: the first column alone, the same without INCLUDE, without the predicate, a plain
// B-tree of the same columns.
std::vector<Candidate> obvious_ones(const Candidate& index) {
    std::vector<Candidate> obvious;
    const auto add = [&](Candidate candidate) {
        if (candidate != index && std::find(obvious.begin(), obvious.end(), candidate) == obvious.end())
            obvious.push_back(std::move(candidate));
    };
    Candidate first = index;
    first.key.resize(1);
    first.included.clear();
    add(first);
    Candidate narrow = index;
    narrow.included.clear();
    add(narrow);
    Candidate whole = index;
    whole.predicate = 0;
    add(whole);
    if (index.method == AccessMethod::brin || index.method == AccessMethod::hash) {
        Candidate btree = index;
        btree.method = AccessMethod::btree;
        for (KeyColumn& column : btree.key)
            column.operator_class = 0;
        add(btree);
    }
    return obvious;
}

// Runs without keeping locks. A server error other than a cancel means that the tables changed meanwhile.
template <class Body>
bool succeeds(Body&& body) {
    const std::optional<pg::Error> failure = pg::try_discarded_subtransaction(std::forward<Body>(body));
    if (failure && failure->is_intervention())
        throw *failure;
    return !failure;
}

// Prices them for the statements that the recommended index helps most.
void compare(Recommendation& found, const std::vector<Candidate>& before, const std::vector<Helped>& helped,
             PlannerCosts& costs) {
    constexpr std::size_t most_statements = 30;
    const std::size_t asked = std::min(helped.size(), most_statements);
    for (const Candidate& candidate : obvious_ones(found.index)) {
        Configuration with{before, {}};
        with.added.push_back(candidate);
        std::sort(with.added.begin(), with.added.end());
        with.added.erase(std::unique(with.added.begin(), with.added.end()), with.added.end());
        double gain = 0.0;
        double saved = 0.0;
        for (std::size_t i = 0; i < asked; ++i) {
            const double weight = costs.uses()[helped[i].statement].weight;
            gain += weight * (helped[i].cost_before - helped[i].cost_after);
            saved += weight * (helped[i].cost_before - costs.price(helped[i].statement, with).cost);
        }
        costs.leave_role();
        Alternative alternative;
        alternative.share_of_gain = gain > 0.0 ? std::clamp(saved / gain, 0.0, 1.0) : 0.0;
        if (succeeds([&] {
                alternative.bytes = costs.size(candidate);
                HypotheticalIndex index = costs.hypothetical(candidate);
                index.name = choose_index_name(index);
                alternative.definition = create_index_statement(index);
            }))
            found.alternatives.push_back(std::move(alternative));
    }
}

// What is to be dropped, in words. False when it is gone already.
bool word_drop(Recommendation& found, const Drop& drop, const std::map<RelationId, std::vector<ExistingIndex>>& indexes,
               const Expressions& expressions) {
    found.existing_name = pg::qualified_name(drop.index);
    if (found.existing_name.empty())
        return false;
    found.name = found.existing_name;
    const Oid index = drop.index;
    const bool partitioned = pg::guard([=] { return get_rel_relkind(index); }) == RELKIND_PARTITIONED_INDEX;
    found.definition = (partitioned ? "DROP INDEX " : "DROP INDEX CONCURRENTLY ") + found.existing_name;
    if (partitioned)
        found.build_note =
            "The index is partitioned, and CONCURRENTLY is not allowed on it: dropping it locks the table "
            "exclusively for a moment";
    switch (drop.reason) {
    case DropReason::unused:
        found.reason =
            "no scan was counted for " + std::to_string(settings::unused_index_age_min / (24 * 60)) + " days";
        break;
    case DropReason::invalid:
        found.reason = "it is invalid, left behind by a build that failed: it is kept up to date and never read";
        break;
    case DropReason::duplicate:
        found.reason = "another index is the same";
        break;
    case DropReason::redundant:
        found.reason = "a longer index does what it does";
        break;
    }
    if (drop.covered_by != 0)
        found.reason += ": " + pg::qualified_name(drop.covered_by);
    else if (drop.covered_by_step)
        found.reason += ", once it is built: " + key_text(*drop.covered_by_step, expressions);
    for (const ExistingIndex& one : indexes.at(drop.relation))
        if (one.id == drop.index)
            found.index = as_candidate(drop.relation, one);
    found.index.relation = drop.relation;
    return true;
}

} // namespace

const char* action_name(Recommendation::Action action) {
    switch (action) {
    case Recommendation::Action::create:
        return "create";
    case Recommendation::Action::drop:
        return "drop";
    case Recommendation::Action::replace:
        return "replace";
    }
    return "";
}

Advice recommend(const std::vector<WorkloadStatement>& workload, const AdviceRules& rules) {
    Advice advice;
    ProgressSlot slot;
    const auto started = std::chrono::steady_clock::now();
    const auto out_of_time = [&] {
        return slot.asked_to_stop() || (rules.time_limit_ms && std::chrono::steady_clock::now() - started >
                                                                   std::chrono::milliseconds(*rules.time_limit_ms));
    };
    PlannerCosts costs(rules.writes);
    std::vector<std::size_t> positions; // of the examined statements in the workload
    for (std::size_t i = 0; i < workload.size(); ++i) {
        slot.analysing(i, workload.size());
        if (out_of_time())
            advice.skipped.push_back({i, "the time was up"});
        else if (const std::optional<std::string> reason = costs.add(workload[i]))
            advice.skipped.push_back({i, *reason});
        else
            positions.push_back(i);
    }
    advice.examined = positions.size();
    for (std::size_t i = 0; i < positions.size(); ++i)
        advice.examined_statements.push_back({positions[i], costs.notes(i), costs.uses()[i].relations});
    share_predicates(costs.uses(), costs.expressions());
    weigh(workload, positions, costs);

    std::map<RelationId, std::vector<ExistingIndex>> indexes;
    costs.leave_role();
    for (const StatementUse& use : costs.uses())
        for (const RelationUse& relation : use.relations)
            if (const auto [entry, is_new] = indexes.try_emplace(relation.relation); is_new)
                entry->second = indexes_of(relation.relation, costs);
    const ExistingIndexes existing = [&](RelationId relation) -> const std::vector<ExistingIndex>& {
        return indexes.at(relation);
    };

    pg::fault_point("advise analysed");
    SelectionRules selection_rules;
    selection_rules.candidates.max_key_columns = rules.max_key_columns;
    selection_rules.candidates.kinds = rules.kinds;
    selection_rules.max_indexes = rules.max_indexes;
    if (rules.budget_bytes)
        selection_rules.budget_bytes = static_cast<std::uint64_t>(*rules.budget_bytes);
    selection_rules.consider_drops = rules.consider_drops;
    if (rules.consider_drops && standbys_exist()) {
        selection_rules.consider_drops = false;
        advice.drops_withheld = "a standby exists, and what its queries use is not known here";
    }
    selection_rules.stop = [&] { return costs.cancelled() || out_of_time(); };
    selection_rules.progress = [&](const SelectionProgress& progress) {
        slot.update(progress, costs.planner_calls());
        if (progress.candidates > 0)
            pg::fault_point("advise searching");
    };
    if (rules.cancel_is_stop)
        costs.take_cancel_as_stop();
    const Selection selection = select_indexes(costs.uses(), existing, costs, selection_rules);
    costs.take_cancel_as_error();
    costs.leave_role();
    advice.stopped = selection.stopped;
    advice.write_cost = selection.write_cost;
    advice.lower_bound = selection.lower_bound;
    if (selection.worst_hit)
        advice.worst_hit = Beneficiary{positions[selection.worst_hit->statement],
                                       selection.worst_hit->cost_before,
                                       selection.worst_hit->cost_after,
                                       {},
                                       {},
                                       false};
    advice.cost_before = selection.cost_before;
    advice.cost_after = selection.cost_after;
    advice.candidates = selection.candidates;
    advice.budget_was_binding = selection.budget_was_binding;

    std::set<std::string> names;
    std::set<IndexId> replaced;
    // Names and statements of one step.
    const auto word = [&](Recommendation& found, const Step& step, const std::vector<const StatementUse*>& uses) {
        HypotheticalIndex index = costs.hypothetical(step.index);
        index.name = unused_name(index, names);
        found.name = index.name;
        found.definition = create_index_statement(index);
        found.reason = describe(step.index, found.helped, uses, costs.expressions());
        for (std::size_t i = 0; i < step.together.size(); ++i)
            found.reason +=
                (i == 0 ? "; pays only together with " : " and ") + key_text(step.together[i], costs.expressions());
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
        const Oid relation = step.index.relation;
        if (pg::guard([=] { return get_rel_relkind(relation); }) == RELKIND_PARTITIONED_TABLE)
            found.build_note =
                "The table is partitioned, and CONCURRENTLY is not allowed on it: this statement blocks writes to "
                "every "
                "partition while it runs. citadel.index_build_plan() builds it partition by partition without blocking";
    };
    std::vector<Candidate> chosen;
    std::vector<Candidate> before;
    for (std::size_t i_step = 0; i_step < selection.steps.size(); ++i_step) {
        const Step& step = selection.steps[i_step];
        Recommendation found;
        found.index = step.index;
        found.bytes = step.bytes;
        found.cost_before = step.cost_before;
        found.cost_after = step.cost_after;
        found.write_cost = step.write_cost;
        std::vector<Helped> helped = step.helped;
        const auto gain = [&](const Helped& h) {
            return costs.uses()[h.statement].weight * (h.cost_before - h.cost_after);
        };
        std::stable_sort(helped.begin(), helped.end(),
                         [&](const Helped& a, const Helped& b) { return gain(a) > gain(b); });
        std::vector<Candidate> after = before;
        after.push_back(step.index);
        after.insert(after.end(), step.together.begin(), step.together.end());
        std::vector<const StatementUse*> uses;
        double all = 0.0;
        double known = 0.0;
        double measured = 0.0;
        for (std::size_t i = 0; i < helped.size(); ++i) {
            const WorkloadStatement& statement = workload[positions[helped[i].statement]];
            all += gain(helped[i]);
            if (!statement.known.empty() || statement.text.find('$') == std::string::npos)
                known += gain(helped[i]);
            if (statement.load_ms > 0.0)
                measured += gain(helped[i]);
            Beneficiary beneficiary{
                positions[helped[i].statement], helped[i].cost_before, helped[i].cost_after, {}, {}, false};
            if (i < rules.evidence_statements) {
                const PlannerCosts::Explained plan = costs.explain(helped[i].statement, {after, {}});
                beneficiary.plan_before = costs.explain(helped[i].statement, {before, {}}).plan;
                beneficiary.plan_after = plan.plan;
                beneficiary.known_values = plan.known_values;
            }
            found.helped.push_back(std::move(beneficiary));
            uses.push_back(&costs.uses()[helped[i].statement]);
        }
        found.known_values_share = all > 0.0 ? known / all : 0.0;
        found.measured_share = all > 0.0 ? measured / all : 0.0;
        if (rules.evidence_statements > 0)
            compare(found, before, helped, costs);
        chosen.push_back(step.index);
        if (chosen.size() == before.size() + 1 + step.together.size())
            before = chosen; // the last of those that were chosen together
        costs.leave_role();

        // Its table may have been dropped or changed meanwhile.
        if (!succeeds([&] { word(found, step, uses); }))
            continue;
        if (found.existing != 0)
            replaced.insert(found.existing);
        advice.recommendations.push_back(std::move(found));
    }
    for (const Drop& drop : selection.drops) {
        if (replaced.count(drop.index) != 0)
            continue; // said with the index that replaces it
        Recommendation found;
        found.action = Recommendation::Action::drop;
        found.existing = drop.index;
        found.bytes = drop.bytes;
        found.cost_before = advice.cost_before;
        found.cost_after = advice.cost_before + drop.cost_change;
        found.write_cost = -drop.write_saving;
        found.known_values_share = 1.0;
        found.measured_share = 1.0;
        bool there = false;
        if (succeeds([&] { there = word_drop(found, drop, indexes, costs.expressions()); }) && there)
            advice.recommendations.push_back(std::move(found));
    }
    for (const PlannerCosts::Withheld& index : costs.withheld()) {
        WithheldIndex there{index.relation, index.function, index.code_of_others, {}};
        for (const std::size_t statement : index.statements)
            there.statements.push_back(positions[statement]);
        advice.withheld.push_back(std::move(there));
    }
    advice.planner_calls = costs.planner_calls();
    return advice;
}

} // namespace citadel::advisor
