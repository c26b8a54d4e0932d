#include "advisor/smaller_indexes.hpp"

#include "advisor/selection_problem.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double no_dearer = 0.001; // of what the statements cost: that much for an index of no bytes at all
constexpr double rounding = 1e-9;
constexpr std::size_t most_tried = 4; // for one index

} // namespace

double SmallerIndexes::Allowed::with(double smaller) const {
    return total * (1.0 + rounding + no_dearer * (1.0 - smaller / bytes)) + byte_price * (bytes - smaller);
}

void SmallerIndexes::take(SearchAnswer& answer, double byte_price) {
    std::vector<Item> largest_first = answer.created;
    std::stable_sort(largest_first.begin(), largest_first.end(),
                     [&](Item a, Item b) { return context_.bytes(a) > context_.bytes(b); });
    for (const Item item : largest_first) {
        const std::vector<User> users = users_of(item, answer);
        const double total = std::accumulate(users.begin(), users.end(), 0.0, [&](double sum, const User& user) {
            return sum + context_.weight(user.statement) * user.cost;
        });
        const Allowed allowed{total, context_.bytes(item), byte_price};
        const std::vector<Item> smaller_ones = alternatives(item, users, answer, allowed);
        if (smaller_ones.empty())
            continue;
        const double written = write_cost_of(context_, cache_.relation(item), answer.present);
        for (const Item smaller : smaller_ones) {
            if (context_.stopped())
                return;
            CostCache::Set present = answer.present;
            present[item] = 0;
            present[smaller] = 1;
            const double more_written = write_cost_of(context_, cache_.relation(item), present) - written;
            if (!does_as_well(users, present, allowed.with(context_.bytes(smaller)) - more_written))
                continue;
            answer.present = std::move(present);
            std::replace(answer.created.begin(), answer.created.end(), item, smaller);
            break;
        }
    }
}

std::vector<SmallerIndexes::User> SmallerIndexes::users_of(Item item, const SearchAnswer& answer) {
    std::vector<User> users;
    for (const std::size_t s : cache_.statements_of(item)) {
        if (!context_.leads(s))
            continue;
        const CostCache::Items there = cache_.relevant(s, answer.present);
        if (!cache_.is_known(s, there))
            continue; // told from the plans of others: the search has no use for it
        const CostCache::Plan& plan = cache_.price(s, there);
        if (std::binary_search(plan.used.begin(), plan.used.end(), item))
            users.push_back({s, plan.cost});
    }
    return users;
}

std::vector<Item> SmallerIndexes::alternatives(Item item, const std::vector<User>& users, const SearchAnswer& answer,
                                               const Allowed& allowed) {
    std::map<Item, double> cheaper; // than without the index, all statements together
    double without = 0.0;
    for (const User& user : users) {
        const std::size_t s = user.statement;
        double least = infinity;     // with neither
        std::map<Item, double> with; // that one instead
        const auto look_at = [&](const std::vector<Item>& used, double cost) {
            Item instead = item;
            for (const Item needed : used)
                if (needed == item || answer.present[needed] == 0) {
                    if (needed == item || instead != item)
                        return;
                    instead = needed;
                }
            if (instead == item) {
                least = std::min(least, cost);
                return;
            }
            double& known = with.try_emplace(instead, cost).first->second;
            known = std::min(known, cost);
        };
        for (const CostCache::Plan& plan : cache_.plans(s))
            look_at(plan.used, plan.cost);
        for (const auto& [used, cost] : cache_.estimates(s))
            look_at(used, cost);
        // What a plan does not tell of its places is worth asking about where the key is a part of this one's.
        if (context_.told[s] == 0)
            for (const Item part : context_.stand_ins.covered(item))
                if (answer.present[part] == 0)
                    with[part] = std::min(user.cost, least);
        without += context_.weight(s) * least;
        for (const auto& [instead, cost] : with)
            cheaper[instead] += context_.weight(s) * std::max(least - cost, 0.0);
    }
    std::vector<Item> found;
    for (const auto& [instead, gained] : cheaper)
        if (!cache_.is_existing(instead) && cache_.relation(instead) == cache_.relation(item) &&
            context_.bytes(instead) < allowed.bytes && without - gained <= allowed.with(context_.bytes(instead)) &&
            takes_over(instead, item, answer))
            found.push_back(instead);
    std::stable_sort(found.begin(), found.end(), [&](Item a, Item b) { return context_.bytes(a) < context_.bytes(b); });
    if (found.size() > most_tried)
        found.resize(most_tried);
    return found;
}

// An existing index that goes for the sake of one that stands in for it needs another one that does.
bool SmallerIndexes::takes_over(Item smaller, Item item, const SearchAnswer& answer) const {
    const std::vector<Item>& its = context_.stand_ins.covered(smaller);
    return std::all_of(context_.stand_ins.covered(item).begin(), context_.stand_ins.covered(item).end(),
                       [&](Item covered) {
                           return !cache_.is_existing(covered) || answer.present[covered] != 0 ||
                                  std::find(its.begin(), its.end(), covered) != its.end();
                       });
}

bool SmallerIndexes::does_as_well(const std::vector<User>& users, const CostCache::Set& present, double most) {
    for (const User& user : users)
        most -= context_.weight(user.statement) * user.cost;
    for (const User& user : users) {
        if (context_.stopped())
            return false;
        const double cost = cache_.cost(user.statement, present);
        if (cost > context_.base[user.statement] * (1.0 + context_.rules.max_regression) && cost > user.cost)
            return false;
        most -= context_.weight(user.statement) * (cost - user.cost);
        if (most < 0.0)
            return false;
    }
    return true;
}

} // namespace citadel::advisor
