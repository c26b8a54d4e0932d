#include "advisor/search.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t max_rounds = 400; // of the neighbourhood search
constexpr double least_bytes = 8192.0;  // a page: gain a byte of next to nothing means nothing
constexpr double noticeable = 1e-9;     // of the objective

// A set of indexes under construction, with the cost of every statement kept up to date.
struct State {
    std::vector<char> present;
    std::vector<std::uint32_t> plan; // a statement: its cheapest plan that is possible
    std::vector<Item> created;       // in the order of choice
    std::vector<double> value;       // a bundle: what adding it would gain, when it was looked at last
    double reads = 0.0;
    double writes = 0.0;
    double bytes = 0.0; // of created ones
    std::size_t existing = 0;
};

class Searcher {
  public:
    explicit Searcher(const SearchProblem& problem) : problem_(problem) {
        prepare_statements();
        prepare_items();
        prepare_bundles();
    }

    SearchAnswer run(const std::vector<char>* start) {
        State best = initial();
        value_all(best);
        const State empty = best;
        State other = best;
        grow(best, true);
        grow(other, false);
        keep_better(best, std::move(other));
        if (start != nullptr) {
            State from = empty;
            adopt(from, *start);
            grow(from, true);
            keep_better(best, std::move(from));
        }
        improve(best);
        return answer(best);
    }

    double objective(const State& state) const {
        return state.reads + state.writes +
               problem_.charge * static_cast<double>(state.created.size() + state.existing);
    }

    State initial() const {
        State state;
        state.present.assign(problem_.items.size(), 0);
        for (std::size_t i = 0; i < problem_.items.size(); ++i)
            if (problem_.items[i].existing) {
                state.present[i] = 1;
                ++state.existing;
            }
        state.plan.resize(statements_.size());
        for (std::size_t s = 0; s < statements_.size(); ++s) {
            state.plan[s] = cheapest(s, state.present);
            state.reads += problem_.statements[s].weight * cost(s, state.plan[s]);
        }
        for (std::uint32_t group = 0; group < groups_.size(); ++group)
            state.writes += write_cost(group, state.present);
        state.value.assign(bundles_.size(), 0.0);
        return state;
    }

    void adopt(State& state, const std::vector<char>& present) {
        std::vector<Item> flips;
        for (Item i = 0; i < present.size() && i < state.present.size(); ++i)
            if ((present[i] != 0) != (state.present[i] != 0))
                flips.push_back(i);
        if (change(state, flips) != infinity)
            apply(state, flips);
    }

    // What the objective changes by when these items come or go; infinity when that is not allowed. Budget and number
    // are the caller's.
    double change(const State& state, const std::vector<Item>& flips) {
        flip(flips);
        double difference = 0.0;
        bool allowed = true;
        ++stamp_;
        for (const Item item : flips)
            for (const std::uint32_t s : statements_of_[item]) {
                if (seen_[s] == stamp_)
                    continue;
                seen_[s] = stamp_;
                const std::uint32_t plan = cheapest_flipped(s, state);
                if (plan == state.plan[s])
                    continue;
                const double after = cost(s, plan);
                if (after > problem_.statements[s].limit && plan > state.plan[s])
                    allowed = false;
                difference += problem_.statements[s].weight * (after - cost(s, state.plan[s]));
            }
        if (allowed)
            difference += other_change(state, flips, allowed);
        flip(flips);
        return allowed ? difference : infinity;
    }

  private:
    struct Bundle {
        std::vector<Item> items; // none of them existing
    };
    struct Statement {
        std::vector<KnownPlan> plans; // cheapest first
    };

