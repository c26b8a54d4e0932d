#include "advisor/answer_explorer.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace citadel::advisor {

void AnswerExplorer::extend(SearchAnswer& answer) {
    // Those that read the table, once for all that was chosen on it.
    std::map<RelationId, std::vector<Item>> chosen;
    for (const Item item : answer.created)
        chosen[cache_.relation(item)].push_back(item);
    std::vector<Candidate> more;
    for (const auto& [relation, items] : chosen)
        for (const Item item : items) {
            if (extended_.insert({item, item}).second) {
                std::vector<StatementUse> concerned;
                for (const std::size_t s : cache_.statements_of(item))
                    if (context_.leads(s))
                        concerned.push_back(context_.statements[s]);
                const std::vector<Candidate> longer =
                    extensions_of(cache_.candidate(item), concerned, context_.rules.candidates, context_.existing);
                more.insert(more.end(), longer.begin(), longer.end());
            }
            for (const Item other : items) {
                if (item >= other || !extended_.insert({item, other}).second)
                    continue;
                const std::vector<Candidate> merged =
                    merges_of(cache_.candidate(item), cache_.candidate(other), context_.rules.candidates);
                more.insert(more.end(), merged.begin(), merged.end());
            }
        }
    std::map<std::size_t, Items> fresh; // by statement
    for (const Item item : context_.offer(more))
        for (const std::size_t s : cache_.statements_of(item))
            if (context_.leads(s))
                fresh[s].push_back(item);
    answer.present.resize(cache_.items());
    for (const auto& [s, offered] : fresh) {
        if (context_.stopped())
            return;
        sampler_.peel(s, cache_.relevant(s, answer.present), offered, 2);
        sampler_.peel(s, cache_.today(s), offered, 2);
    }
}

double AnswerExplorer::explore(const SearchAnswer& answer) {
    const CostCache::Set& chosen = answer.present;
    double cost = answer.objective - answer.read_cost;
    std::vector<double> now(context_.statements.size());
    for (std::size_t s = 0; s < context_.statements.size() && !context_.stopped(); ++s) {
        if (!context_.leads(s))
            continue;
        const Items there = cache_.relevant(s, chosen);
        now[s] = cache_.cost(s, there);
        cost += context_.weight(s) * now[s];
        if (now[s] > context_.base[s] * (1.0 + context_.rules.max_regression))
            cost = std::numeric_limits<double>::infinity();
        if (context_.weight(s) * (context_.base[s] - now[s]) > context_.trifle())
            sampler_.without_each(s, there);
        if (context_.room(s, now[s]) > context_.trifle()) {
            Items others;
            for (const Item item : cache_.items_of(s))
                if (chosen[item] == 0 && context_.fits_alone(item))
                    others.push_back(item);
            sampler_.peel(s, there, others, PlanSampler::levels_down);
        }
    }
    one_more(answer, now);
    return cost;
}

void AnswerExplorer::one_more(const SearchAnswer& answer, const std::vector<double>& now) {
    struct Promise {
        double rank;
        Item item;
        std::vector<std::size_t> unknown;
    };
    std::set<Item> useful;
    for (std::size_t s = 0; s < context_.statements.size(); ++s)
        if (context_.leads(s) && context_.room(s, now[s]) > context_.trifle())
            for (const CostCache::Plan& plan : cache_.plans(s))
                useful.insert(plan.used.begin(), plan.used.end());
    std::vector<Promise> promises;
    for (const Item item : useful) {
        if (context_.stopped())
            return;
        if (answer.present[item] != 0 || !context_.fits_alone(item))
            continue;
        Promise promise{0.0, item, {}};
        const std::vector<Item>& covered = context_.stand_ins.covered(item);
        const bool replaces = std::any_of(covered.begin(), covered.end(), [&](Item other) {
            return cache_.is_existing(other) && answer.present[other] != 0;
        });
        for (const std::size_t s : cache_.statements_of(item)) {
            if (!context_.leads(s) || (context_.room(s, now[s]) <= context_.trifle() && !replaces))
                continue;
            const Items set = instead(cache_.relevant(s, answer.present), item);
            if (!cache_.is_known(s, set)) {
                if (context_.told[s] != 0)
                    continue;
                promise.unknown.push_back(s);
                promise.rank += context_.room(s, now[s]);
            } else {
                promise.rank += context_.weight(s) * (now[s] - cache_.cost(s, set));
            }
        }
        if (promise.unknown.empty() || promise.rank <= context_.enough)
            continue;
        promise.rank /= std::max(context_.bytes(item), 8192.0);
        promises.push_back(std::move(promise));
    }
    std::stable_sort(promises.begin(), promises.end(),
                     [](const Promise& a, const Promise& b) { return a.rank > b.rank; });
    const std::uint64_t limit = cache_.computed() + 2 * context_.folding.leaders + 100;
    for (const Promise& promise : promises)
        for (const std::size_t s : promise.unknown) {
            if (cache_.computed() >= limit || context_.stopped())
                return;
            cache_.price(s, instead(cache_.relevant(s, answer.present), promise.item));
        }
}

AnswerExplorer::Items AnswerExplorer::instead(Items there, Item item) const {
    const std::vector<Item>& covered = context_.stand_ins.covered(item);
    std::erase_if(there, [&](Item other) { return std::find(covered.begin(), covered.end(), other) != covered.end(); });
    there.insert(std::lower_bound(there.begin(), there.end(), item), item);
    return there;
}

} // namespace citadel::advisor
