#include "advisor/selection.hpp"

#include "advisor/selection_report.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t max_rounds = 6;
constexpr int levels_down = 3;         // plans made by taking away what the one before used
constexpr int levels_smaller = 10;     // plans made by offering only smaller indexes
constexpr int levels_of_places = 2;    // plans made by serving a place in no way, and another one
constexpr std::size_t max_singles = 3; // of a plan that uses several indexes, each is tried alone when they are no more

class Advisor {
  public:
    Advisor(const std::vector<StatementUse>& statements, const ExistingIndexes& existing, CostSource& source,
            const SelectionRules& rules)
        : statements_(statements), existing_(existing), source_(source), rules_(rules), cache_(statements, source),
          base_(statements.size()), told_(statements.size()) {}

    Selection run() {
        offer_existing();
        offer(candidates_for(statements_, rules_.candidates, existing_));
        price_base();
        if (rules_.budget_bytes != std::uint64_t{0} && rules_.max_indexes != 0)
            sample();
        refine();
        return report();
    }

  private:
    using Set = CostCache::Set;

    // ---- the universe

    void offer_existing() {
        std::set<RelationId> relations;
        for (const StatementUse& statement : statements_)
            for (const RelationUse& use : statement.relations)
                relations.insert(use.relation);
        for (const RelationId relation : relations) {
            groups_.emplace(relation, static_cast<std::uint32_t>(groups_.size()));
            if (rules_.consider_drops)
                for (DroppableIndex& droppable : droppable_indexes(relation, existing_(relation))) {
                    const Item item = cache_.add_existing(relation, droppable.index.id);
                    droppable_.emplace(item, std::move(droppable));
                }
        }
    }

    // Takes in candidates; returns the new ones.
    std::vector<Item> offer(const std::vector<Candidate>& candidates) {
        source_.prepare(candidates);
        std::vector<Item> fresh;
        for (const Candidate& candidate : candidates) {
            if (cache_.find(candidate))
                continue;
            if (rules_.budget_bytes && source_.size(candidate) > *rules_.budget_bytes)
                continue;
            fresh.push_back(cache_.add(candidate));
        }
        return fresh;
    }

    double bytes(Item item) {
        return cache_.is_existing(item)
                   ? 0.0
                   : static_cast<double>(std::max<std::uint64_t>(source_.size(cache_.candidate(item)), 1));
    }

    // Of the tables that the workload reads.
    double table_bytes() const {
        std::map<RelationId, double> pages;
        for (const StatementUse& statement : statements_)
            for (const RelationUse& use : statement.relations)
                pages[use.relation] = std::max(pages[use.relation], use.pages);
        double bytes = 0.0;
        for (const auto& [relation, count] : pages)
            bytes += 8192.0 * count;
        if (bytes <= 0.0)
            return infinity;
        return bytes;
    }

    // ---- sampling of plans

    void price_base() {
        const Set today = cache_.today();
        for (std::size_t s = 0; s < statements_.size(); ++s) {
            base_[s] = cache_.cost(s, today);
            initial_ += weight(s) * base_[s];
            if (!droppable_.empty())
                without_existing(s);
            notify(SelectionProgress::Phase::pricing, s);
        }
        enough_ = share_enough() * initial_;
    }

    double share_enough() const {
        if (rules_.min_gain)
            return *rules_.min_gain;
        return std::min(0.01, 0.1 / static_cast<double>(std::max<std::size_t>(statements_.size(), 1)));
    }

    double weight(std::size_t s) const { return statements_[s].weight; }
    double room(std::size_t s, double present) const { return weight(s) * (present - cache_.floor(s)); }
    // Less than that in one statement is not worth a planner call.
    double trifle() const { return 0.02 * enough_; }

    void sample() {
        std::vector<std::pair<double, std::size_t>> order;
        for (std::size_t s = 0; s < statements_.size() && !stopped(); ++s) {
            order.emplace_back(room(s, cache_.cost(s, with_all(s))), s);
            order.back().first = room(s, base_[s]);
            notify(SelectionProgress::Phase::pricing, s);
        }
        std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
        with_substitutes();
        std::size_t done = 0;
        for (const auto& [gain, s] : order) {
            if (stopped() || gain <= trifle())
                break;
            sample(s);
            notify(SelectionProgress::Phase::searching, ++done);
        }
    }

    Set with_all(std::size_t s) const {
        Set set = cache_.today();
        for (const Item item : cache_.items_of(s))
            set[item] = 1;
        return set;
    }