    void prepare_statements() {
        statements_.reserve(problem_.statements.size());
        for (const SearchStatement& given : problem_.statements) {
            Statement statement{given.plans};
            std::stable_sort(statement.plans.begin(), statement.plans.end(),
                             [](const KnownPlan& a, const KnownPlan& b) {
                                 return a.cost != b.cost ? a.cost < b.cost : a.used.size() < b.used.size();
                             });
            // What needs nothing ends the list: nothing dearer is ever taken.
            const auto last = std::find_if(statement.plans.begin(), statement.plans.end(),
                                           [](const KnownPlan& plan) { return plan.used.empty(); });
            if (last == statement.plans.end())
                statement.plans.push_back(KnownPlan{infinity, {}});
            else
                statement.plans.erase(last + 1, statement.plans.end());
            drop_dominated(statement.plans);
            statements_.push_back(std::move(statement));
        }
        seen_.assign(statements_.size(), 0);
    }

    // A plan that needs more and costs no less than another is never taken.
    static void drop_dominated(std::vector<KnownPlan>& plans) {
        std::vector<KnownPlan> kept;
        for (KnownPlan& plan : plans)
            if (std::none_of(kept.begin(), kept.end(), [&](const KnownPlan& cheaper) {
                    return std::includes(plan.used.begin(), plan.used.end(), cheaper.used.begin(), cheaper.used.end());
                }))
                kept.push_back(std::move(plan));
        plans = std::move(kept);
    }

    void prepare_items() {
        const std::size_t count = problem_.items.size();
        statements_of_.resize(count);
        covering_.resize(count);
        for (std::uint32_t s = 0; s < statements_.size(); ++s)
            for (const KnownPlan& plan : statements_[s].plans)
                for (const Item item : plan.used)
                    if (statements_of_[item].empty() || statements_of_[item].back() != s)
                        statements_of_[item].push_back(s);
        for (Item i = 0; i < count; ++i) {
            const SearchItem& item = problem_.items[i];
            if (item.group >= groups_.size())
                groups_.resize(item.group + 1);
            groups_[item.group].push_back(i);
            for (const Item covered : item.covered)
                covering_[covered].push_back(i);
        }
        flipped_.assign(count, 0);
    }

    void prepare_bundles() {
        std::set<std::vector<Item>> bundles;
        bundles_of_statement_.resize(statements_.size());
        bundles_of_item_.resize(problem_.items.size());
        for (const Statement& statement : statements_)
            for (const KnownPlan& plan : statement.plans) {
                std::vector<Item> items;
                for (const Item item : plan.used)
                    if (!problem_.items[item].existing)
                        items.push_back(item);
                if (!items.empty())
                    bundles.insert(std::move(items));
            }
        for (const std::vector<Item>& items : bundles)
            bundles_.push_back(Bundle{items});
        for (std::uint32_t b = 0; b < bundles_.size(); ++b) {
            ++stamp_;
            for (const Item item : bundles_[b].items) {
                bundles_of_item_[item].push_back(b);
                for (const std::uint32_t s : statements_of_[item])
                    if (seen_[s] != stamp_) {
                        seen_[s] = stamp_;
                        bundles_of_statement_[s].push_back(b);
                    }
            }
        }
    }

    double cost(std::size_t s, std::uint32_t plan) const { return statements_[s].plans[plan].cost; }

    std::uint32_t cheapest(std::size_t s, const std::vector<char>& present) const {
        const std::vector<KnownPlan>& plans = statements_[s].plans;
        for (std::uint32_t p = 0;; ++p)
            if (std::all_of(plans[p].used.begin(), plans[p].used.end(), [&](Item i) { return present[i] != 0; }))
                return p;
    }

    // With the flips that are marked in flipped_.
    std::uint32_t cheapest_flipped(std::size_t s, const State& state) {
        const std::vector<KnownPlan>& plans = statements_[s].plans;
        for (std::uint32_t p = 0;; ++p) {
            ++operations_;
            if (std::all_of(plans[p].used.begin(), plans[p].used.end(),
                            [&](Item i) { return (state.present[i] != 0) != (flipped_[i] != 0); }))
                return p;
        }
    }

    void flip(const std::vector<Item>& flips) {
        for (const Item item : flips)
            flipped_[item] = flipped_[item] == 0 ? 1 : 0;
    }

    bool there(const State& state, Item item) const { return (state.present[item] != 0) != (flipped_[item] != 0); }

