#include "advisor/search.hpp"

#include "advisor/greedy_search.hpp"
#include "capture/random.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t most_forced = 16;  // bundles that do not fit, at a time
constexpr std::size_t many_rounds = 200; // of taking out at random: from there on fewer than two for each index

class Searcher : private GreedySearch {
  public:
    explicit Searcher(const SearchProblem& problem) : GreedySearch(problem), problem_(problem) {}

    SearchAnswer run(const std::vector<char>* start) {
        SearchState best = start != nullptr ? from(*start) : from_nothing();
        // Where there is room for all that pays, the neighbourhood of the start is as good as a new one.
        if (start != nullptr && problem_.thorough && (limited() || space_is_short())) {
            SearchState anew = from_nothing();
            keep_better(anew, std::move(best));
            best = std::move(anew);
        }
        improve(best, start);
        return answer(best);
    }

  private:
    void take_out(SearchState& state, const std::vector<Item>& items) {
        for (const Item item : items) {
            if (state.present[item] == 0)
                continue;
            const std::vector<Item> flips = removing(state, item);
            if (change(state, flips) == infinity)
                continue;
            apply(state, flips);
            refresh_after_removing(state, flips);
        }
    }

    // Keeps what was done since begin() when it is better than before, else takes it back.
    bool keep_if_better(SearchState& state, double before) {
        if (objective(state) >= before + patience_ - least_gain()) {
            roll_back(state);
            return false;
        }
        commit();
        for (const Item item : flipped()) {
            settled_[item] = 0;
            for (const Item near : neighbours(state, item))
                settled_[near] = 0;
        }
        return true;
    }

    // Was this step tried from this very set, with as much patience? What it leads to is no news then.
    bool was_tried(const SearchState& state, std::uint64_t step) {
        std::uint64_t set = 0;
        for (const Item item : state.created)
            set ^= capture::mix(std::uint64_t{item} + 1);
        for (const Item item : existing())
            set ^= state.present[item] != 0 ? capture::mix(std::uint64_t{item} + 1) : 0;
        const auto [known, is_new] = tried_.emplace(capture::mix(step) ^ set, patience_);
        return !is_new && std::exchange(known->second, std::max(known->second, patience_)) >= patience_;
    }

    // Without `out`, filled up again. The ones taken out may come back.
    bool try_without(SearchState& state, const std::vector<Item>& out, bool per_byte) {
        std::uint64_t step = per_byte ? 1 : 2;
        for (const Item item : out)
            step = capture::mix(step) + item;
        if (was_tried(state, step))
            return false;
        const double before = objective(state);
        begin(state);
        take_suspects();
        take_out(state, out);
        grow(state, per_byte);
        return keep_if_better(state, before);
    }

    // With a bundle that does not fit: what loses least a byte makes room.
    bool try_forced(SearchState& state, std::uint32_t b) {
        if (was_tried(state, std::uint64_t{b} << 32))
            return false;
        const double before = objective(state);
        take_suspects();
        std::vector<Item> flips;
        adding(state, b, flips);
        if (flips.empty() || change(state, flips) == infinity)
            return false;
        begin(state);
        apply(state, flips);
        refresh_after_adding(state, flips);
        if (!make_room(state, bundle(b))) {
            roll_back(state);
            return false;
        }
        grow(state, true);
        return keep_if_better(state, before);
    }

    // Takes out what loses least a byte until all fits. False when nothing but what is to be kept could go.
    bool make_room(SearchState& state, const std::vector<Item>& keep) {
        while (state.bytes > problem_.budget_bytes || state.created.size() > problem_.max_created) {
            double least = infinity;
            Item least_item = 0;
            for (const Item item : state.created) {
                if (std::find(keep.begin(), keep.end(), item) != keep.end())
                    continue;
                const double a_byte = loss(state, item) / std::max(problem_.items[item].bytes, least_bytes);
                if (a_byte < least) {
                    least = a_byte;
                    least_item = item;
                }
            }
            if (least == infinity)
                return false;
            const std::vector<Item> going = removing(state, least_item);
            apply(state, going);
            refresh_after_removing(state, going);
        }
        return true;
    }

    std::uint32_t random(std::uint32_t below) { // xorshift; the same numbers in every run
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        return static_cast<std::uint32_t>((random_ >> 11) % below);
    }

    // Part of the start, and no statement that it concerns has a plan that the search for the start did not know.
    bool was_settled(Item item, const std::vector<char>* start) const {
        return start != nullptr && item < start->size() && (*start)[item] != 0 && knows_no_more(item);
    }

    // What is open is priced once, not in every step that is tried and taken back.
    void price_open(SearchState& state) {
        std::vector<Item> flips;
        promising(state, false, looked_at_);
        for (const std::uint32_t b : looked_at_)
            set_value(state, b, worth_a_look(state, b) ? gain(state, b, flips) : 0.0);
    }

