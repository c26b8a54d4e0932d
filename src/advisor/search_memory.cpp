// What SearchSpace remembers of the steps behind it: what a trial changed, whom it concerns, what taking out costs.
#include "advisor/search_space.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace citadel::advisor {

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

} // namespace

void SearchSpace::begin(SearchState& state) {
    if (!everywhere_)
        rank_if_needed(state);
    journal_.on = true;
    journal_.ranked = false;
    journal_.opened = state.open.size();
    journal_.plans.clear();
    journal_.values.clear();
    journal_.written.clear();
    journal_.flipped.clear();
    journal_.differing = 0;
    journal_.created = state.created;
    journal_.reads = state.reads;
    journal_.writes = state.writes;
    journal_.bytes = state.bytes;
    journal_.existing = state.existing;
}

void SearchSpace::commit() {
    journal_.on = false;
    for (const Item item : journal_.flipped)
        differs_[item] = 0;
}

void SearchSpace::roll_back(SearchState& state) {
    commit();
    doubt_losses(state, journal_.flipped);
    for (auto entry = journal_.plans.rbegin(); entry != journal_.plans.rend(); ++entry)
        state.plan[entry->first] = entry->second;
    for (auto entry = journal_.values.rbegin(); entry != journal_.values.rend(); ++entry)
        set_value(state, entry->first, entry->second);
    for (auto entry = journal_.written.rbegin(); entry != journal_.written.rend(); ++entry)
        state.written[entry->first] = entry->second;
    if (!journal_.ranked) {
        for (std::size_t i = journal_.opened; i < state.open.size(); ++i)
            state.is_open[state.open[i]] = 0;
        state.open.resize(journal_.opened);
    }
    for (const Item item : journal_.flipped)
        flip_for_good(state, item);
    doubt_losses(state, journal_.flipped);
    state.created = journal_.created;
    state.reads = journal_.reads;
    state.writes = journal_.writes;
    state.bytes = journal_.bytes;
    state.existing = journal_.existing;
}

void SearchSpace::suspect(const std::vector<Item>& items) {
    for (const Item item : items)
        suspect(item);
}

void SearchSpace::suspect(Item item) {
    if (std::exchange(suspected_[item], char{1}) == 0)
        suspects_.push_back(item);
}

void SearchSpace::suspect_around(const SearchState& state, const std::vector<Item>& flips) {
    suspect(flips);
    for (const Item item : flips)
        for (const Uses& uses : uses_of_[item]) {
            const std::uint32_t plan = state.plan[uses.statement];
            for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
                suspect(used_[u]);
        }
}

std::vector<Item> SearchSpace::take_suspects() {
    for (const Item item : suspects_)
        suspected_[item] = 0;
    return std::exchange(suspects_, {});
}

std::vector<Item> SearchSpace::neighbours(const SearchState& state, Item item) const {
    std::vector<Item> found;
    for (const Uses& uses : uses_of_[item]) {
        const std::uint32_t first = plans_[first_plan_[uses.statement]].first_used;
        const std::uint32_t end = plans_[first_plan_[uses.statement + 1]].first_used;
        for (std::uint32_t u = first; u < end; ++u)
            if (const Item other = used_[u];
                other != item && state.present[other] != 0 && !problem_.items[other].existing)
                found.push_back(other);
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

bool SearchSpace::knows_no_more(Item item) const {
    return std::all_of(uses_of_[item].begin(), uses_of_[item].end(),
                       [&](const Uses& uses) { return problem_.statements[uses.statement].no_more_known; });
}

double SearchSpace::loss(SearchState& state, Item item) {
    if (std::isnan(losses_[item]))
        losses_[item] = change(state, removing(state, item));
    return losses_[item];
}

void SearchSpace::forget_losses() {
    losses_.assign(problem_.items.size(), unknown);
}

// Those whose statements have plans with one of these, and those of a table that is written to with them.
void SearchSpace::doubt_losses(const SearchState& state, const std::vector<Item>& flips) {
    for (const Item item : flips) {
        losses_[item] = unknown;
        for (const Uses& uses : uses_of_[item]) {
            const std::uint32_t plan = state.plan[uses.statement];
            for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
                losses_[used_[u]] = unknown;
        }
        if (const std::uint32_t group = problem_.items[item].group; written_to_[group] != 0)
            for (const Item other : groups_[group])
                losses_[other] = unknown;
        for (const Item other : covering_[item])
            losses_[other] = unknown;
    }
}

} // namespace citadel::advisor