    // Writes and charges; clears `allowed` when an existing index goes that nothing stands in for.
    double other_change(const State& state, const std::vector<Item>& flips, bool& allowed) {
        double difference = 0.0;
        std::vector<std::uint32_t> groups;
        for (const Item item : flips) {
            const SearchItem& is = problem_.items[item];
            const bool comes = there(state, item);
            difference += comes ? problem_.charge : -problem_.charge;
            if (std::find(groups.begin(), groups.end(), is.group) == groups.end())
                groups.push_back(is.group);
            if (is.existing && !comes && !is.unused && !stood_in_for(state, item))
                allowed = false;
            if (!comes)
                for (const Item covered : is.covered)
                    if (problem_.items[covered].existing && !problem_.items[covered].unused && !there(state, covered) &&
                        !stood_in_for(state, covered))
                        allowed = false;
        }
        if (!problem_.write_cost)
            return difference;
        for (const std::uint32_t group : groups) {
            std::vector<Item> before;
            std::vector<Item> after;
            for (const Item item : groups_[group]) {
                if (state.present[item] != 0)
                    before.push_back(item);
                if (there(state, item))
                    after.push_back(item);
            }
            difference += written(group, after) - written(group, before);
        }
        return difference;
    }

    bool stood_in_for(const State& state, Item item) const {
        return std::any_of(covering_[item].begin(), covering_[item].end(),
                           [&](Item other) { return there(state, other); });
    }

    double write_cost(std::uint32_t group, const std::vector<char>& present) {
        std::vector<Item> there;
        for (const Item item : groups_[group])
            if (present[item] != 0)
                there.push_back(item);
        return problem_.write_cost ? written(group, there) : 0.0;
    }
    double write_cost(std::uint32_t group, const std::vector<char>& present) const {
        return const_cast<Searcher*>(this)->write_cost(group, present);
    }

    double written(std::uint32_t group, const std::vector<Item>& present) {
        auto key = std::make_pair(group, present);
        if (const auto found = written_.find(key); found != written_.end())
            return found->second;
        const double cost = problem_.write_cost(group, present);
        written_.emplace(std::move(key), cost);
        return cost;
    }

    void apply(State& state, const std::vector<Item>& flips) {
        const double difference = change(state, flips);
        const double reads = state.reads;
        flip(flips);
        ++stamp_;
        changed_.clear();
        for (const Item item : flips)
            for (const std::uint32_t s : statements_of_[item]) {
                if (seen_[s] == stamp_)
                    continue;
                seen_[s] = stamp_;
                const std::uint32_t plan = cheapest_flipped(s, state);
                if (plan == state.plan[s])
                    continue;
                state.reads += problem_.statements[s].weight * (cost(s, plan) - cost(s, state.plan[s]));
                state.plan[s] = plan;
                changed_.push_back(s);
            }
        flip(flips);
        double charges = 0.0;
        for (const Item item : flips) {
            const bool comes = state.present[item] == 0;
            state.present[item] = comes ? 1 : 0;
            charges += comes ? problem_.charge : -problem_.charge;
            if (problem_.items[item].existing) {
                state.existing += comes ? 1 : -1;
            } else if (comes) {
                state.created.push_back(item);
                state.bytes += problem_.items[item].bytes;
            } else {
                state.created.erase(std::find(state.created.begin(), state.created.end(), item));
                state.bytes -= problem_.items[item].bytes;
            }
        }
        state.writes += difference - charges - (state.reads - reads);
    }

    // Adding what the bundle lacks; what its members stand in for goes.
    std::vector<Item> adding(const State& state, const Bundle& bundle) const {
        std::vector<Item> flips;
        for (const Item item : bundle.items)
            if (state.present[item] == 0)
                flips.push_back(item);
        const std::size_t added = flips.size();
        for (std::size_t i = 0; i < added; ++i)
            for (const Item covered : problem_.items[flips[i]].covered)
                if (state.present[covered] != 0 &&
                    std::find(bundle.items.begin(), bundle.items.end(), covered) == bundle.items.end() &&
                    std::find(flips.begin(), flips.end(), covered) == flips.end())
                    flips.push_back(covered);
        return flips;
    }

