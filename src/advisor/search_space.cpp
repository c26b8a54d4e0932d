#include "advisor/search_space.hpp"

#include "capture/random.hpp"

#include <algorithm>
#include <utility>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double noticeable = 1e-9; // of the objective

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
    state.missing.assign(plans_.size(), {});
    for (std::size_t plan = 0; plan + 1 < plans_.size(); ++plan)
        for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
            if (state.present[used_[u]] == 0) {
                ++state.missing[plan].count;
                state.missing[plan].signature ^= signature_of(used_[u]);
            }
    look_at_coming(state, {});
    state.plan.resize(problem_.statements.size());
    for (std::size_t s = 0; s < state.plan.size(); ++s) {
        state.plan[s] = next_possible(first_plan_[s], state);
        state.reads += problem_.statements[s].weight * plans_[state.plan[s]].cost;
    }
    state.written.assign(groups_.size(), 0.0);
    for (std::uint32_t group = 0; group < groups_.size(); ++group)
        if (written_to_[group] != 0) {
            state.written[group] = written(group, state.present);
            state.writes += state.written[group];
        }
    forget_losses();
    state.value.assign(bundles_.size(), 0.0);
    state.is_open.assign(bundles_.size(), 0);
    least_gain_ = noticeable * std::max(objective(state), 1e-6);
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

// Mixed, so that few sets have the exclusive or of another.
std::uint32_t SearchSpace::signature_of(Item item) {
    return static_cast<std::uint32_t>(capture::mix(std::uint64_t{item} + 1));
}

void SearchSpace::look_at_coming(const SearchState& state, const std::vector<Item>& flips) {
    coming_.clear();
    all_coming_ = 0;
    for (const Item item : flips)
        if (state.present[item] != 0) {
            coming_.push_back(signature_of(item));
            all_coming_ ^= coming_.back();
        }
}

bool SearchSpace::may_be_what_misses(const Missing& missing, std::uint32_t item) const {
    if (missing.count <= 1 || missing.count > coming_.size())
        return missing.count <= 1;
    if (missing.count == coming_.size())
        return missing.signature == all_coming_;
    if (missing.count == 2)
        return std::find(coming_.begin(), coming_.end(), missing.signature ^ item) != coming_.end();
    return true;
}

// From `plan` on.
std::uint32_t SearchSpace::next_possible(std::uint32_t plan, const SearchState& state) {
    const auto may_be = [&](const Missing& missing) {
        return missing.count < coming_.size() || (missing.count == coming_.size() && missing.signature == all_coming_);
    };
    while (!may_be(state.missing[plan]) || !possible(plan, state.present)) {
        ++plan;
        ++operations_;
    }
    return plan;
}

// The flips are made in state.present, but not in state.missing. Leaves the statements whose plan changes in touched_,
// with the plan in planned_.
void SearchSpace::find_plans(const SearchState& state, const std::vector<Item>& flips) {
    touched_.clear();
    ++stamp_;
    look_at_coming(state, flips);
    // With nothing that goes, what misses one item and uses one that comes misses that one.
    const bool nothing_goes = coming_.size() == flips.size();
    const auto touch = [&](std::uint32_t s, std::uint32_t plan) {
        if (seen_[s] != stamp_) {
            seen_[s] = stamp_;
            touched_.push_back(s);
        }
        planned_[s] = plan;
    };
    if (!nothing_goes)
        for (const Item item : flips)
            if (state.present[item] == 0)
                for (const Uses& uses : uses_of_[item])
                    if (const std::uint32_t plan = state.plan[uses.statement]; uses_item(plan, item))
                        touch(uses.statement, next_possible(plan + 1, state));
    for (const Item item : flips) {
        if (state.present[item] == 0)
            continue;
        const std::uint32_t signature = signature_of(item);
        for (const Uses& uses : uses_of_[item]) {
            const std::uint32_t s = uses.statement;
            const std::uint32_t now = seen_[s] == stamp_ ? planned_[s] : state.plan[s];
            std::uint32_t u = uses.first;
            for (; u < uses.end && using_plans_[u] < now; ++u) {
                const std::uint32_t plan = using_plans_[u];
                if (const Missing& missing = state.missing[plan];
                    may_be_what_misses(missing, signature) &&
                    ((nothing_goes && missing.count == 1) || possible(plan, state.present))) {
                    touch(s, plan);
                    break;
                }
            }
            operations_ += u - uses.first + 1;
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

void SearchSpace::flip_for_good(SearchState& state, Item item) {
    const bool comes = state.present[item] == 0;
    state.present[item] = comes ? 1 : 0;
    if (uses_of_[item].empty())
        return;
    const std::uint32_t end = uses_of_[item].back().end;
    const std::uint32_t signature = signature_of(item);
    for (std::uint32_t u = uses_of_[item].front().first; u < end; ++u) {
        Missing& missing = state.missing[using_plans_[u]];
        missing.count += comes ? static_cast<std::uint32_t>(-1) : 1;
        missing.signature ^= signature;
    }
    operations_ += end - uses_of_[item].front().first;
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
    touched_groups_.clear();
    if (!writes)
        return difference;
    for (const Item item : flips)
        if (const std::uint32_t group = problem_.items[item].group;
            written_to_[group] != 0 &&
            std::find(touched_groups_.begin(), touched_groups_.end(), group) == touched_groups_.end())
            touched_groups_.push_back(group);
    for (const std::uint32_t group : touched_groups_)
        difference += written(group, state.present) - state.written[group];
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
    doubt_losses(state, flips);
    double reads = 0.0;
    changed_.clear();
    for (const std::uint32_t s : touched_) { // as change() left them
        const double dearer = problem_.statements[s].weight * (plans_[planned_[s]].cost - plans_[state.plan[s]].cost);
        reads += dearer;
        changed_.push_back({s, dearer});
        if (journal_.on)
            journal_.plans.emplace_back(s, state.plan[s]);
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
        flip_for_good(state, item);
    }
    if (journal_.on)
        for (const Item item : flips) {
            journal_.flipped.push_back(item);
            differs_[item] = differs_[item] == 0 ? 1 : 0;
            journal_.differing += differs_[item] != 0 ? 1 : static_cast<std::size_t>(-1);
        }
    for (const std::uint32_t group : touched_groups_) {
        if (journal_.on)
            journal_.written.emplace_back(group, state.written[group]);
        state.written[group] = written(group, state.present);
    }
    suspect_around(state, flips);
    doubt_losses(state, flips);
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

} // namespace citadel::advisor
