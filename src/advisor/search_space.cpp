#include "advisor/search_space.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

} // namespace

double SearchSpace::objective(const SearchState& state) const {
    return state.reads + state.writes + problem_.charge * static_cast<double>(state.created.size() + state.existing) +
           problem_.byte_price * state.bytes;
}

SearchState SearchSpace::initial() {
    SearchState state;
    state.present.assign(problem_.items.size(), 0);
    for (const Item item : existing_)
        state.present[item] = 1;
    state.existing = existing_.size();
    state.plan.resize(problem_.statements.size());
    for (std::size_t s = 0; s < state.plan.size(); ++s) {
        state.plan[s] = next_possible(first_plan_[s], state.present);
        state.reads += problem_.statements[s].weight * plans_[state.plan[s]].cost;
    }
    for (std::uint32_t group = 0; group < groups_.size(); ++group)
        if (written_to_[group] != 0)
            state.writes += written(group, state.present);
    state.value.assign(bundles_.size(), 0.0);
    return state;
}

bool SearchSpace::possible(std::uint32_t plan, const std::vector<char>& present) {
    ++operations_;
    const Item* item = used_.data() + plans_[plan].first_used;
    const Item* end = used_.data() + plans_[plan + 1].first_used;
    for (; item != end; ++item)
        if (present[*item] == 0)
            return false;
    return true;
}

std::uint32_t SearchSpace::next_possible(std::uint32_t plan, const std::vector<char>& present) {
    while (!possible(plan, present))
        ++plan;
    return plan;
}

// The flips are made in state.present. Leaves the statements whose plan changes in touched_, with the plan in planned_.
void SearchSpace::find_plans(const SearchState& state, const std::vector<Item>& flips) {
    touched_.clear();
    ++stamp_;
    const auto touch = [&](std::uint32_t s, std::uint32_t plan) {
        if (seen_[s] != stamp_) {
            seen_[s] = stamp_;
            touched_.push_back(s);
        }
        planned_[s] = plan;
    };
    for (const Item item : flips)
        if (state.present[item] == 0)
            for (const Uses& uses : uses_of_[item])
                if (const std::uint32_t plan = state.plan[uses.statement]; uses_item(plan, item))
                    touch(uses.statement, next_possible(plan + 1, state.present));
    for (const Item item : flips)
        if (state.present[item] != 0)
            for (const Uses& uses : uses_of_[item]) {
                const std::uint32_t s = uses.statement;
                const std::uint32_t now = seen_[s] == stamp_ ? planned_[s] : state.plan[s];
                for (std::uint32_t u = uses.first; u < uses.end && using_plans_[u] < now; ++u)
                    if (possible(using_plans_[u], state.present)) {
                        touch(s, using_plans_[u]);
                        break;
                    }
            }
}

bool SearchSpace::uses_item(std::uint32_t plan, Item item) {
    ++operations_;
    const Item* first = used_.data() + plans_[plan].first_used;
    const Item* end = used_.data() + plans_[plan + 1].first_used;
    return std::find(first, end, item) != end;
}

void SearchSpace::flip(SearchState& state, const std::vector<Item>& flips) {
    for (const Item item : flips)
        state.present[item] = state.present[item] == 0 ? 1 : 0;
}

double SearchSpace::change(SearchState& state, const std::vector<Item>& flips) {
    flip(state, flips);
    find_plans(state, flips);
    double difference = 0.0;
    bool allowed = true;
    for (const std::uint32_t s : touched_) {
        const double after = plans_[planned_[s]].cost;
        if (planned_[s] > state.plan[s] && after > problem_.statements[s].limit)
            allowed = false;
        difference += problem_.statements[s].weight * (after - plans_[state.plan[s]].cost);
    }
    if (allowed)
        difference += other_change(state, flips, allowed);
    flip(state, flips);
    if (!allowed)
        return infinity;
    return difference;
}

