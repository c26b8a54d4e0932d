#include "advisor/selection_report.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace citadel::advisor {

namespace {

// Less than that is no difference that anybody would see.
constexpr double visibly_less = 0.999;

} // namespace

double SelectionReport::known_cost(std::size_t statement, const Set& set) const {
    double best = std::numeric_limits<double>::infinity();
    for (const CostCache::Plan& plan : cache_.plans(statement))
        if (plan.cost < best &&
            std::all_of(plan.used.begin(), plan.used.end(), [&](Item i) { return i < set.size() && set[i] != 0; }))
            best = plan.cost;
    return best;
}

double SelectionReport::cost(std::size_t statement, const Set& set) {
    if (may_ask_ || cache_.is_known(statement, set))
        return cache_.cost(statement, set);
    return known_cost(statement, set);
}

double SelectionReport::known_gain(const std::vector<Item>& items, const Set& set,
                                   const std::vector<double>& now) const {
    Set with = set;
    std::set<std::size_t> touched;
    for (const Item item : items) {
        with[item] = 1;
        touched.insert(cache_.statements_of(item).begin(), cache_.statements_of(item).end());
    }
    double gain = 0.0;
    for (const std::size_t s : touched)
        gain += statements_[s].weight * std::max(now[s] - known_cost(s, with), 0.0);
    return gain;
}

// The most gain a byte first. Where no index gains by itself, those that a statement's plan needs come together.
std::vector<std::vector<Item>> SelectionReport::ordered(const SearchAnswer& answer, const Set& start) {
    std::vector<std::vector<Item>> order;
    Set set = start;
    std::vector<double> now(statements_.size());
    for (std::size_t s = 0; s < statements_.size(); ++s)
        now[s] = known_cost(s, set);
    std::vector<Item> left = answer.created;
    std::map<Item, double> gains;
    for (const Item item : left)
        gains[item] = known_gain({item}, set, now);
    while (!left.empty()) {
        std::vector<Item> next;
        double best = 0.0;
        const auto offer = [&](const std::vector<Item>& items, double gain) {
            double bytes = 0.0;
            for (const Item item : items)
                bytes += static_cast<double>(source_.size(cache_.candidate(item)));
            if (gain > 0.0 && gain / std::max(bytes, 8192.0) > best) {
                best = gain / std::max(bytes, 8192.0);
                next = items;
            }
        };
        for (const Item item : left)
            offer({item}, gains[item]);
        if (next.empty())
            for (std::size_t s = 0; s < statements_.size(); ++s)
                for (const CostCache::Plan& plan : cache_.plans(s)) {
                    if (plan.cost >= now[s])
                        continue;
                    std::vector<Item> missing;
                    for (const Item item : plan.used)
                        if (set[item] == 0)
                            missing.push_back(item);
                    if (missing.size() > 1 && std::all_of(missing.begin(), missing.end(), [&](Item i) {
                            return std::find(left.begin(), left.end(), i) != left.end();
                        }))
                        offer(missing, known_gain(missing, set, now));
                }
        if (next.empty())
            next = {left.front()};
        std::set<std::size_t> touched;
        for (const Item item : next) {
            set[item] = 1;
            left.erase(std::find(left.begin(), left.end(), item));
            touched.insert(cache_.statements_of(item).begin(), cache_.statements_of(item).end());
        }
        std::set<Item> stale;
        for (const std::size_t s : touched) {
            now[s] = known_cost(s, set);
            for (const Item item : cache_.items_of(s))
                if (gains.count(item) != 0)
                    stale.insert(item);
        }
        for (const Item item : stale)
            gains[item] = known_gain({item}, set, now);
        order.push_back(std::move(next));
    }
    return order;
}

const Candidate& SelectionReport::as_candidate(Item item) const {
    return cache_.is_existing(item) ? droppable_.at(item).as_candidate : cache_.candidate(item);
}

Configuration SelectionReport::changes(std::optional<RelationId> relation, const Set& set) const {
    Configuration configuration;
    for (Item item = 0; item < set.size(); ++item) {
        if (relation && cache_.relation(item) != *relation)
            continue;
        if (cache_.is_existing(item) && set[item] == 0)
            configuration.hidden.push_back(cache_.existing(item));
        else if (!cache_.is_existing(item) && set[item] != 0)
            configuration.added.push_back(cache_.candidate(item));
    }
    std::sort(configuration.added.begin(), configuration.added.end());
    std::sort(configuration.hidden.begin(), configuration.hidden.end());
    return configuration;
}

double SelectionReport::writes(RelationId relation, const Set& set) {
    return source_.write_cost(relation, changes(relation, set));
}