    void sample(std::size_t s) {
        std::map<RelationId, std::vector<Item>> by_relation;
        std::vector<Item> all;
        for (const Item item : cache_.items_of(s))
            if (!cache_.is_existing(item)) {
                by_relation[cache_.relation(item)].push_back(item);
                all.push_back(item);
            }
        if (tells_others(s)) {
            told_[s] = 1;
            without_places(s, with_all(s), levels_of_places);
            return;
        }
        const Set today = cache_.today();
        peel(s, today, all, levels_down);
        if (by_relation.size() > 1) {
            shrink(s, today, all);
            for (const auto& [relation, items] : by_relation) {
                peel(s, today, items, levels_down);
                shrink(s, today, items);
            }
        } else {
            shrink(s, today, all);
        }
        // Those that many statements can share, which longer and partial ones hide.
        std::vector<Item> plain = all;
        std::erase_if(
            plain, [&](Item i) { return !cache_.candidate(i).included.empty() || cache_.candidate(i).predicate != 0; });
        if (plain.size() < all.size()) {
            peel(s, today, plain, levels_down);
            shrink(s, today, plain);
        }
        without_each(s, with_all(s));
    }

    // Does the statement's plan tell of each index what others would cost in its place (those of correlated subqueries
    // do not)? Then plans that join in another way are all that is to be found out.
    bool tells_others(std::size_t s) { return tells_others(cache_.price(s, with_all(s))); }
    bool tells_others(const CostCache::Plan& plan) const {
        return std::all_of(plan.used.begin(), plan.used.end(), [&](Item item) {
            return cache_.is_existing(item) || std::any_of(plan.substitutes.begin(), plan.substitutes.end(),
                                                           [&](const auto& place) { return place.first == item; });
        });
    }

    // Plans for when existing indexes have gone: those in use one by one, then all of them, until none is in use.
    void without_existing(std::size_t s) {
        Set set = cache_.today();
        while (!stopped()) {
            std::vector<Item> used = cache_.price(s, set).used;
            std::erase_if(used, [&](Item i) { return !cache_.is_existing(i); });
            if (used.empty())
                return;
            if (used.size() > 1)
                for (const Item item : used) {
                    Set less = set;
                    less[item] = 0;
                    cache_.price(s, less);
                }
            for (const Item item : used)
                set[item] = 0;
        }
    }

    // Plans for when a longer index has taken the place of an existing one that the statement uses.
    void with_substitutes() {
        for (const auto& [item, droppable] : droppable_) {
            std::vector<Item> longer;
            for (Item other = 0; other < cache_.items(); ++other)
                if (!cache_.is_existing(other) && stands_in(other, item))
                    longer.push_back(other);
            if (longer.empty())
                continue;
            Set set = cache_.today();
            for (const std::size_t s : cache_.statements_of(item)) {
                if (stopped())
                    return;
                const std::vector<Item>& used = cache_.price(s, cache_.today()).used;
                if (!std::binary_search(used.begin(), used.end(), item))
                    continue;
                set[item] = 0;
                peel(s, set, longer, levels_down);
                shrink(s, set, longer);
            }
        }
    }

    static Set joined(Set set, const std::vector<Item>& more) {
        for (const Item item : more)
            set[item] = 1;
        return set;
    }

    // The candidates among what a plan uses, beyond those of a set.
    std::vector<Item> used_beyond(const CostCache::Plan& plan, const Set& set) const {
        std::vector<Item> found;
        for (const Item item : plan.used)
            if (item >= set.size() || set[item] == 0)
                found.push_back(item);
        return found;
    }

    // Plans with `offered` on top of `set`, then without what that used, and so on.
    void peel(std::size_t s, const Set& set, std::vector<Item> offered, int levels) {
        const double without = cache_.cost(s, set);
        for (int level = 0; level < levels && !offered.empty() && !stopped(); ++level) {
            const CostCache::Plan plan = cache_.price(s, joined(set, offered));
            const std::vector<Item> used = used_beyond(plan, set);
            if (used.empty() || weight(s) * (without - plan.cost) <= trifle())
                return;
            if (tells_others(plan))
                return;
            if (used.size() > 1 && used.size() <= max_singles)
                for (const Item item : used)
                    cache_.price(s, joined(set, {item}));
            std::erase_if(offered, [&](Item i) { return std::binary_search(used.begin(), used.end(), i); });
        }
    }