void SearchSpace::prepare_statements() {
    for (std::uint32_t s = 0; s < problem_.statements.size(); ++s) {
        std::vector<KnownPlan> plans = problem_.statements[s].plans;
        std::stable_sort(plans.begin(), plans.end(), [](const KnownPlan& a, const KnownPlan& b) {
            return a.cost != b.cost ? a.cost < b.cost : a.used.size() < b.used.size();
        });
        // What needs nothing ends the list: nothing dearer is ever taken.
        const auto last =
            std::find_if(plans.begin(), plans.end(), [](const KnownPlan& plan) { return plan.used.empty(); });
        if (last == plans.end())
            plans.push_back(KnownPlan{infinity, {}});
        else
            plans.erase(last + 1, plans.end());
        drop_dominated(plans);
        first_plan_.push_back(static_cast<std::uint32_t>(plans_.size()));
        for (const KnownPlan& plan : plans) {
            plans_.push_back({plan.cost, s, static_cast<std::uint32_t>(used_.size()), no_bundle});
            used_.insert(used_.end(), plan.used.begin(), plan.used.end());
        }
    }
    first_plan_.push_back(static_cast<std::uint32_t>(plans_.size()));
    plans_.push_back({infinity, 0, static_cast<std::uint32_t>(used_.size()), no_bundle});
    seen_.assign(problem_.statements.size(), 0);
    planned_.assign(problem_.statements.size(), 0);
}

void SearchSpace::drop_dominated(std::vector<KnownPlan>& plans) {
    std::vector<KnownPlan> kept;
    for (KnownPlan& plan : plans)
        if (std::none_of(kept.begin(), kept.end(), [&](const KnownPlan& cheaper) {
                return std::includes(plan.used.begin(), plan.used.end(), cheaper.used.begin(), cheaper.used.end());
            }))
            kept.push_back(std::move(plan));
    plans = std::move(kept);
}

void SearchSpace::prepare_items() {
    const std::size_t count = problem_.items.size();
    uses_of_.resize(count);
    covering_.resize(count);
    std::vector<std::vector<std::uint32_t>> plans_of(count);
    for (std::uint32_t plan = 0; plan + 1 < plans_.size(); ++plan)
        for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
            plans_of[used_[u]].push_back(plan);
    for (Item i = 0; i < count; ++i)
        for (const std::uint32_t plan : plans_of[i]) {
            const auto end = static_cast<std::uint32_t>(using_plans_.size());
            if (uses_of_[i].empty() || uses_of_[i].back().statement != plans_[plan].statement)
                uses_of_[i].push_back({plans_[plan].statement, end, end});
            using_plans_.push_back(plan);
            ++uses_of_[i].back().end;
        }
    for (Item i = 0; i < count; ++i) {
        const SearchItem& item = problem_.items[i];
        if (item.group >= groups_.size())
            groups_.resize(item.group + 1);
        if (item.existing)
            existing_.push_back(i);
        if (item.existing || !uses_of_[i].empty())
            groups_[item.group].push_back(i);
        for (const Item covered : item.covered)
            covering_[covered].push_back(i);
    }
    written_to_.assign(groups_.size(), 0);
    if (problem_.write_cost)
        for (std::uint32_t group = 0; group < groups_.size(); ++group)
            written_to_[group] =
                problem_.write_cost(group, groups_[group]) != 0.0 || problem_.write_cost(group, {}) != 0.0 ? 1 : 0;
}

void SearchSpace::prepare_bundles() {
    std::map<std::vector<Item>, std::vector<std::uint32_t>> bundles;
    bundles_of_item_.resize(problem_.items.size());
    for (std::uint32_t plan = 0; plan + 1 < plans_.size(); ++plan) {
        std::vector<Item> items;
        for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
            if (!problem_.items[used_[u]].existing)
                items.push_back(used_[u]);
        if (!items.empty())
            bundles[std::move(items)].push_back(plan);
    }
    for (auto& [items, plans] : bundles) {
        const auto b = static_cast<std::uint32_t>(bundles_.size());
        for (const std::uint32_t plan : plans)
            plans_[plan].bundle = b;
        for (const Item item : items)
            bundles_of_item_[item].push_back(b);
        bundles_.push_back(items);
    }
    refreshed_mark_.assign(bundles_.size(), 0);
}

void SearchSpace::order_used() {
    for (std::size_t plan = 0; plan + 1 < plans_.size(); ++plan)
        std::sort(used_.begin() + plans_[plan].first_used, used_.begin() + plans_[plan + 1].first_used,
                  [&](Item a, Item b) {
                      const std::size_t uses_a = bundles_of_item_[a].size();
                      const std::size_t uses_b = bundles_of_item_[b].size();
                      return uses_a != uses_b ? uses_a < uses_b : a < b;
                  });
    suspected_.assign(problem_.items.size(), 0);
}

void SearchSpace::suspect(const std::vector<Item>& items) {
    for (const Item item : items)
        if (suspected_[item] == 0) {
            suspected_[item] = 1;
            suspects_.push_back(item);
        }
}

