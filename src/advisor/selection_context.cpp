#include "advisor/selection_context.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace citadel::advisor {

void SelectionContext::offer_existing() {
    std::set<RelationId> read;
    for (const StatementUse& statement : statements)
        for (const RelationUse& use : statement.relations)
            read.insert(use.relation);
    for (const RelationId relation : read) {
        groups.emplace(relation, static_cast<std::uint32_t>(relations.size()));
        relations.push_back(relation);
        if (!rules.consider_drops)
            continue;
        for (DroppableIndex& index : droppable_indexes(relation, existing(relation))) {
            const Item item = cache.add_existing(relation, index.index.id);
            stand_ins.add(index.as_candidate);
            droppable.emplace(item, std::move(index));
            droppable_on_[relation].push_back(item);
        }
    }
}

std::vector<Item> SelectionContext::offer(const std::vector<Candidate>& candidates) {
    source.prepare(candidates);
    std::vector<Item> fresh;
    for (const Candidate& candidate : candidates) {
        if (cache.find(candidate))
            continue;
        if (rules.budget_bytes && source.size(candidate) > *rules.budget_bytes)
            continue;
        fresh.push_back(cache.add(candidate));
        stand_ins.add(candidate);
    }
    return fresh;
}

double SelectionContext::table_bytes() const {
    std::map<RelationId, double> pages;
    for (const StatementUse& statement : statements)
        for (const RelationUse& use : statement.relations)
            pages[use.relation] = std::max(pages[use.relation], use.pages);
    double bytes = 0.0;
    for (const auto& [relation, count] : pages)
        bytes += 8192.0 * count;
    if (bytes <= 0.0)
        return std::numeric_limits<double>::infinity();
    return bytes;
}

double SelectionContext::share_enough() const {
    if (rules.min_gain)
        return *rules.min_gain;
    return std::min(0.01, 0.1 / static_cast<double>(std::max<std::size_t>(statements.size(), 1)));
}

const std::vector<Item>& SelectionContext::droppable_on(RelationId relation) const {
    static const std::vector<Item> none;
    const auto found = droppable_on_.find(relation);
    return found == droppable_on_.end() ? none : found->second;
}

} // namespace citadel::advisor
