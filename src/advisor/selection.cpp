#include "advisor/selection.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <set>

namespace citadel::advisor {

double CostCache::cost(std::size_t statement, const std::vector<Candidate>& configuration) {
    ++asked_;
    std::vector<Candidate> relevant;
    for (const Candidate& candidate : configuration)
        if (is_relevant(candidate, statements_[statement]))
            relevant.push_back(candidate);
    std::sort(relevant.begin(), relevant.end());
    auto key = std::make_pair(statement, std::move(relevant));
    if (const auto found = known_.find(key); found != known_.end())
        return found->second;
    ++computed_;
    const double cost = source_.cost(statement, key.second);
    known_.emplace(std::move(key), cost);
    return cost;
}

namespace {

// One greedy run. Costs and bounds are kept a statement; the gain of a candidate is a sum over the statements it
// touches, each term either exact for the present configuration or bounded by what is left to gain there.
class Greedy {
  public:
    Greedy(const std::vector<StatementUse>& statements, const ExistingIndexes& existing, CostSource& source,
           const SelectionRules& rules, CostCache& cache, bool per_byte)
        : statements_(statements), existing_(existing), source_(source), rules_(rules), cache_(cache),
          per_byte_(per_byte) {}

    std::vector<Candidate> run() {
        start();
        const double enough = rules_.min_gain * initial_cost_;
        while (chosen_.size() < rules_.max_indexes) {
            const std::optional<std::size_t> best = next(enough);
            if (best)
                choose(*best);
            else if (!choose_together(enough))
                break;
        }
        return chosen_;
    }

    bool budget_was_binding() const { return budget_was_binding_; }
    const std::vector<std::vector<Candidate>>& bundles() const { return bundles_; }
    std::size_t candidate_count() const { return entries_.size(); }

  private:
    struct Term {
        std::size_t statement;
        double gain = 0.0;  // weighted
        bool exact = false; // for the present configuration
    };
    struct Entry {
        Candidate candidate;
        std::uint64_t bytes = 0;
        double write_cost = 0.0;
        std::vector<Term> terms;
        bool out = false; // chosen, or subsumed, or never worth it
    };

    void start() {
        current_.resize(statements_.size());
        floor_.resize(statements_.size());
        for (std::size_t s = 0; s < statements_.size(); ++s) {
            current_[s] = cache_.cost(s, {});
            floor_[s] = current_[s];
            initial_cost_ += statements_[s].weight * current_[s];
        }
        add(candidates_for(statements_, rules_.candidates, existing_));
    }

    // Takes in new candidates and lowers the floor (the cost with everything) of the statements they touch.
    void add(std::vector<Candidate> candidates) {
        std::set<std::size_t> touched;
        for (Candidate& candidate : candidates) {
            if (!known_.insert(candidate).second)
                continue;
            Entry entry;
            for (std::size_t s = 0; s < statements_.size(); ++s)
                if (is_relevant(candidate, statements_[s]))
                    entry.terms.push_back(Term{s});
            for (const Term& term : entry.terms) {
                offered_.resize(statements_.size());
                offered_[term.statement].push_back(candidate);
                touched.insert(term.statement);
            }
            entry.bytes = std::max<std::uint64_t>(source_.size(candidate), 1);
            entry.write_cost = source_.write_cost(candidate);
            entry.candidate = std::move(candidate);
            entries_.push_back(std::move(entry));
        }
        for (const std::size_t s : touched) {
            floor_[s] = std::min(floor_[s], cache_.cost(s, offered_[s]));
            invalidate(s);
        }
    }

    // After a change that concerns statement s no exact gain there holds any longer.
    void invalidate(std::size_t s) {
        for (Entry& entry : entries_)
            for (Term& term : entry.terms)
                if (term.statement == s)
                    term.exact = false;
    }

    double bound(const Entry& entry) const {
        double sum = -entry.write_cost;
        for (const Term& term : entry.terms)
            sum += term.exact ? term.gain : statements_[term.statement].weight * room(term.statement);
        return sum;
    }

    double room(std::size_t s) const { return std::max(current_[s] - floor_[s], 0.0); }

    // Bytes that the step adds: those of the index less those of the chosen ones that it makes superfluous.
    double added_bytes(const Entry& entry) const {
        double bytes = static_cast<double>(entry.bytes);
        for (const Candidate& chosen : chosen_)
            if (subsumes(entry.candidate, chosen))
                bytes -= static_cast<double>(bytes_of(chosen));
        return bytes;
    }

    std::uint64_t bytes_of(const Candidate& candidate) const {
        for (const Entry& entry : entries_)
            if (entry.candidate == candidate)
                return entry.bytes;
        return 0;
    }

    std::vector<Candidate> with(const Candidate& added) const {
        std::vector<Candidate> configuration;
        for (const Candidate& chosen : chosen_)
            if (!subsumes(added, chosen))
                configuration.push_back(chosen);
        configuration.push_back(added);
        return configuration;
    }

    double rank(const Entry& entry) const {
        const double gain = bound(entry);
        // A step that frees space and gains is beyond comparison.
        return per_byte_ ? gain / std::max(added_bytes(entry), 8192.0) : gain;
    }

