#include "advisor/selection_problem.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace citadel::advisor {

namespace {

// What `present` (of one relation, sorted) means to that relation's indexes.
Configuration changes(const SelectionContext& context, RelationId relation, const std::vector<Item>& present) {
    Configuration configuration;
    for (const Item item : present)
        if (!context.cache.is_existing(item))
            configuration.added.push_back(context.cache.candidate(item));
    for (const Item item : context.droppable_on(relation))
        if (!std::binary_search(present.begin(), present.end(), item))
            configuration.hidden.push_back(context.cache.existing(item));
    std::sort(configuration.added.begin(), configuration.added.end());
    std::sort(configuration.hidden.begin(), configuration.hidden.end());
    return configuration;
}

} // namespace

SearchProblem problem_of(SelectionContext& context, double charge, double byte_price, bool thorough) {
    const CostCache& cache = context.cache;
    SearchProblem problem;
    problem.charge = charge;
    problem.byte_price = byte_price;
    problem.thorough = thorough;
    if (context.rules.budget_bytes)
        problem.budget_bytes = static_cast<double>(*context.rules.budget_bytes);
    problem.max_created = context.rules.max_indexes;
    problem.stop = context.rules.stop;
    std::vector<char> wanted(cache.items());
    for (std::size_t s = 0; s < context.statements.size(); ++s) {
        if (!context.leads(s))
            continue;
        SearchStatement statement;
        statement.weight = context.weight(s);
        statement.limit = context.base[s] * (1.0 + context.rules.max_regression);
        const auto add = [&](const std::vector<Item>& used, double cost) {
            statement.plans.push_back({cost, used});
            for (const Item item : used)
                wanted[item] = 1;
        };
        for (const CostCache::Plan& plan : cache.plans(s))
            add(plan.used, plan.cost);
        statement.no_more_known = std::exchange(context.searched[s], cache.plans(s).size()) == cache.plans(s).size();
        for (const auto& [used, cost] : cache.estimates(s))
            add(used, cost);
        problem.statements.push_back(std::move(statement));
    }
    problem.items.resize(cache.items());
    for (Item item = 0; item < cache.items(); ++item) {
        SearchItem& entry = problem.items[item];
        entry.group = context.groups.at(cache.relation(item));
        entry.existing = cache.is_existing(item);
        if (entry.existing)
            entry.unused = context.droppable.at(item).freely;
        if (!entry.existing && wanted[item] == 0)
            continue; // no plan wants it: its size is nobody's business
        entry.bytes = context.bytes(item);
        for (const Item covered : context.stand_ins.covered(item))
            if (cache.is_existing(covered) || wanted[covered] != 0)
                entry.covered.push_back(covered);
    }
    problem.write_cost = [&context](std::uint32_t group, const std::vector<Item>& present) {
        const RelationId relation = context.relations[group];
        return context.source.write_cost(relation, changes(context, relation, present));
    };
    return problem;
}

double write_cost_of(SelectionContext& context, RelationId relation, const CostCache::Set& present) {
    std::vector<Item> there;
    for (Item item = 0; item < present.size(); ++item)
        if (present[item] != 0 && context.cache.relation(item) == relation)
            there.push_back(item);
    return context.source.write_cost(relation, changes(context, relation, there));
}

} // namespace citadel::advisor