Step SelectionReport::step(Item item, const std::vector<Item>& group, const Set& final) {
    Step step;
    step.index = cache_.candidate(item);
    step.bytes = source_.size(step.index);
    for (const Item other : group)
        if (other != item)
            step.together.push_back(cache_.candidate(other));
    Set without = final;
    without[item] = 0;
    const RelationId relation = cache_.relation(item);
    step.write_cost = writes(relation, final) - writes(relation, without);
    for (const auto& [existing, droppable] : droppable_)
        if (final[existing] == 0 && !droppable.freely && subsumes(step.index, droppable.as_candidate))
            step.replaces.push_back(droppable.index.id);
    return step;
}

Drop SelectionReport::drop(Item item, const Set& final) {
    const DroppableIndex& droppable = droppable_.at(item);
    Drop drop;
    drop.index = droppable.index.id;
    drop.relation = cache_.relation(item);
    drop.bytes = droppable.index.bytes;
    drop.reason = droppable.reason;
    drop.covered_by = droppable.covered_by;
    if (!droppable.freely) {
        for (Item other = 0; other < final.size(); ++other) {
            if (other == item || final[other] == 0 || cache_.relation(other) != drop.relation ||
                !subsumes(as_candidate(other), droppable.as_candidate))
                continue;
            if (subsumes(droppable.as_candidate, as_candidate(other)))
                drop.reason = DropReason::duplicate;
            if (cache_.is_existing(other))
                drop.covered_by = cache_.existing(other);
            else
                drop.covered_by_step = cache_.candidate(other);
            break;
        }
    }
    Set with = final;
    with[item] = 1;
    drop.write_saving = writes(drop.relation, with) - writes(drop.relation, final);
    for (const std::size_t s : cache_.statements_of(item))
        drop.cost_change += statements_[s].weight * (cost(s, final) - cost(s, with));
    return drop;
}

Selection SelectionReport::make(const SearchAnswer& answer) {
    Selection selection;
    Set final = answer.present;
    final.resize(cache_.items());
    Set set = cache_.today();
    std::vector<double> now = base_;
    double total = 0.0;
    for (std::size_t s = 0; s < statements_.size(); ++s)
        total += statements_[s].weight * base_[s];
    selection.cost_before = total;
    for (const std::vector<Item>& group : ordered(answer, set)) {
        std::set<std::size_t> touched;
        for (const Item item : group) {
            set[item] = 1;
            touched.insert(cache_.statements_of(item).begin(), cache_.statements_of(item).end());
            for (const auto& [existing, droppable] : droppable_)
                if (final[existing] == 0 && set[existing] != 0 && !droppable.freely &&
                    subsumes(cache_.candidate(item), droppable.as_candidate)) {
                    set[existing] = 0;
                    touched.insert(cache_.statements_of(existing).begin(), cache_.statements_of(existing).end());
                }
        }
        const double before = total;
        std::vector<Helped> helped;
        for (const std::size_t s : touched) {
            const double after = cost(s, set);
            total += statements_[s].weight * (after - now[s]);
            if (after < now[s] * visibly_less)
                helped.push_back({s, now[s], after});
            now[s] = after;
        }
        for (const Item item : group) {
            Step made = step(item, group, final);
            made.cost_before = before;
            made.cost_after = total;
            made.helped = helped;
            selection.steps.push_back(std::move(made));
        }
    }
    selection.cost_after = 0.0;
    const Configuration all = changes(std::nullopt, final);
    double worst = 1.0 / visibly_less;
    for (std::size_t s = 0; s < statements_.size(); ++s) {
        const double after = cost(s, final);
        selection.cost_after += statements_[s].weight * after;
        selection.lower_bound += statements_[s].weight * std::min(cache_.floor(s), after);
        const double old_cost = std::max(base_[s] + source_.statement_write_cost(s, {}), 1e-9);
        const double new_cost = after + source_.statement_write_cost(s, all);
        if (new_cost > old_cost * worst) {
            worst = new_cost / old_cost;
            selection.worst_hit = Helped{s, old_cost, new_cost};
        }
    }
    std::set<RelationId> relations;
    for (Item item = 0; item < cache_.items(); ++item)
        if ((final[item] != 0) != cache_.is_existing(item))
            relations.insert(cache_.relation(item));
    for (const RelationId relation : relations)
        selection.write_cost += writes(relation, final);
    for (const auto& [item, droppable] : droppable_)
        if (final[item] == 0)
            selection.drops.push_back(drop(item, final));
    selection.asked = cache_.asked();
    selection.computed = cache_.computed();
    selection.candidates = cache_.items() - droppable_.size();
    selection.budget_was_binding = answer.budget_binding;
    return selection;
}

} // namespace citadel::advisor