    // The best step, or none that is worth it. Lazy: the leader by upper bound has its largest inexact term computed
    // until a leader is exact.
    std::optional<std::size_t> next(double enough) {
        struct Rated {
            double rank;
            std::size_t entry;
            bool operator<(const Rated& other) const {
                return rank != other.rank ? rank < other.rank : entry > other.entry;
            }
        };
        std::priority_queue<Rated> queue;
        for (std::size_t e = 0; e < entries_.size(); ++e) {
            Entry& entry = entries_[e];
            if (entry.out || bound(entry) <= enough)
                continue;
            if (!affordable(entry)) {
                budget_was_binding_ = true;
                continue;
            }
            queue.push({rank(entry), e});
        }
        while (!queue.empty()) {
            const std::size_t e = queue.top().entry;
            queue.pop();
            Entry& entry = entries_[e];
            Term* widest = nullptr;
            for (Term& term : entry.terms)
                if (!term.exact && (widest == nullptr || open_gain(term) > open_gain(*widest)))
                    widest = &term;
            if (widest == nullptr)
                return e;
            compute(entry, *widest);
            if (bound(entry) > enough)
                queue.push({rank(entry), e});
        }
        return std::nullopt;
    }

    double open_gain(const Term& term) const { return statements_[term.statement].weight * room(term.statement); }

    void compute(const Entry& entry, Term& term) {
        const std::size_t s = term.statement;
        // Nothing to gain, unless the step takes a shorter index away from the statement.
        if (room(s) <= 0.0 && !replaces(entry)) {
            term.gain = 0.0;
        } else {
            const double cost = cache_.cost(s, with(entry.candidate));
            floor_[s] = std::min(floor_[s], cost);
            term.gain = statements_[s].weight * (current_[s] - cost);
        }
        term.exact = true;
    }

    bool replaces(const Entry& entry) const {
        return std::any_of(chosen_.begin(), chosen_.end(),
                           [&](const Candidate& chosen) { return subsumes(entry.candidate, chosen); });
    }

    bool affordable(const Entry& entry) const {
        if (!rules_.budget_bytes)
            return true;
        return used_bytes_ + added_bytes(entry) <= static_cast<double>(*rules_.budget_bytes);
    }

    void choose(std::size_t e) {
        const Candidate candidate = entries_[e].candidate;
        used_bytes_ += added_bytes(entries_[e]);
        std::set<std::size_t> changed;
        for (const Term& term : entries_[e].terms)
            changed.insert(term.statement);
        chosen_ = with(candidate);
        for (Entry& entry : entries_)
            if (subsumes(candidate, entry.candidate))
                entry.out = true;
        for (std::size_t s = 0; s < statements_.size(); ++s)
            if (changed.count(s) != 0) {
                current_[s] = cache_.cost(s, chosen_);
                floor_[s] = std::min(floor_[s], current_[s]);
                invalidate(s);
            }
        add(extensions_of(candidate, statements_, rules_.candidates, existing_));
    }

    // No single index is worth it any more. What would the statements with most left to gain use if they had
    // everything?
    bool choose_together(double enough) {
        std::vector<std::size_t> order;
        for (std::size_t s = 0; s < statements_.size(); ++s)
            if (statements_[s].weight * room(s) > enough && tried_together_.count(s) == 0)
                order.push_back(s);
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            return statements_[a].weight * room(a) > statements_[b].weight * room(b);
        });
        for (const std::size_t s : order) {
            tried_together_.insert(s);
            std::vector<Candidate> everything = offered_[s];
            std::sort(everything.begin(), everything.end());
            std::vector<Candidate> bundle;
            for (Candidate& candidate : source_.used(s, everything))
                if (std::none_of(chosen_.begin(), chosen_.end(),
                                 [&](const Candidate& chosen) { return subsumes(chosen, candidate); }))
                    bundle.push_back(std::move(candidate));
            if (bundle.size() >= 2 && worth_together(bundle, enough)) {
                for (const Candidate& candidate : bundle)
                    for (std::size_t e = 0; e < entries_.size(); ++e)
                        if (entries_[e].candidate == candidate) {
                            choose(e);
                            break; // choose() may have added entries
                        }
                bundles_.push_back(std::move(bundle));
                return true;
            }
        }
        return false;
    }

    bool worth_together(const std::vector<Candidate>& bundle, double enough) {
        double bytes = used_bytes_;
        double gain = 0.0;
        for (const Candidate& candidate : bundle) {
            bytes += static_cast<double>(bytes_of(candidate));
            gain -= source_.write_cost(candidate);
        }
        if (rules_.budget_bytes && bytes > static_cast<double>(*rules_.budget_bytes)) {
            budget_was_binding_ = true;
            return false;
        }
        std::vector<Candidate> then = chosen_;
        then.insert(then.end(), bundle.begin(), bundle.end());
        for (std::size_t s = 0; s < statements_.size(); ++s)
            gain += statements_[s].weight * (current_[s] - cache_.cost(s, then));
        return gain > enough;
    }

