// What SearchSpace works out before the first step: plans in one row, which plan uses what, what plans need together.
#include "advisor/search_space.hpp"

#include <algorithm>
#include <utility>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

} // namespace

SearchSpace::SearchSpace(const SearchProblem& problem) : problem_(problem) {
    prepare_statements();
    prepare_items();
    prepare_bundles();
    order_used();
}

void SearchSpace::prepare_statements() {
    for (std::uint32_t s = 0; s < problem_.statements.size(); ++s) {
        std::vector<KnownPlan> plans = problem_.statements[s].plans;
        std::stable_sort(plans.begin(), plans.end(), [](const KnownPlan& a, const KnownPlan& b) {
            return a.cost != b.cost ? a.cost < b.cost : a.used.size() < b.used.size();
        });
        // What needs nothing ends the list: nothing dearer is ever taken.
        const auto last =
            std::find_if(plans.begin(), plans.end(), [](const KnownPlan& plan) { return plan.used.empty(); });
        if (last == plans.end())
            plans.push_back(KnownPlan{infinity, {}});
        else
            plans.erase(last + 1, plans.end());
        drop_dominated(plans);
        first_plan_.push_back(static_cast<std::uint32_t>(plans_.size()));
        for (const KnownPlan& plan : plans) {
            plans_.push_back({plan.cost, s, static_cast<std::uint32_t>(used_.size()), no_bundle});
            used_.insert(used_.end(), plan.used.begin(), plan.used.end());
        }
    }
    first_plan_.push_back(static_cast<std::uint32_t>(plans_.size()));
    plans_.push_back({infinity, 0, static_cast<std::uint32_t>(used_.size()), no_bundle});
    seen_.assign(problem_.statements.size(), 0);
    planned_.assign(problem_.statements.size(), 0);
}

void SearchSpace::drop_dominated(std::vector<KnownPlan>& plans) {
    struct Signed {
        std::uint64_t signature; // a bit for each item, several to a bit
        const std::vector<Item>* used;
    };
    std::vector<Signed> kept;
    std::vector<KnownPlan> left;
    left.reserve(plans.size()); // what is in it stays where it is
    for (KnownPlan& plan : plans) {
        std::uint64_t signature = 0;
        for (const Item item : plan.used)
            signature |= std::uint64_t{1} << (item % 64);
        if (std::any_of(kept.begin(), kept.end(), [&](const Signed& cheaper) {
                return (cheaper.signature & ~signature) == 0 &&
                       std::includes(plan.used.begin(), plan.used.end(), cheaper.used->begin(), cheaper.used->end());
            }))
            continue;
        left.push_back(std::move(plan));
        kept.push_back({signature, &left.back().used});
    }
    plans = std::move(left);
}

void SearchSpace::prepare_items() {
    const std::size_t count = problem_.items.size();
    uses_of_.resize(count);
    covering_.resize(count);
    std::vector<std::vector<std::uint32_t>> plans_of(count);
    for (std::uint32_t plan = 0; plan + 1 < plans_.size(); ++plan)
        for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
            plans_of[used_[u]].push_back(plan);
    for (Item i = 0; i < count; ++i)
        for (const std::uint32_t plan : plans_of[i]) {
            const auto end = static_cast<std::uint32_t>(using_plans_.size());
            if (uses_of_[i].empty() || uses_of_[i].back().statement != plans_[plan].statement)
                uses_of_[i].push_back({plans_[plan].statement, end, end});
            using_plans_.push_back(plan);
            ++uses_of_[i].back().end;
        }
    double bytes = 0.0;
    for (Item i = 0; i < count; ++i) {
        const SearchItem& item = problem_.items[i];
        if (!item.existing && !uses_of_[i].empty())
            bytes += item.bytes;
        if (item.group >= groups_.size())
            groups_.resize(item.group + 1);
        if (item.existing)
            existing_.push_back(i);
        if (item.existing || !uses_of_[i].empty())
            groups_[item.group].push_back(i);
        for (const Item covered : item.covered)
            covering_[covered].push_back(i);
    }
    space_is_short_ = bytes > problem_.budget_bytes;
    written_to_.assign(groups_.size(), 0);
    if (problem_.write_cost)
        for (std::uint32_t group = 0; group < groups_.size(); ++group)
            written_to_[group] =
                problem_.write_cost(group, groups_[group]) != 0.0 || problem_.write_cost(group, {}) != 0.0 ? 1 : 0;
}

void SearchSpace::prepare_bundles() {
    std::map<std::vector<Item>, std::vector<std::uint32_t>> bundles;
    bundles_of_item_.resize(problem_.items.size());
    for (std::uint32_t plan = 0; plan + 1 < plans_.size(); ++plan) {
        std::vector<Item> items;
        for (std::uint32_t u = plans_[plan].first_used; u < plans_[plan + 1].first_used; ++u)
            if (!problem_.items[used_[u]].existing)
                items.push_back(used_[u]);
        if (!items.empty())
            bundles[std::move(items)].push_back(plan);
    }
    for (auto& [items, plans] : bundles) {
        const auto b = static_cast<std::uint32_t>(bundles_.size());
        for (const std::uint32_t plan : plans)
            plans_[plan].bundle = b;
        for (const Item item : items)
            bundles_of_item_[item].push_back(b);
        bundles_.push_back(items);
        plans_of_bundle_.push_back(std::move(plans));
    }
    refreshed_mark_.assign(bundles_.size(), 0);
}

void SearchSpace::order_used() {
    for (std::size_t plan = 0; plan + 1 < plans_.size(); ++plan)
        std::sort(used_.begin() + plans_[plan].first_used, used_.begin() + plans_[plan + 1].first_used,
                  [&](Item a, Item b) {
                      const std::size_t uses_a = bundles_of_item_[a].size();
                      const std::size_t uses_b = bundles_of_item_[b].size();
                      return uses_a != uses_b ? uses_a < uses_b : a < b;
                  });
    suspected_.assign(problem_.items.size(), 0);
    differs_.assign(problem_.items.size(), 0);
}

} // namespace citadel::advisor
