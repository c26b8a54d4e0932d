#include "advisor/cost_cache.hpp"

#include <algorithm>
#include <limits>

namespace citadel::advisor {

namespace {

// The planner compares path costs with 1 % of tolerance, so a superset may come out dearer by a hair. Bounds that are
// as close as that are one number.
constexpr double same_cost = 1.0001;

bool there(const CostCache::Set& present, Item item) {
    return item < present.size() && present[item] != 0;
}

} // namespace

CostCache::CostCache(const std::vector<StatementUse>& statements, CostSource& source)
    : statements_(statements), source_(source), items_of_(statements.size()), plans_(statements.size()),
      floor_(statements.size(), std::numeric_limits<double>::infinity()) {
    for (std::size_t s = 0; s < statements.size(); ++s)
        for (const RelationUse& use : statements[s].relations) {
            std::vector<std::size_t>& on = statements_on_[use.relation];
            if (on.empty() || on.back() != s)
                on.push_back(s);
        }
}

Item CostCache::take(Entry entry, const Candidate* candidate) {
    const Item item = static_cast<Item>(items_.size());
    if (const auto found = statements_on_.find(entry.relation); found != statements_on_.end())
        for (const std::size_t s : found->second)
            if (candidate == nullptr || is_relevant(*candidate, statements_[s])) {
                entry.statements.push_back(s);
                items_of_[s].push_back(item);
            }
    items_.push_back(std::move(entry));
    return item;
}

Item CostCache::add(const Candidate& candidate) {
    if (const auto found = number_.find(candidate); found != number_.end())
        return found->second;
    const Item item = take(Entry{candidate, candidate.relation, 0, {}}, &candidate);
    number_.emplace(candidate, item);
    return item;
}

Item CostCache::add_existing(RelationId relation, IndexId id) {
    if (const auto found = number_of_existing_.find(id); found != number_of_existing_.end())
        return found->second;
    const Item item = take(Entry{Candidate{}, relation, id, {}}, nullptr);
    number_of_existing_.emplace(id, item);
    return item;
}

std::optional<Item> CostCache::find(const Candidate& candidate) const {
    const auto found = number_.find(candidate);
    return found == number_.end() ? std::nullopt : std::optional<Item>(found->second);
}

CostCache::Set CostCache::today() const {
    Set present(items_.size());
    for (Item item = 0; item < items_.size(); ++item)
        present[item] = is_existing(item) ? 1 : 0;
    return present;
}

std::vector<Item> CostCache::relevant(std::size_t statement, const Set& present) const {
    std::vector<Item> found;
    for (const Item item : items_of_[statement])
        if (there(present, item))
            found.push_back(item);
    return found;
}

Configuration CostCache::configuration(std::size_t statement, const Set& present) const {
    Configuration configuration;
    for (const Item item : items_of_[statement]) {
        if (is_existing(item) && !there(present, item))
            configuration.hidden.push_back(items_[item].existing);
        else if (!is_existing(item) && there(present, item))
            configuration.added.push_back(items_[item].candidate);
    }
    std::sort(configuration.added.begin(), configuration.added.end());
    std::sort(configuration.hidden.begin(), configuration.hidden.end());
    return configuration;
}

const CostCache::Plan* CostCache::known(std::size_t statement, const std::vector<Item>& offered,
                                        const Set& present) const {
    const Plan* possible = nullptr; // the cheapest whose indexes are all there: it costs at most that
    double at_least = 0.0;          // more on offer cost as much as that
    for (const Plan& plan : plans_[statement]) {
        const bool runs = std::all_of(plan.used.begin(), plan.used.end(), [&](Item i) { return there(present, i); });
        const bool had_all = std::includes(plan.offered.begin(), plan.offered.end(), offered.begin(), offered.end());
        if (runs && had_all)
            return &plan;
        if (runs && (possible == nullptr || plan.cost < possible->cost))
            possible = &plan;
        if (had_all)
            at_least = std::max(at_least, plan.cost);
    }
    return possible != nullptr && possible->cost <= at_least * same_cost ? possible : nullptr;
}

bool CostCache::is_known(std::size_t statement, const Set& present) {
    return known(statement, relevant(statement, present), present) != nullptr;
}

const CostCache::Plan& CostCache::price(std::size_t statement, const Set& present) {
    ++asked_;
    std::vector<Item> offered = relevant(statement, present);
    if (const Plan* plan = known(statement, offered, present))
        return *plan;
    ++computed_;
    const Priced priced = source_.price(statement, configuration(statement, present));
    Plan plan{priced.cost, {}, std::move(offered)};
    if (priced.knows_used) {
        for (const Candidate& candidate : priced.added)
            if (const auto found = number_.find(candidate); found != number_.end())
                plan.used.push_back(found->second);
        for (const IndexId id : priced.existing)
            if (const auto found = number_of_existing_.find(id); found != number_of_existing_.end())
                plan.used.push_back(found->second);
        std::sort(plan.used.begin(), plan.used.end());
        plan.used.erase(std::unique(plan.used.begin(), plan.used.end()), plan.used.end());
    } else {
        plan.used = plan.offered;
    }
    floor_[statement] = std::min(floor_[statement], plan.cost);
    plans_[statement].push_back(std::move(plan));
    return plans_[statement].back();
}

} // namespace citadel::advisor