    // The plan, and those in which one place after the other is served by none of the indexes that could: the joins are
    // others then, and different indexes may matter.
    void without_places(std::size_t s, const Set& set, int depth) {
        const CostCache::Plan plan = cache_.price(s, set);
        if (depth == 0)
            return;
        for (const Item item : plan.used) {
            if (stopped())
                return;
            Set less = set;
            for (const Item other : CostCache::at_place_of(plan, item))
                less[other] = 0;
            without_places(s, less, depth - 1);
        }
    }

    // Plans with ever smaller indexes: what a tight budget can have.
    void shrink(std::size_t s, const Set& set, std::vector<Item> offered) {
        const double without = cache_.cost(s, set);
        for (int level = 0; level < levels_smaller && !offered.empty() && !stopped(); ++level) {
            const CostCache::Plan plan = cache_.price(s, joined(set, offered));
            const std::vector<Item> used = used_beyond(plan, set);
            if (used.empty() || weight(s) * (without - plan.cost) <= trifle())
                return;
            double largest = 0.0;
            for (const Item item : used)
                largest = std::max(largest, bytes(item));
            std::erase_if(offered, [&](Item i) { return bytes(i) >= largest; });
        }
    }

    // The best plan, and those without each of its indexes.
    void without_each(std::size_t s, const Set& set) {
        const std::vector<Item> used = cache_.price(s, set).used;
        if (used.size() < 2)
            return;
        for (const Item item : used) {
            if (stopped())
                return;
            Set less = set;
            less[item] = 0;
            cache_.price(s, less);
        }
    }

    // ---- the search, and what is asked around its answer

    SearchProblem problem(double charge, bool thorough) {
        SearchProblem problem;
        problem.charge = charge;
        problem.byte_price = byte_price_;
        problem.thorough = thorough;
        if (rules_.budget_bytes)
            problem.budget_bytes = static_cast<double>(*rules_.budget_bytes);
        problem.max_created = rules_.max_indexes;
        problem.stop = rules_.stop;
        problem.statements.resize(statements_.size());
        std::vector<char> wanted(cache_.items());
        for (std::size_t s = 0; s < statements_.size(); ++s) {
            SearchStatement& statement = problem.statements[s];
            statement.weight = weight(s);
            statement.limit = base_[s] * (1.0 + rules_.max_regression);
            for (const CostCache::Plan& plan : cache_.plans(s)) {
                statement.plans.push_back({plan.cost, plan.used});
                for (const Item item : plan.used)
                    wanted[item] = 1;
            }
            for (const auto& [used, cost] : cache_.estimates(s)) {
                statement.plans.push_back({cost, used});
                for (const Item item : used)
                    wanted[item] = 1;
            }
        }
        problem.items.resize(cache_.items());
        std::map<RelationId, std::vector<Item>> by_relation;
        for (Item item = 0; item < cache_.items(); ++item) {
            SearchItem& entry = problem.items[item];
            entry.group = groups_.at(cache_.relation(item));
            entry.existing = cache_.is_existing(item);
            if (entry.existing)
                entry.unused = droppable_.at(item).freely;
            if (!entry.existing && wanted[item] == 0)
                continue; // no plan wants it: its size is nobody's business
            entry.bytes = bytes(item);
            by_relation[cache_.relation(item)].push_back(item);
        }
        for (const auto& [relation, items] : by_relation)
            for (const Item a : items)
                for (const Item b : items)
                    if (a != b && stands_in(a, b))
                        problem.items[a].covered.push_back(b);
        relations_.resize(groups_.size());
        for (const auto& [relation, group] : groups_)
            relations_[group] = relation;
        problem.write_cost = [this](std::uint32_t group, const std::vector<Item>& present) {
            return source_.write_cost(relations_[group], changes(relations_[group], present));
        };
        return problem;
    }

    const Candidate& as_candidate(Item item) const {
        return cache_.is_existing(item) ? droppable_.at(item).as_candidate : cache_.candidate(item);
    }

    bool stands_in(Item longer, Item shorter) const { return subsumes(as_candidate(longer), as_candidate(shorter)); }

