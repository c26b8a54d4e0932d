// What adding a bundle gains, kept as a bound while sets change, and which bundles are worth a look.
#include "advisor/search_space.hpp"

#include <algorithm>

namespace citadel::advisor {

namespace {

constexpr std::size_t most_promising = 1024; // open bundles that a step looks at, beside those opened lately

} // namespace

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

// Is there a statement that gets cheaper by exactly these, or something that they could stand in for? If not, whatever
// they gain a smaller bundle gains as well, or one with an index that is there already.
bool SearchSpace::worth_a_look(const SearchState& state, std::uint32_t b) {
    operations_ += plans_of_bundle_[b].size();
    for (const std::uint32_t plan : plans_of_bundle_[b])
        if (plan < state.plan[plans_[plan].statement])
            return true;
    for (const Item item : bundles_[b])
        if (state.present[item] == 0)
            for (const Item covered : problem_.items[item].covered)
                if (state.present[covered] != 0)
                    return true;
    return false;
}

// Bounds instead of values: what statements gain by exactly these indexes, and by each of them alone, less what it
// costs to have them, and what letting go what they stand in for saves. With a budget, bundles that are open are also
// tried at random and by force: there a replacement is priced, so that none is open that only promises.
void SearchSpace::bound_all(SearchState& state) {
    std::vector<double> alone(problem_.items.size(), 0.0);
    std::vector<double> together(bundles_.size(), 0.0);
    for (std::uint32_t b = 0; b < bundles_.size(); ++b) {
        operations_ += plans_of_bundle_[b].size();
        for (const std::uint32_t plan : plans_of_bundle_[b]) {
            const std::uint32_t s = plans_[plan].statement;
            if (plan < state.plan[s])
                together[b] += problem_.statements[s].weight * (plans_[state.plan[s]].cost - plans_[plan].cost);
        }
        // One that misses a single index is what that index gains beside those that are there.
        const auto missing =
            std::find_if(bundles_[b].begin(), bundles_[b].end(), [&](Item item) { return state.present[item] == 0; });
        if (missing != bundles_[b].end() &&
            std::none_of(missing + 1, bundles_[b].end(), [&](Item item) { return state.present[item] == 0; }))
            alone[*missing] += together[b];
    }
    for (std::uint32_t b = 0; b < bundles_.size(); ++b) {
        bool price = false;
        double bound = together[b];
        for (const Item item : bundles_[b])
            if (state.present[item] == 0) {
                bound += alone[item] - (space_is_short() ? 0.0 : charge_of(item));
                for (const Item covered : problem_.items[item].covered)
                    if (state.present[covered] != 0) {
                        bound += charge_of(covered);
                        price = price || space_is_short() || written_to_[problem_.items[covered].group] != 0;
                    }
            }
        set_value(state, b, price ? gain(state, b, scratch_) : bound);
    }
}

void SearchSpace::set_value(SearchState& state, std::uint32_t b, double value) {
    if (journal_.on)
        journal_.values.emplace_back(b, state.value[b]);
    state.value[b] = value;
    if (value > least_gain_ && state.is_open[b] == 0) {
        state.is_open[b] = 1;
        state.open.push_back(b);
    }
}

double SearchSpace::rank_of(const SearchState& state, std::uint32_t b) const {
    double bytes = 0.0;
    for (const Item item : bundles_[b])
        bytes += state.present[item] != 0 ? 0.0 : problem_.items[item].bytes;
    return -state.value[b] / std::max(bytes, least_bytes);
}

// Closes what is worth nothing any more, and puts what promises most a byte first.
void SearchSpace::rank_open(SearchState& state) {
    ranks_.clear();
    for (const std::uint32_t b : state.open) {
        if (state.value[b] > least_gain_)
            ranks_.emplace_back(rank_of(state, b), b);
        else
            state.is_open[b] = 0;
    }
    operations_ += state.open.size();
    if (ranks_.size() > most_promising)
        std::nth_element(ranks_.begin(), ranks_.begin() + most_promising, ranks_.end());
    state.open.clear();
    for (const auto& [rank, b] : ranks_)
        state.open.push_back(b);
    state.ranked = state.open.size();
    stale_ = false;
    journal_.ranked = true;
}

void SearchSpace::rank_if_needed(SearchState& state) {
    if (stale_ || state.open.size() - state.ranked > most_promising)
        rank_open(state);
}

// Unless it looks everywhere, a step that is tried leaves the order of all as it is: it costs what it opens.
void SearchSpace::promising(SearchState& state, bool all, std::vector<std::uint32_t>& found) {
    const bool may_rank = everywhere_ || !journal_.on;
    if (!all && may_rank)
        rank_if_needed(state);
    found.clear();
    std::size_t looked = 0;
    const auto look = [&](std::size_t first, std::size_t end) {
        looked += end - first;
        for (std::size_t i = first; i < end; ++i)
            if (const std::uint32_t b = state.open[i]; state.value[b] > least_gain_)
                found.push_back(b);
    };
    look(0, all ? state.ranked : std::min(state.ranked, most_promising));
    const std::size_t ranked = found.size();
    look(state.ranked, state.open.size());
    operations_ += looked;
    if (looked > 2 * found.size() + 64) {
        stale_ = true;
        if (may_rank)
            rank_open(state);
    }
    if (all || found.size() - ranked <= most_promising)
        return;
    ranks_.clear();
    for (std::size_t i = ranked; i < found.size(); ++i)
        ranks_.emplace_back(rank_of(state, found[i]), found[i]);
    operations_ += ranks_.size();
    std::nth_element(ranks_.begin(), ranks_.begin() + most_promising, ranks_.end());
    found.resize(ranked + most_promising);
    for (std::size_t i = 0; i < most_promising; ++i)
        found[ranked + i] = ranks_[i].second;
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
        set_value(state, b, gain(state, b, scratch_));
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
                set_value(state, b, state.value[b] - gained);
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
                set_value(state, b, state.value[b] + lost);
        }
    for (const auto& [s, dearer] : changed)
        if (dearer > 0.0)
            for (std::uint32_t plan = first_plan_[s]; plan < state.plan[s]; ++plan)
                if (const std::uint32_t b = plans_[plan].bundle; b != no_bundle && refreshed_mark_[b] != refresh_stamp_)
                    set_value(state, b, state.value[b] + dearer);
}

} // namespace citadel::advisor
