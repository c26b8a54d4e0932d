#include "advisor/cost_cache.hpp"

#include <algorithm>
#include <limits>

namespace citadel::advisor {

namespace {

// The planner compares path costs with 1 % of tolerance, so a superset may come out dearer by a hair. Bounds that are
// as close as that are one number.
constexpr double same_cost = 1.0001;

// Estimated plans that are told from one plan, and substitutes for each of its indexes, at most.
constexpr std::size_t most_estimates = 128;
constexpr std::size_t most_substitutes = 12;

// Is all of `part` in `whole`? Both are sorted. Mostly one of them is a few indexes and the other all that a statement
// could use, which grows with the workload.
bool has_all(const std::vector<Item>& whole, const std::vector<Item>& part) {
    if (part.size() * 8 > whole.size())
        return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
    auto from = whole.begin();
    for (const Item item : part) {
        from = std::lower_bound(from, whole.end(), item);
        if (from == whole.end() || *from != item)
            return false;
    }
    return true;
}

// One way to serve a place of a plan.
struct Choice {
    std::optional<Item> item; // none: the table is read through
    double change;            // of the plan's cost
    double bytes;
    bool first = false; // no other one is both cheaper and smaller
};

// Of choices in the order of cost, those come first than which none is both cheaper and smaller: of many that cost
// about the same, a budget has room for the small ones. What needs no index stays last.
void small_ones_first(std::vector<Choice>& choices) {
    const auto end = choices.end() - (!choices.empty() && !choices.back().item ? 1 : 0);
    double smallest = std::numeric_limits<double>::infinity();
    for (auto choice = choices.begin(); choice != end; ++choice) {
        choice->first = choice->bytes < smallest;
        smallest = std::min(smallest, choice->bytes);
    }
    std::stable_partition(choices.begin(), end, [](const Choice& choice) { return choice.first; });
}

} // namespace

CostCache::CostCache(const std::vector<StatementUse>& statements, CostSource& source)
    : statements_(statements), source_(source), items_of_(statements.size()), plans_(statements.size()),
      estimates_(statements.size()), floor_(statements.size(), std::numeric_limits<double>::infinity()) {
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
    const Item item = take(Entry{candidate, candidate.relation, 0, {}, -1.0}, &candidate);
    number_.emplace(candidate, item);
    return item;
}

Item CostCache::add_existing(RelationId relation, IndexId id) {
    if (const auto found = number_of_existing_.find(id); found != number_of_existing_.end())
        return found->second;
    const Item item = take(Entry{Candidate{}, relation, id, {}, -1.0}, nullptr);
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

CostCache::Items CostCache::relevant(std::size_t statement, const Set& present) const {
    Items found;
    for (const Item item : items_of_[statement])
        if (item < present.size() && present[item] != 0)
            found.push_back(item);
    return found;
}

CostCache::Items CostCache::today(std::size_t statement) const {
    Items found;
    for (const Item item : items_of_[statement])
        if (is_existing(item))
            found.push_back(item);
    return found;
}

Configuration CostCache::configuration(std::size_t statement, const Items& there) const {
    Configuration configuration;
    auto present = there.begin();
    for (const Item item : items_of_[statement]) {
        const bool is_there = present != there.end() && *present == item;
        if (is_there)
            ++present;
        if (is_existing(item) && !is_there)
            configuration.hidden.push_back(items_[item].existing);
        else if (!is_existing(item) && is_there)
            configuration.added.push_back(items_[item].candidate);
    }
    std::sort(configuration.added.begin(), configuration.added.end());
    std::sort(configuration.hidden.begin(), configuration.hidden.end());
    return configuration;
}

double CostCache::bytes(Item item) {
    Entry& entry = items_[item];
    if (entry.bytes < 0.0)
        entry.bytes = is_existing(item) ? 0.0 : static_cast<double>(source_.size(entry.candidate));
    return entry.bytes;
}

const CostCache::Plan* CostCache::known(std::size_t statement, const Items& there) const {
    const Plan* possible = nullptr; // the cheapest whose indexes are all there: it costs at most that
    double at_least = 0.0;          // more on offer cost as much as that
    for (const Plan& plan : plans_[statement]) {
        const bool runs = has_all(there, plan.used);
        if (!runs && plan.cost <= at_least)
            continue;
        const bool had_all = has_all(plan.offered, there);
        if (runs && had_all)
            return &plan;
        if (runs && (possible == nullptr || plan.cost < possible->cost))
            possible = &plan;
        if (had_all)
            at_least = std::max(at_least, plan.cost);
    }
    return possible != nullptr && possible->cost <= at_least * same_cost ? possible : nullptr;
}

const CostCache::Plan& CostCache::price(std::size_t statement, const Items& there) {
    ++asked_;
    if (const Plan* plan = known(statement, there))
        return *plan;
    ++computed_;
    const Configuration wanted = configuration(statement, there);
    const Priced priced = source_.price(statement, wanted);
    Plan plan{priced.cost, {}, there, {}};
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
    // What had these indexes on offer knows better than what was only told from other plans.
    for (auto& [used, cost] : estimates_[statement])
        if (cost < plan.cost && has_all(there, used))
            cost = plan.cost;
    estimate(statement, plan, priced, wanted);
    plans_[statement].push_back(std::move(plan));
    return plans_[statement].back();
}

std::vector<Item> CostCache::at_place_of(const Plan& plan, Item item) {
    std::vector<Item> all = {item};
    for (const auto& [used, others] : plan.substitutes)
        if (used == item)
            all.insert(all.end(), others.begin(), others.end());
    return all;
}

// All combinations of what can stand in the place of each index, the cheapest of each first if there are too many.
void CostCache::estimate(std::size_t statement, Plan& plan, const Priced& priced, const Configuration& configuration) {
    if (priced.substitutions.empty() || plans_[statement].empty())
        return;
    const double today = plans_[statement].front().cost;
    std::vector<std::vector<Choice>> places;
    std::vector<Item> fixed = plan.used;
    for (const Substitution& place : priced.substitutions) {
        const auto used = number_.find(configuration.added[place.added]);
        if (used == number_.end())
            continue;
        std::erase(fixed, used->second);
        std::vector<Choice> choices = {{used->second, 0.0, bytes(used->second)}};
        double without = std::numeric_limits<double>::infinity();
        std::vector<Item> others;
        for (const Substitute& other : place.others) {
            std::optional<Item> item;
            if (other.added) {
                if (const auto found = number_.find(configuration.added[*other.added]); found != number_.end())
                    item = found->second;
            } else if (other.existing != 0) {
                if (const auto found = number_of_existing_.find(other.existing); found != number_of_existing_.end())
                    item = found->second;
            }
            if (item)
                choices.push_back({item, other.change, bytes(*item)});
            if (item)
                others.push_back(*item);
            else if (!other.added)
                without = std::min(without, other.change);
        }
        plan.substitutes.emplace_back(used->second, std::move(others));
        if (without < today - plan.cost)
            choices.push_back({std::nullopt, without, 0.0});
        std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
            return a.change != b.change ? a.change < b.change : a.bytes < b.bytes;
        });
        // Nothing dearer than reading the table through.
        const auto none =
            std::find_if(choices.begin(), choices.end(), [](const Choice& choice) { return !choice.item; });
        choices.erase(none == choices.end() ? none : none + 1, choices.end());
        std::erase_if(choices, [&](const Choice& choice) { return plan.cost + choice.change >= today; });
        small_ones_first(choices);
        if (choices.size() > most_substitutes) {
            if (!choices.back().item)
                choices[most_substitutes - 1] = choices.back();
            choices.resize(most_substitutes);
        }
        places.push_back(std::move(choices));
    }
    for (;;) {
        std::size_t combinations = 1;
        std::size_t largest = 0;
        for (std::size_t i = 0; i < places.size(); ++i) {
            combinations *= places[i].size();
            if (places[i].size() > places[largest].size())
                largest = i;
        }
        if (places.empty() || combinations <= most_estimates)
            break;
        std::vector<Choice>& choices = places[largest];
        choices.erase(choices.end() - (choices.back().item ? 1 : 2));
    }
    std::vector<const Plan*> dearer;
    for (const Plan& other : plans_[statement])
        dearer.push_back(&other);
    dearer.push_back(&plan);
    const auto add = [&](std::vector<Item> used, double cost) {
        std::sort(used.begin(), used.end());
        used.erase(std::unique(used.begin(), used.end()), used.end());
        for (const Plan* other : dearer)
            if (cost < other->cost && has_all(other->offered, used))
                cost = other->cost;
        if (cost >= today)
            return;
        const auto [entry, is_new] = estimates_[statement].emplace(std::move(used), cost);
        if (!is_new)
            entry->second = std::min(entry->second, cost);
    };
    std::vector<std::size_t> at(places.size());
    for (bool more = !places.empty(); more;) {
        std::vector<Item> used = fixed;
        double cost = plan.cost;
        for (std::size_t i = 0; i < places.size(); ++i) {
            cost += places[i][at[i]].change;
            if (places[i][at[i]].item)
                used.push_back(*places[i][at[i]].item);
        }
        add(std::move(used), cost);
        more = false;
        for (std::size_t i = 0; i < at.size() && !more; ++i) {
            more = ++at[i] < places[i].size();
            if (!more)
                at[i] = 0;
        }
    }
}

} // namespace citadel::advisor