void SearchSpace::suspect_around(const SearchState& state, const std::vector<Item>& flips) {
    suspect(flips);
    for (const Item item : flips)
        for (const Uses& uses : uses_of_[item]) {
            const std::uint32_t plan = state.plan[uses.statement];
            for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
                if (const Item used = used_[u]; suspected_[used] == 0) {
                    suspected_[used] = 1;
                    suspects_.push_back(used);
                }
        }
}

std::vector<Item> SearchSpace::take_suspects() {
    for (const Item item : suspects_)
        suspected_[item] = 0;
    return std::exchange(suspects_, {});
}

double SearchSpace::other_change(const SearchState& state, const std::vector<Item>& flips, bool& allowed) {
    double difference = 0.0;
    bool writes = false;
    for (const Item item : flips) {
        const SearchItem& is = problem_.items[item];
        const bool comes = state.present[item] != 0;
        difference += comes ? charge_of(item) : -charge_of(item);
        writes = writes || written_to_[is.group] != 0;
        if (is.existing && !comes && !is.unused && !stood_in_for(state, item))
            allowed = false;
        if (!comes)
            for (const Item covered : is.covered)
                if (problem_.items[covered].existing && !problem_.items[covered].unused &&
                    state.present[covered] == 0 && !stood_in_for(state, covered))
                    allowed = false;
    }
    if (!writes)
        return difference;
    std::vector<std::uint32_t> groups;
    for (const Item item : flips)
        if (const std::uint32_t group = problem_.items[item].group;
            written_to_[group] != 0 && std::find(groups.begin(), groups.end(), group) == groups.end())
            groups.push_back(group);
    std::vector<char> before = state.present;
    for (const Item item : flips)
        before[item] = before[item] == 0 ? 1 : 0;
    for (const std::uint32_t group : groups)
        difference += written(group, state.present) - written(group, before);
    return difference;
}

double SearchSpace::charge_of(Item item) const {
    return problem_.charge + (problem_.items[item].existing ? 0.0 : problem_.byte_price * problem_.items[item].bytes);
}

bool SearchSpace::stood_in_for(const SearchState& state, Item item) const {
    return std::any_of(covering_[item].begin(), covering_[item].end(),
                       [&](Item other) { return state.present[other] != 0; });
}

double SearchSpace::written(std::uint32_t group, const std::vector<char>& present) {
    std::vector<Item> there;
    for (const Item item : groups_[group])
        if (present[item] != 0)
            there.push_back(item);
    auto key = std::make_pair(group, std::move(there));
    if (const auto found = written_.find(key); found != written_.end())
        return found->second;
    const double cost = problem_.write_cost(group, key.second);
    written_.emplace(std::move(key), cost);
    return cost;
}

void SearchSpace::apply(SearchState& state, const std::vector<Item>& flips) {
    const double difference = change(state, flips);
    last_change_ = difference;
    suspect_around(state, flips);
    double reads = 0.0;
    changed_.clear();
    for (const std::uint32_t s : touched_) { // as change() left them
        const double dearer = problem_.statements[s].weight * (plans_[planned_[s]].cost - plans_[state.plan[s]].cost);
        reads += dearer;
        changed_.push_back({s, dearer});
        state.plan[s] = planned_[s];
    }
    state.reads += reads;
    double charges = 0.0;
    for (const Item item : flips) {
        const bool comes = state.present[item] == 0;
        charges += comes ? charge_of(item) : -charge_of(item);
        if (problem_.items[item].existing) {
            state.existing += comes ? 1 : static_cast<std::size_t>(-1);
        } else if (comes) {
            state.created.push_back(item);
            state.bytes += problem_.items[item].bytes;
        } else {
            state.created.erase(std::find(state.created.begin(), state.created.end(), item));
            state.bytes -= problem_.items[item].bytes;
        }
    }
    flip(state, flips);
    suspect_around(state, flips);
    state.writes += difference - charges - reads;
}

void SearchSpace::adding(const SearchState& state, std::uint32_t b, std::vector<Item>& flips) const {
    const std::vector<Item>& bundle = bundles_[b];
    flips.clear();
    for (const Item item : bundle)
        if (state.present[item] == 0)
            flips.push_back(item);
    const std::size_t added = flips.size();
    for (std::size_t i = 0; i < added; ++i)
        for (const Item covered : problem_.items[flips[i]].covered)
            if (state.present[covered] != 0 && std::find(bundle.begin(), bundle.end(), covered) == bundle.end() &&
                std::find(flips.begin(), flips.end(), covered) == flips.end())
                flips.push_back(covered);
}

