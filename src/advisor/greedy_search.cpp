#include "advisor/greedy_search.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

} // namespace

GreedySearch::GreedySearch(const SearchProblem& problem) : SearchSpace(problem), most_operations_(allowance(problem)) {}

SearchState GreedySearch::from_nothing() {
    SearchState plainly = initial();
    bound_all(plainly);
    SearchState by_bytes = plainly;
    suspect(existing());
    grow(plainly, false, true);
    if (!limited_ && !space_is_short()) // every byte is to be had
        return plainly;
    suspect(existing());
    grow(by_bytes, true, true);
    keep_better(by_bytes, std::move(plainly));
    return by_bytes;
}

SearchState GreedySearch::from(const std::vector<char>& start) {
    SearchState state = initial();
    suspect(existing());
    adopt(state, start);
    bound_all(state);
    grow(state, true, true);
    return state;
}

void GreedySearch::adopt(SearchState& state, const std::vector<char>& present) {
    std::vector<Item> flips;
    for (Item i = 0; i < present.size() && i < state.present.size(); ++i)
        if ((present[i] != 0) != (state.present[i] != 0))
            flips.push_back(i);
    if (change(state, flips) != infinity)
        apply(state, flips);
}

double GreedySearch::rank(const SearchState& state, double gained, const std::vector<Item>& flips,
                          bool per_byte) const {
    return per_byte ? gained / std::max(bytes_of(state, flips), least_bytes) : gained;
}

void GreedySearch::fill(SearchState& state, bool per_byte, bool all) {
    // Of equals, the one whose indexes were proposed first: ~ puts the lower number on top.
    std::vector<std::pair<double, std::uint32_t>> heap;
    std::vector<Item> flips;
    const auto push = [&](std::uint32_t b) {
        if (state.value[b] <= least_gain())
            return;
        adding(state, b, flips);
        const bool room = fits(state, flips);
        if (!room && limited_ && budget_binding_) // the rule where space is short
            return;
        if (!worth_a_look(state, b)) {
            if (!space_is_short()) // else it stays open to be forced in
                set_value(state, b, 0.0);
            return;
        }
        if (flips.empty())
            return;
        if (!room) {
            limited_ = true;
            budget_binding_ |= bytes_of(state, flips) > problem().budget_bytes - state.bytes;
            return;
        }
        heap.emplace_back(rank(state, state.value[b], flips, per_byte), ~b);
        std::push_heap(heap.begin(), heap.end());
    };
    promising(state, all, open_);
    for (const std::uint32_t b : open_)
        push(b);
    while (!heap.empty() && !stopped()) {
        std::pop_heap(heap.begin(), heap.end());
        const std::uint32_t b = ~heap.back().second;
        heap.pop_back();
        set_value(state, b, worth_a_look(state, b) ? gain(state, b, flips) : 0.0);
        if (state.value[b] <= least_gain() || flips.empty())
            continue;
        if (!fits(state, flips)) { // beside what it could stand in for; in its place perhaps
            limited_ = true;
            adding(state, b, flips);
            set_value(state, b, -change(state, flips));
            if (state.value[b] <= least_gain() || !fits(state, flips))
                continue;
        }
        const double ranks = rank(state, state.value[b], flips, per_byte);
        if (!heap.empty() && std::make_pair(ranks, ~b) < heap.front()) {
            heap.emplace_back(ranks, ~b);
            std::push_heap(heap.begin(), heap.end());
            continue;
        }
        apply(state, flips);
        if (is_back())
            return;
        const std::vector<std::uint32_t> fewer = refresh_after_adding(state, flips);
        for (const std::uint32_t other : fewer)
            push(other);
    }
}

bool GreedySearch::prune(SearchState& state) {
    bool any = false;
    for (const Item item : take_suspects()) {
        if (state.present[item] == 0)
            continue;
        const std::vector<Item> flips =
            problem().items[item].existing ? std::vector<Item>{item} : removing(state, item);
        if (change(state, flips) < -least_gain()) {
            apply(state, flips);
            refresh_after_removing(state, flips);
            any = true;
        }
    }
    return any;
}

void GreedySearch::grow(SearchState& state, bool per_byte, bool all) {
    for (int i = 0; i < 8; ++i) {
        fill(state, per_byte, all);
        if (!prune(state) || stopped())
            return;
    }
}

void GreedySearch::keep_better(SearchState& best, SearchState&& other) const {
    if (objective(other) < objective(best) - least_gain())
        best = std::move(other);
}

bool GreedySearch::stopped() {
    if (!halted_ && (operations() > most_operations_ || (problem().stop && problem().stop())))
        halted_ = true;
    return halted_;
}

std::uint64_t GreedySearch::allowance(const SearchProblem& problem) {
    return std::max<std::uint64_t>(problem.least_operations,
                                   problem.operations_per_statement * problem.statements.size());
}

} // namespace citadel::advisor