    void improve(SearchState& best, const std::vector<char>* start) {
        forget_losses();
        const bool bounded = limited(); // a limit that nothing ran into is none
        look_everywhere(bounded);
        settled_.assign(problem_.items.size(), 0);
        if (!problem_.thorough && !bounded) // where space is short, everything has to do with everything
            for (const Item item : best.created)
                settled_[item] = was_settled(item, start) ? 1 : 0;
        if (bounded && problem_.thorough)
            price_open(best);
        for (bool better = true; better && !stopped();) {
            better = false;
            for (std::size_t i = 0; i < best.created.size() && !stopped(); ++i) {
                const Item item = best.created[i];
                if (settled_[item] != 0)
                    continue;
                if (try_without(best, {item}, true))
                    better = true;
                else
                    settled_[item] = 1; // until something around it changes
            }
            if (bounded)
                better |= force(best);
        }
        if (best.created.size() < 2 || !problem_.thorough)
            return;
        // Without limits, what is far apart has nothing to do with each other.
        const std::size_t count = best.created.size();
        const std::size_t rounds = bounded ? 100 + 2 * count : std::min(2 * count, many_rounds + count / 2);
        SearchState state = best;
        for (std::size_t round = 0; round < rounds && !stopped(); ++round) {
            if (state.created.size() < 2)
                break;
            // What one index gains is about that share of the objective.
            patience_ = !bounded ? 0.0
                                 : 0.1 * objective(best) / static_cast<double>(best.created.size()) *
                                       (1.0 - static_cast<double>(round) / static_cast<double>(rounds));
            if (bounded && round % 4 == 3)
                force_any(state);
            else
                take_out_together(state, bounded && random(2) == 0);
            if (objective(state) < objective(best) - least_gain())
                best = state;
        }
        patience_ = 0.0;
        forget_losses(); // those of another state
        if (bounded)
            force(best);
    }

    // Two to four at once, the first at random, the others at random or among those that serve the same statements.
    void take_out_together(SearchState& best, bool anywhere) {
        const auto count = static_cast<std::uint32_t>(best.created.size());
        const std::uint32_t take = std::min<std::uint32_t>(2 + random(3), count);
        std::vector<Item> out = {best.created[random(count)]};
        const std::vector<Item> near = anywhere ? std::vector<Item>{} : neighbours(best, out.front());
        for (std::uint32_t i = 1; i < take; ++i)
            if (!near.empty())
                out.push_back(near[random(static_cast<std::uint32_t>(near.size()))]);
            else if (anywhere)
                out.push_back(best.created[random(count)]);
        std::sort(out.begin(), out.end());
        out.erase(std::unique(out.begin(), out.end()), out.end());
        try_without(best, out, random(3) != 0);
    }

    // Any bundle that gains something, whether it fits or not.
    void force_any(SearchState& best) {
        promising(best, false, looked_at_);
        if (looked_at_.empty())
            return;
        const std::uint32_t b = looked_at_[random(static_cast<std::uint32_t>(looked_at_.size()))];
        if (worth_a_look(best, b))
            try_forced(best, b);
    }

    bool force(SearchState& best) {
        std::vector<std::pair<double, std::uint32_t>> bounds;
        promising(best, false, looked_at_);
        for (const std::uint32_t b : looked_at_)
            bounds.emplace_back(best.value[b], b);
        std::make_heap(bounds.begin(), bounds.end());
        std::vector<std::pair<double, std::uint32_t>> promising;
        std::vector<Item> flips;
        while (!bounds.empty() && promising.size() < most_forced) {
            std::pop_heap(bounds.begin(), bounds.end());
            const auto [bound, b] = bounds.back();
            bounds.pop_back();
            set_value(best, b, worth_a_look(best, b) ? gain(best, b, flips) : 0.0);
            if (best.value[b] <= least_gain() || fits(best, flips))
                continue;
            if (best.value[b] < bound && !bounds.empty() && best.value[b] < bounds.front().first) {
                bounds.emplace_back(best.value[b], b); // looked at again when it is its turn
                std::push_heap(bounds.begin(), bounds.end());
            } else {
                promising.emplace_back(best.value[b], b);
            }
        }
        bool better = false;
        for (const auto& [now, b] : promising) {
            if (stopped())
                break;
            better |= try_forced(best, b);
        }
        return better;
    }

    SearchAnswer answer(const SearchState& state) {
        SearchAnswer answer;
        answer.present = state.present;
        answer.objective = objective(state);
        answer.read_cost = state.reads;
        answer.created = state.created;
        answer.budget_binding = budget_binding();
        answer.operations = operations();
        return answer;
    }

    const SearchProblem& problem_;
    std::vector<char> settled_; // an item: taking it out was tried, and nothing around it has changed since
    std::vector<std::uint32_t> looked_at_;
    std::uint64_t random_ = 88172645463325252ULL;
    double patience_ = 0.0;
    std::unordered_map<std::uint64_t, double> tried_; // a step and the set it was tried from: with how much patience
};

} // namespace

SearchAnswer search_indexes(const SearchProblem& problem, const std::vector<char>* start) {
    return Searcher(problem).run(start);
}

double objective_of(const SearchProblem& problem, const std::vector<char>& present) {
    SearchSpace space(problem);
    SearchState state = space.initial();
    std::vector<Item> flips;
    double bytes = 0.0;
    std::size_t created = 0;
    for (Item i = 0; i < problem.items.size(); ++i) {
        if ((present[i] != 0) != (state.present[i] != 0))
            flips.push_back(i);
        if (present[i] != 0 && !problem.items[i].existing) {
            bytes += problem.items[i].bytes;
            ++created;
        }
    }
    if (bytes > problem.budget_bytes || created > problem.max_created)
        return infinity;
    return space.objective(state) + space.change(state, flips);
}

} // namespace citadel::advisor