    // Taking it away; what it stood in for comes back if it existed.
    std::vector<Item> removing(const State& state, Item item) const {
        std::vector<Item> flips = {item};
        for (const Item covered : problem_.items[item].covered)
            if (problem_.items[covered].existing && !problem_.items[covered].unused && state.present[covered] == 0 &&
                std::none_of(covering_[covered].begin(), covering_[covered].end(),
                             [&](Item other) { return other != item && state.present[other] != 0; }))
                flips.push_back(covered);
        return flips;
    }

    double bytes_of(const State& state, const std::vector<Item>& flips) const {
        double bytes = 0.0;
        for (const Item item : flips)
            if (!problem_.items[item].existing)
                bytes += state.present[item] != 0 ? -problem_.items[item].bytes : problem_.items[item].bytes;
        return bytes;
    }

    std::size_t created_with(const State& state, const std::vector<Item>& flips) const {
        std::size_t count = state.created.size();
        for (const Item item : flips)
            if (!problem_.items[item].existing)
                count += state.present[item] != 0 ? static_cast<std::size_t>(-1) : 1;
        return count;
    }

    bool fits(const State& state, const std::vector<Item>& flips) const {
        return state.bytes + bytes_of(state, flips) <= problem_.budget_bytes &&
               created_with(state, flips) <= problem_.max_created;
    }

    // The gain of a bundle; the better of letting go what it stands in for, and keeping it.
    double gain(const State& state, std::uint32_t b, std::vector<Item>& flips) {
        flips = adding(state, bundles_[b]);
        if (flips.empty())
            return 0.0;
        const double replacing = -change(state, flips);
        std::vector<Item> plain;
        for (const Item item : flips)
            if (state.present[item] == 0 && !problem_.items[item].existing)
                plain.push_back(item);
        if (plain.size() == flips.size() || plain.empty())
            return replacing;
        const double keeping = -change(state, plain);
        if (keeping <= replacing)
            return replacing;
        flips = std::move(plain);
        return keeping;
    }

    void value_all(State& state) {
        std::vector<Item> flips;
        for (std::uint32_t b = 0; b < bundles_.size(); ++b)
            state.value[b] = gain(state, b, flips);
    }

    // Indexes came: gains elsewhere can only have shrunk, except those of plans that need fewer now.
    void refresh_after_adding(State& state, const std::vector<Item>& flips) {
        std::vector<Item> scratch;
        for (const Item item : flips)
            for (const std::uint32_t b : bundles_of_item_[item])
                state.value[b] = gain(state, b, scratch);
    }

    // Indexes went: the statements that cost more now have more to gain.
    void refresh_after_removing(State& state, const std::vector<Item>& flips) {
        std::vector<Item> scratch;
        const std::vector<std::uint32_t> changed = changed_;
        std::set<std::uint32_t> bundles;
        for (const std::uint32_t s : changed)
            bundles.insert(bundles_of_statement_[s].begin(), bundles_of_statement_[s].end());
        for (const Item item : flips)
            bundles.insert(bundles_of_item_[item].begin(), bundles_of_item_[item].end());
        for (const std::uint32_t b : bundles)
            state.value[b] = gain(state, b, scratch);
    }

    double rank(const State& state, double gained, const std::vector<Item>& flips, bool per_byte) const {
        return per_byte ? gained / std::max(bytes_of(state, flips), least_bytes) : gained;
    }