std::vector<Item> SearchSpace::removing(const SearchState& state, Item item) const {
    std::vector<Item> flips = {item};
    for (const Item covered : problem_.items[item].covered)
        if (problem_.items[covered].existing && !problem_.items[covered].unused && state.present[covered] == 0 &&
            std::none_of(covering_[covered].begin(), covering_[covered].end(),
                         [&](Item other) { return other != item && state.present[other] != 0; }))
            flips.push_back(covered);
    return flips;
}

double SearchSpace::bytes_of(const SearchState& state, const std::vector<Item>& flips) const {
    double bytes = 0.0;
    for (const Item item : flips)
        if (!problem_.items[item].existing)
            bytes += state.present[item] != 0 ? -problem_.items[item].bytes : problem_.items[item].bytes;
    return bytes;
}

std::size_t SearchSpace::created_with(const SearchState& state, const std::vector<Item>& flips) const {
    std::size_t count = state.created.size();
    for (const Item item : flips)
        if (!problem_.items[item].existing)
            count += state.present[item] != 0 ? static_cast<std::size_t>(-1) : 1;
    return count;
}

bool SearchSpace::fits(const SearchState& state, const std::vector<Item>& flips) const {
    return state.bytes + bytes_of(state, flips) <= problem_.budget_bytes &&
           created_with(state, flips) <= problem_.max_created;
}

double SearchSpace::gain(SearchState& state, std::uint32_t b, std::vector<Item>& flips) {
    adding(state, b, flips);
    if (flips.empty())
        return 0.0;
    const double replacing = -change(state, flips);
    if (std::none_of(flips.begin(), flips.end(), [&](Item item) { return state.present[item] != 0; }))
        return replacing;
    std::vector<Item> plain;
    for (const Item item : flips)
        if (state.present[item] == 0)
            plain.push_back(item);
    const double keeping = -change(state, plain);
    if (keeping <= replacing)
        return replacing;
    flips = std::move(plain);
    return keeping;
}

void SearchSpace::value_all(SearchState& state) {
    for (std::uint32_t b = 0; b < bundles_.size(); ++b)
        state.value[b] = gain(state, b, scratch_);
}

bool SearchSpace::take(std::uint32_t b) {
    if (refreshed_mark_[b] == refresh_stamp_)
        return false;
    refreshed_mark_[b] = refresh_stamp_;
    refreshed_.push_back(b);
    return true;
}

void SearchSpace::refresh(SearchState& state, std::uint32_t b) {
    if (take(b))
        state.value[b] = gain(state, b, scratch_);
}

bool SearchSpace::has_all(const std::vector<Item>& bundle, const std::vector<Item>& items) {
    return std::all_of(items.begin(), items.end(),
                       [&](Item item) { return std::binary_search(bundle.begin(), bundle.end(), item); });
}

// With S + i + b = S + b for an i in b: the bundle gains what it did, less what i gained already.
const std::vector<std::uint32_t>& SearchSpace::refresh_after_adding(SearchState& state,
                                                                    const std::vector<Item>& flips) {
    refreshed_.clear();
    ++refresh_stamp_;
    const bool plain = std::all_of(flips.begin(), flips.end(), [&](Item item) { return state.present[item] != 0; });
    const double gained = -last_change_;
    for (const Item item : flips)
        for (const std::uint32_t b : bundles_of_item_[item]) {
            if (!plain || !has_all(bundles_[b], flips))
                refresh(state, b);
            else if (take(b))
                state.value[b] -= gained;
        }
    return refreshed_;
}

// With one index gone, a bundle that holds it gains what it did and what was lost; another one at most what it did and
// what the statements that both concern have lost.
void SearchSpace::refresh_after_removing(SearchState& state, const std::vector<Item>& flips) {
    refreshed_.clear();
    ++refresh_stamp_;
    const std::vector<Change> changed = changed_;
    const bool plain = flips.size() == 1;
    const double lost = last_change_;
    for (const Item item : flips)
        for (const std::uint32_t b : bundles_of_item_[item]) {
            if (!plain)
                refresh(state, b);
            else if (take(b))
                state.value[b] += lost;
        }
    for (const auto& [s, dearer] : changed)
        if (dearer > 0.0)
            for (std::uint32_t plan = first_plan_[s]; plan < state.plan[s]; ++plan)
                if (const std::uint32_t b = plans_[plan].bundle; b != no_bundle && refreshed_mark_[b] != refresh_stamp_)
                    state.value[b] += dearer;
}

} // namespace citadel::advisor
