#include "advisor/plan_sampler.hpp"

#include <algorithm>
#include <iterator>
#include <map>

namespace citadel::advisor {

namespace {

constexpr int levels_smaller = 10;     // plans made by offering only smaller indexes
constexpr int levels_of_places = 2;    // plans made by serving a place in no way, and another one
constexpr std::size_t max_singles = 3; // of a plan that uses several indexes, each is tried alone when they are no more

using Items = CostCache::Items;

bool has(const Items& items, Item item) {
    return std::binary_search(items.begin(), items.end(), item);
}

Items without(Items items, const Items& these) {
    std::erase_if(items, [&](Item item) { return has(these, item); });
    return items;
}

Items joined(const Items& set, const Items& more) {
    Items all;
    std::set_union(set.begin(), set.end(), more.begin(), more.end(), std::back_inserter(all));
    return all;
}

} // namespace

Items PlanSampler::concerning(std::size_t s, const Items& items) const {
    Items mine;
    const Items& all = cache_.items_of(s);
    std::set_intersection(items.begin(), items.end(), all.begin(), all.end(), std::back_inserter(mine));
    return mine;
}

void PlanSampler::without_existing(std::size_t s) {
    Items set = cache_.today(s);
    while (!context_.stopped()) {
        Items used = cache_.price(s, set).used;
        std::erase_if(used, [&](Item i) { return !cache_.is_existing(i); });
        if (used.empty())
            return;
        if (used.size() > 1)
            for (const Item item : used)
                cache_.price(s, without(set, {item}));
        set = without(std::move(set), used);
    }
}

void PlanSampler::with_substitutes() {
    for (const auto& [item, droppable] : context_.droppable) {
        Items longer;
        for (const Item other : context_.stand_ins.covering(item))
            if (!cache_.is_existing(other))
                longer.push_back(other);
        if (longer.empty())
            continue;
        std::sort(longer.begin(), longer.end());
        for (const std::size_t s : cache_.statements_of(item)) {
            if (context_.stopped())
                return;
            const Items today = cache_.today(s);
            if (!context_.leads(s) || !has(cache_.price(s, today).used, item))
                continue;
            const Items set = without(today, {item});
            const Items mine = concerning(s, longer);
            peel(s, set, mine, levels_down);
            shrink(s, set, mine);
        }
    }
}

void PlanSampler::sample(std::size_t s) {
    std::map<RelationId, Items> by_relation;
    Items all;
    for (const Item item : cache_.items_of(s))
        if (!cache_.is_existing(item)) {
            by_relation[cache_.relation(item)].push_back(item);
            all.push_back(item);
        }
    if (tells_others(cache_.price(s, with_all(s)))) {
        context_.told[s] = 1;
        without_places(s, with_all(s), levels_of_places);
        return;
    }
    const Items today = cache_.today(s);
    peel(s, today, all, levels_down);
    shrink(s, today, all);
    if (by_relation.size() > 1)
        for (const auto& [relation, items] : by_relation) {
            peel(s, today, items, levels_down);
            shrink(s, today, items);
        }
    // Those that many statements can share, which longer and partial ones hide.
    Items plain = all;
    std::erase_if(plain,
                  [&](Item i) { return !cache_.candidate(i).included.empty() || cache_.candidate(i).predicate != 0; });
    if (plain.size() < all.size()) {
        peel(s, today, plain, levels_down);
        shrink(s, today, plain);
    }
    without_each(s, with_all(s));
}

bool PlanSampler::tells_others(const CostCache::Plan& plan) const {
    return std::all_of(plan.used.begin(), plan.used.end(), [&](Item item) {
        return cache_.is_existing(item) || std::any_of(plan.substitutes.begin(), plan.substitutes.end(),
                                                       [&](const auto& place) { return place.first == item; });
    });
}

void PlanSampler::peel(std::size_t s, const Items& set, Items offered, int levels) {
    const double before = cache_.cost(s, set);
    for (int level = 0; level < levels && !offered.empty() && !context_.stopped(); ++level) {
        const CostCache::Plan plan = cache_.price(s, joined(set, offered));
        const Items used = without(plan.used, set);
        if (used.empty() || context_.weight(s) * (before - plan.cost) <= context_.trifle())
            return;
        if (tells_others(plan))
            return;
        if (used.size() > 1 && used.size() <= max_singles)
            for (const Item item : used)
                cache_.price(s, joined(set, {item}));
        offered = without(std::move(offered), used);
    }
}

void PlanSampler::without_places(std::size_t s, const Items& set, int depth) {
    const CostCache::Plan plan = cache_.price(s, set);
    if (depth == 0)
        return;
    for (const Item item : plan.used) {
        if (context_.stopped())
            return;
        Items others = CostCache::at_place_of(plan, item);
        std::sort(others.begin(), others.end());
        without_places(s, without(set, others), depth - 1);
    }
}

void PlanSampler::shrink(std::size_t s, const Items& set, Items offered) {
    const double before = cache_.cost(s, set);
    for (int level = 0; level < levels_smaller && !offered.empty() && !context_.stopped(); ++level) {
        const CostCache::Plan plan = cache_.price(s, joined(set, offered));
        const Items used = without(plan.used, set);
        if (used.empty() || context_.weight(s) * (before - plan.cost) <= context_.trifle())
            return;
        double largest = 0.0;
        for (const Item item : used)
            largest = std::max(largest, context_.bytes(item));
        std::erase_if(offered, [&](Item i) { return context_.bytes(i) >= largest; });
    }
}

void PlanSampler::without_each(std::size_t s, const Items& set) {
    const Items used = cache_.price(s, set).used;
    if (used.size() < 2)
        return;
    for (const Item item : used) {
        if (context_.stopped())
            return;
        cache_.price(s, without(set, {item}));
    }
}

} // namespace citadel::advisor