    // Adds the best bundle again and again, until none gains and fits. Lazy: kept values bound the present ones.
    void fill(State& state, bool per_byte) {
        // Of equals, the one whose indexes were proposed first: ~ puts the lower number on top.
        std::vector<std::pair<double, std::uint32_t>> heap;
        std::vector<Item> flips;
        const auto push = [&](std::uint32_t b) {
            if (state.value[b] <= threshold())
                return;
            flips = adding(state, bundles_[b]);
            if (flips.empty())
                return;
            if (!fits(state, flips)) {
                if (bytes_of(state, flips) > problem_.budget_bytes - state.bytes)
                    budget_binding_ = true;
                return;
            }
            heap.emplace_back(rank(state, state.value[b], flips, per_byte), ~b);
            std::push_heap(heap.begin(), heap.end());
        };
        for (;;) {
            heap.clear();
            for (std::uint32_t b = 0; b < bundles_.size(); ++b)
                push(b);
            bool chosen = false;
            while (!heap.empty() && !stopped()) {
                std::pop_heap(heap.begin(), heap.end());
                const std::uint32_t b = ~heap.back().second;
                heap.pop_back();
                const double now = gain(state, b, flips);
                state.value[b] = now;
                if (now <= threshold() || flips.empty())
                    continue;
                if (!fits(state, flips)) { // keeps what it could replace
                    flips = adding(state, bundles_[b]);
                    state.value[b] = -change(state, flips);
                    if (!fits(state, flips) || state.value[b] <= threshold())
                        continue;
                }
                const double ranks = rank(state, state.value[b], flips, per_byte);
                if (!heap.empty() && std::make_pair(ranks, ~b) < heap.front()) {
                    heap.emplace_back(ranks, ~b);
                    std::push_heap(heap.begin(), heap.end());
                    continue;
                }
                apply(state, flips);
                refresh_after_adding(state, flips);
                chosen = true;
                break;
            }
            if (!chosen)
                return;
        }
    }

    double threshold() const { return noticeable * scale_; }

    // Takes out what the rest can do without, and existing ones that need not stay.
    bool prune(State& state) {
        bool any = false;
        for (std::size_t i = 0; i < state.created.size();) {
            const std::vector<Item> flips = removing(state, state.created[i]);
            if (change(state, flips) < -threshold()) {
                apply(state, flips);
                refresh_after_removing(state, flips);
                any = true;
            } else {
                ++i;
            }
        }
        for (Item item = 0; item < problem_.items.size(); ++item)
            if (problem_.items[item].existing) {
                const std::vector<Item> flips = {item};
                if (change(state, flips) < -threshold()) {
                    apply(state, flips);
                    refresh_after_removing(state, flips);
                    any = true;
                }
            }
        return any;
    }

    void grow(State& state, bool per_byte) {
        for (int i = 0; i < 8; ++i) {
            fill(state, per_byte);
            if (!prune(state) || stopped())
                return;
        }
    }

    void keep_better(State& best, State&& other) const {
        if (objective(other) < objective(best) - threshold())
            best = std::move(other);
    }

    bool stopped() {
        if (!halted_ && (operations_ > problem_.max_operations || (problem_.stop && problem_.stop())))
            halted_ = true;
        return halted_;
    }