    // What `present` (of one relation) means to that relation's indexes.
    Configuration changes(RelationId relation, const std::vector<Item>& present) const {
        Configuration configuration;
        for (const Item item : present)
            if (!cache_.is_existing(item))
                configuration.added.push_back(cache_.candidate(item));
        for (const auto& [item, droppable] : droppable_)
            if (cache_.relation(item) == relation && !std::binary_search(present.begin(), present.end(), item))
                configuration.hidden.push_back(droppable.index.id);
        std::sort(configuration.added.begin(), configuration.added.end());
        std::sort(configuration.hidden.begin(), configuration.hidden.end());
        return configuration;
    }

    // Rounds of a quick search and of asking around its answer; then a thorough search over all that is known, whose
    // answer is asked about in turn. What counts in the end is what the planner said of the whole answer.
    void refine() {
        answer_ = search_indexes(problem(enough_, false));
        SearchAnswer best;
        double best_cost = infinity;
        bool thorough = false;
        for (std::size_t round = 0; round < max_rounds && !stopped(); ++round) {
            answer_.present.resize(cache_.items());
            enough_ = share_enough() * answer_.read_cost;
            byte_price_ = rules_.budget_bytes ? 0.0 : rules_.space_price * answer_.read_cost / table_bytes();
            const std::uint64_t computed = cache_.computed();
            extend();
            const double cost = explore();
            answer_.present.resize(cache_.items());
            if (stopped())
                break;
            const bool hardly = cost > best_cost * 0.9995;
            if (cost < best_cost) {
                best = answer_;
                best_cost = cost;
            }
            if (thorough && hardly)
                break;
            thorough = thorough || hardly || cache_.computed() == computed;
            SearchAnswer next = search_indexes(problem(enough_, thorough), &answer_.present);
            next.budget_binding = next.budget_binding || answer_.budget_binding;
            const bool same = next.present == answer_.present;
            answer_ = std::move(next);
            notify(SelectionProgress::Phase::refining, 0);
            if (same && thorough)
                break;
        }
        if (best_cost < infinity)
            answer_ = std::move(best);
        answer_.present.resize(cache_.items());
    }

    // Longer versions of what was chosen, and one in the place of two: all on offer at once.
    void extend() {
        std::vector<Candidate> more;
        for (const Item item : answer_.created) {
            if (!extended_.insert({item, item}).second)
                continue;
            const std::vector<Candidate> longer =
                extensions_of(cache_.candidate(item), statements_, rules_.candidates, existing_);
            more.insert(more.end(), longer.begin(), longer.end());
        }
        for (const Item a : answer_.created)
            for (const Item b : answer_.created) {
                if (a >= b || cache_.relation(a) != cache_.relation(b) || !extended_.insert({a, b}).second)
                    continue;
                const std::vector<Candidate> merged =
                    merges_of(cache_.candidate(a), cache_.candidate(b), rules_.candidates);
                more.insert(more.end(), merged.begin(), merged.end());
            }
        const std::vector<Item> fresh = offer(more);
        std::set<std::size_t> touched;
        for (const Item item : fresh)
            touched.insert(cache_.statements_of(item).begin(), cache_.statements_of(item).end());
        answer_.present.resize(cache_.items());
        for (const std::size_t s : touched) {
            if (stopped())
                return;
            std::vector<Item> offered;
            for (const Item item : fresh)
                if (std::binary_search(cache_.statements_of(item).begin(), cache_.statements_of(item).end(), s))
                    offered.push_back(item);
            peel(s, answer_.present, offered, 2);
            peel(s, cache_.today(), offered, 2);
        }
    }

    // The plans with the answer, with one index less, with one more. Returns what the answer costs with charges;
    // infinity when a statement gets worse by more than is allowed.
    double explore() {
        const Set chosen = answer_.present;
        double cost = answer_.objective - answer_.read_cost;
        std::vector<double> now(statements_.size());
        for (std::size_t s = 0; s < statements_.size() && !stopped(); ++s) {
            const CostCache::Plan plan = cache_.price(s, chosen);
            now[s] = plan.cost;
            cost += weight(s) * plan.cost;
            if (plan.cost > base_[s] * (1.0 + rules_.max_regression))
                cost = infinity;
            if (weight(s) * (base_[s] - plan.cost) > trifle())
                without_each(s, chosen);
            if (room(s, plan.cost) > trifle()) {
                std::vector<Item> others;
                for (const Item item : cache_.items_of(s))
                    if (chosen[item] == 0 && fits_alone(item))
                        others.push_back(item);
                peel(s, chosen, others, levels_down);
            }
        }
        one_more(now);
        return cost;
    }