    const std::vector<StatementUse>& statements_;
    const ExistingIndexes& existing_;
    CostSource& source_;
    const SelectionRules& rules_;
    CostCache& cache_;
    const bool per_byte_;

    std::vector<Entry> entries_;
    std::set<Candidate> known_;
    std::vector<std::vector<Candidate>> offered_; // a statement: every candidate that concerns it
    std::vector<double> current_;                 // a statement: cost with what is chosen
    std::vector<double> floor_;     // a statement: lowest cost seen, that of all candidates at once included
    std::vector<Candidate> chosen_; // in order of choice
    std::vector<std::vector<Candidate>> bundles_; // chosen as one step
    std::set<std::size_t> tried_together_;
    double initial_cost_ = 0.0;
    double used_bytes_ = 0.0;
    bool budget_was_binding_ = false;
};

double workload_cost(const std::vector<StatementUse>& statements, CostCache& cache, const std::vector<Candidate>& set) {
    double sum = 0.0;
    for (std::size_t s = 0; s < statements.size(); ++s)
        sum += statements[s].weight * cache.cost(s, set);
    return sum;
}

double set_cost(const std::vector<StatementUse>& statements, CostCache& cache, CostSource& source,
                const std::vector<Candidate>& set) {
    double sum = workload_cost(statements, cache, set);
    for (const Candidate& candidate : set)
        sum += source.write_cost(candidate);
    return sum;
}

// Drops what the rest of the set can do without.
void prune(const std::vector<StatementUse>& statements, CostCache& cache, CostSource& source, double enough,
           std::vector<Candidate>& set) {
    double present = set_cost(statements, cache, source, set);
    for (std::size_t i = 0; i < set.size();) {
        std::vector<Candidate> without = set;
        without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
        const double cost = set_cost(statements, cache, source, without);
        if (cost - present < enough) {
            set = std::move(without);
            present = cost;
        } else {
            ++i;
        }
    }
}

// What each index of the answer brings at its place in the order; those of a bundle count as one.
void replay(const std::vector<StatementUse>& statements, CostCache& cache, CostSource& source,
            const std::vector<Candidate>& set, const std::vector<std::vector<Candidate>>& bundles,
            Selection& selection) {
    std::vector<Candidate> so_far;
    std::set<Candidate> done;
    double before = selection.cost_before;
    for (const Candidate& candidate : set) {
        if (done.count(candidate) != 0)
            continue;
        std::vector<Candidate> group = {candidate};
        for (const std::vector<Candidate>& bundle : bundles)
            if (std::find(bundle.begin(), bundle.end(), candidate) != bundle.end())
                for (const Candidate& other : bundle)
                    if (other != candidate && done.count(other) == 0 &&
                        std::find(set.begin(), set.end(), other) != set.end())
                        group.push_back(other);
        std::vector<Candidate> then = so_far;
        then.insert(then.end(), group.begin(), group.end());
        const double after = workload_cost(statements, cache, then);
        std::vector<Helped> helped;
        for (std::size_t s = 0; s < statements.size(); ++s) {
            const double old_cost = cache.cost(s, so_far);
            const double new_cost = cache.cost(s, then);
            if (new_cost < old_cost * 0.999)
                helped.push_back({s, old_cost, new_cost});
        }
        for (const Candidate& member : group) {
            Step step{member, source.size(member), before, after, source.write_cost(member), helped, {}};
            for (const Candidate& other : group)
                if (other != member)
                    step.together.push_back(other);
            selection.steps.push_back(std::move(step));
            done.insert(member);
        }
        before = after;
        so_far = std::move(then);
    }
    selection.cost_after = before;
}

} // namespace

Selection select_indexes(const std::vector<StatementUse>& statements, const ExistingIndexes& existing,
                         CostSource& source, const SelectionRules& rules) {
    Selection selection;
    CostCache cache(statements, source);
    selection.cost_before = workload_cost(statements, cache, {});
    selection.cost_after = selection.cost_before;
    if (!rules.budget_bytes || *rules.budget_bytes > 0) {
        const double enough = rules.min_gain * selection.cost_before;
        Greedy by_ratio(statements, existing, source, rules, cache, true);
        std::vector<Candidate> set = by_ratio.run();
        std::vector<std::vector<Candidate>> bundles = by_ratio.bundles();
        selection.candidates = by_ratio.candidate_count();
        selection.budget_was_binding = by_ratio.budget_was_binding();
        prune(statements, cache, source, enough, set);
        if (selection.budget_was_binding) {
            // Gain per byte can fill a budget with small things; plain gain guards against that.
            Greedy by_gain(statements, existing, source, rules, cache, false);
            std::vector<Candidate> other = by_gain.run();
            prune(statements, cache, source, enough, other);
            if (set_cost(statements, cache, source, other) < set_cost(statements, cache, source, set)) {
                set = std::move(other);
                bundles = by_gain.bundles();
            }
        }

        replay(statements, cache, source, set, bundles, selection);
    }
    selection.asked = cache.asked();
    selection.computed = cache.computed();
    return selection;
}

} // namespace citadel::advisor