    void take_out(State& state, const std::vector<Item>& items) {
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

    // Without `out`, filled up again. The ones taken out may come back.
    bool try_without(State& best, const std::vector<Item>& out, bool per_byte) {
        State state = best;
        take_out(state, out);
        grow(state, per_byte);
        if (objective(state) >= objective(best) - threshold())
            return false;
        best = std::move(state);
        return true;
    }

    // With a bundle that does not fit: what loses least a byte makes room.
    bool try_forced(State& best, std::uint32_t b) {
        State state = best;
        const std::vector<Item> flips = adding(state, bundles_[b]);
        if (flips.empty() || change(state, flips) == infinity)
            return false;
        apply(state, flips);
        refresh_after_adding(state, flips);
        while (state.bytes > problem_.budget_bytes || state.created.size() > problem_.max_created) {
            Item worst = 0;
            double least = infinity;
            std::vector<Item> going;
            for (const Item item : state.created) {
                const std::vector<Item>& forced = bundles_[b].items;
                if (std::find(forced.begin(), forced.end(), item) != forced.end())
                    continue;
                const std::vector<Item> out = removing(state, item);
                const double loss = change(state, out) / std::max(problem_.items[item].bytes, least_bytes);
                if (loss < least) {
                    least = loss;
                    worst = item;
                    going = out;
                }
            }
            if (going.empty())
                return false;
            (void)worst;
            apply(state, going);
            refresh_after_removing(state, going);
        }
        grow(state, true);
        if (objective(state) >= objective(best) - threshold())
            return false;
        best = std::move(state);
        return true;
    }

    std::uint32_t random(std::uint32_t below) { // xorshift; the same numbers in every run
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        return static_cast<std::uint32_t>((random_ >> 11) % below);
    }

    void improve(State& best) {
        const bool bounded = problem_.budget_bytes != infinity || problem_.max_created < problem_.items.size();
        for (bool better = true; better && !stopped();) {
            better = false;
            for (std::size_t i = 0; i < best.created.size() && !stopped(); ++i)
                better |= try_without(best, {best.created[i]}, true);
            if (bounded)
                better |= force(best);
        }
        if (best.created.size() < 2)
            return;
        const std::size_t rounds = bounded ? std::min<std::size_t>(max_rounds, 40 + 8 * best.created.size())
                                           : std::min<std::size_t>(60, 4 * best.created.size());
        for (std::size_t round = 0; round < rounds && !stopped(); ++round) {
            const auto count = static_cast<std::uint32_t>(best.created.size());
            if (count < 2)
                return;
            std::vector<Item> out;
            const std::uint32_t take = std::min<std::uint32_t>(2 + random(3), count);
            const Item first = best.created[random(count)];
            out.push_back(first);
            for (std::uint32_t i = 1; i < take; ++i)
                out.push_back(best.created[random(count)]);
            if (try_without(best, out, random(3) != 0) && bounded)
                force(best);
        }
    }

    bool force(State& best) {
        std::vector<std::pair<double, std::uint32_t>> promising;
        std::vector<Item> flips;
        for (std::uint32_t b = 0; b < bundles_.size(); ++b) {
            if (best.value[b] <= threshold())
                continue;
            const double now = gain(best, b, flips);
            best.value[b] = now;
            if (now > threshold() && !fits(best, flips))
                promising.emplace_back(now, b);
        }
        std::sort(promising.begin(), promising.end(), std::greater<>());
        promising.resize(std::min<std::size_t>(promising.size(), 40));
        bool better = false;
        for (const auto& [now, b] : promising) {
            if (stopped())
                break;
            better |= try_forced(best, b);
        }
        return better;
    }

    SearchAnswer answer(const State& state) {
        SearchAnswer answer;
        answer.present = state.present;
        answer.objective = objective(state);
        answer.read_cost = state.reads;
        answer.created = state.created;
        answer.budget_binding = budget_binding_;
        answer.operations = operations_;
        return answer;
    }

    const SearchProblem& problem_;
    double scale_ = 1.0;
    std::vector<Statement> statements_;
    std::vector<std::vector<std::uint32_t>> statements_of_; // an item
    std::vector<std::vector<Item>> covering_;               // an item: those that stand in for it
    std::vector<std::vector<Item>> groups_;
    std::vector<Bundle> bundles_;
    std::vector<std::vector<std::uint32_t>> bundles_of_statement_;
    std::vector<std::vector<std::uint32_t>> bundles_of_item_;
    std::vector<char> flipped_;
    std::vector<std::uint64_t> seen_;
    std::vector<std::uint32_t> changed_;
    std::map<std::pair<std::uint32_t, std::vector<Item>>, double> written_;
    std::uint64_t stamp_ = 0;
    std::uint64_t operations_ = 0;
    std::uint64_t random_ = 88172645463325252ULL;
    bool budget_binding_ = false;
    bool halted_ = false;

  public:
    void set_scale(double scale) { scale_ = scale; }
};

} // namespace

SearchAnswer search_indexes(const SearchProblem& problem, const std::vector<char>* start) {
    Searcher searcher(problem);
    searcher.set_scale(std::max(searcher.objective(searcher.initial()), 1e-6));
    return searcher.run(start);
}

double objective_of(const SearchProblem& problem, const std::vector<char>& present) {
    Searcher searcher(problem);
    State state = searcher.initial();
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
    return searcher.objective(state) + searcher.change(state, flips);
}

} // namespace citadel::advisor