    bool fits_alone(Item item) {
        return !cache_.is_existing(item) &&
               (!rules_.budget_bytes || bytes(item) <= static_cast<double>(*rules_.budget_bytes));
    }

    // Candidates that some plan uses, on top of the answer and in place of what they stand in for: the most promising
    // of those whose gain is not known yet.
    void one_more(const std::vector<double>& now) {
        struct Promise {
            double rank;
            Item item;
            std::vector<std::size_t> unknown;
        };
        std::set<Item> useful;
        for (std::size_t s = 0; s < statements_.size(); ++s)
            if (room(s, now[s]) > trifle())
                for (const CostCache::Plan& plan : cache_.plans(s))
                    useful.insert(plan.used.begin(), plan.used.end());
        std::vector<Promise> promises;
        for (const Item item : useful) {
            if (stopped())
                return;
            if (answer_.present[item] != 0 || !fits_alone(item))
                continue;
            const Set set = instead(item);
            Promise promise{0.0, item, {}};
            const bool replaces = std::any_of(droppable_.begin(), droppable_.end(), [&](const auto& entry) {
                return set[entry.first] != answer_.present[entry.first];
            });
            for (const std::size_t s : cache_.statements_of(item)) {
                if (room(s, now[s]) <= trifle() && !replaces)
                    continue;
                if (!cache_.is_known(s, set)) {
                    if (told_[s] != 0)
                        continue;
                    promise.unknown.push_back(s);
                    promise.rank += room(s, now[s]);
                } else {
                    promise.rank += weight(s) * (now[s] - cache_.cost(s, set));
                }
            }
            if (promise.unknown.empty() || promise.rank <= enough_)
                continue;
            promise.rank /= std::max(bytes(item), 8192.0);
            promises.push_back(std::move(promise));
        }
        std::stable_sort(promises.begin(), promises.end(),
                         [](const Promise& a, const Promise& b) { return a.rank > b.rank; });
        const std::uint64_t limit = cache_.computed() + 2 * statements_.size() + 100;
        for (const Promise& promise : promises) {
            const Set set = instead(promise.item);
            for (const std::size_t s : promise.unknown) {
                if (cache_.computed() >= limit || stopped())
                    return;
                cache_.price(s, set);
            }
        }
    }

    Set instead(Item item) const {
        Set set = answer_.present;
        set[item] = 1;
        for (const Item other : answer_.created)
            if (stands_in(item, other))
                set[other] = 0;
        for (const auto& [existing, droppable] : droppable_)
            if (stands_in(item, existing))
                set[existing] = 0;
        return set;
    }

    // ---- the end

    Selection report() {
        SelectionReport report(statements_, cache_, source_, base_, droppable_, !halted_);
        Selection selection = report.make(answer_);
        selection.stopped = halted_;
        notify(SelectionProgress::Phase::reporting, statements_.size());
        return selection;
    }

    bool stopped() {
        if (!halted_ && rules_.stop && rules_.stop())
            halted_ = true;
        return halted_;
    }

    void notify(SelectionProgress::Phase phase, std::size_t done) {
        if (!rules_.progress)
            return;
        SelectionProgress progress;
        progress.phase = phase;
        progress.done = done;
        progress.statements = statements_.size();
        progress.candidates = cache_.items();
        progress.chosen = answer_.created.size();
        progress.cost_before = initial_;
        progress.cost_so_far = answer_.created.empty() ? initial_ : answer_.read_cost;
        rules_.progress(progress);
    }

    const std::vector<StatementUse>& statements_;
    const ExistingIndexes& existing_;
    CostSource& source_;
    const SelectionRules& rules_;
    CostCache cache_;
    std::vector<double> base_; // a statement: its cost today
    std::vector<char> told_;   // a statement: its plans tell what others would cost
    std::map<RelationId, std::uint32_t> groups_;
    std::vector<RelationId> relations_; // by group
    std::map<Item, DroppableIndex> droppable_;
    std::set<std::pair<Item, Item>> extended_; // and merged
    SearchAnswer answer_;
    double initial_ = 0.0;
    double enough_ = 0.0;
    double byte_price_ = 0.0;
    bool halted_ = false;
};

} // namespace

Selection select_indexes(const std::vector<StatementUse>& statements, const ExistingIndexes& existing,
                         CostSource& source, const SelectionRules& rules) {
    return Advisor(statements, existing, source, rules).run();
}

} // namespace citadel::advisor
