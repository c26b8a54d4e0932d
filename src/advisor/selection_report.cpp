#include "advisor/selection_report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

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

double SelectionReport::asked_cost(std::size_t statement, const Set& set) {
    if (may_ask_ || cache_.is_known(statement, set))
        return cache_.cost(statement, set);
    return known_cost(statement, set);
}

double SelectionReport::cost(std::size_t statement, const Set& set) {
    if (context_.leads(statement) || cache_.is_known(statement, set))
        return asked_cost(statement, set);
    const double last = asked_cost(statement, final_);
    const std::size_t leader = context_.folding.leader[statement];
    const double leader_last = asked_cost(leader, final_);
    const double way = context_.base[leader] - leader_last;
    if (std::abs(way) <= 1e-9 * context_.base[leader])
        return last;
    const double gone = (context_.base[leader] - asked_cost(leader, set)) / way;
    return context_.base[statement] + gone * (last - context_.base[statement]);
}

double SelectionReport::known_gain(const std::vector<Item>& items, Set& set, const std::vector<double>& now) const {
    std::set<std::size_t> touched;
    for (const Item item : items) {
        set[item] = 1;
        touched.insert(cache_.statements_of(item).begin(), cache_.statements_of(item).end());
    }
    double gain = 0.0;
    for (const std::size_t s : touched)
        if (context_.leads(s))
            gain += context_.weight(s) * std::max(now[s] - known_cost(s, set), 0.0);
    for (const Item item : items)
        set[item] = 0;
    return gain;
}

double SelectionReport::rank(const std::vector<Item>& items, double gain) const {
    double bytes = 0.0;
    for (const Item item : items)
        bytes += context_.bytes(item);
    return gain / std::max(bytes, 8192.0);
}

std::vector<Item> SelectionReport::together(const std::vector<char>& left, Set& set,
                                            const std::vector<double>& now) const {
    std::vector<Item> next;
    double best = 0.0;
    for (std::size_t s = 0; s < now.size(); ++s)
        for (const CostCache::Plan& plan : cache_.plans(s)) {
            if (plan.cost >= now[s] || !context_.leads(s))
                continue;
            std::vector<Item> missing;
            for (const Item item : plan.used)
                if (set[item] == 0)
                    missing.push_back(item);
            if (missing.size() < 2 || std::any_of(missing.begin(), missing.end(), [&](Item i) { return left[i] == 0; }))
                continue;
            if (const double ranks = rank(missing, known_gain(missing, set, now)); ranks > best) {
                best = ranks;
                next = missing;
            }
        }
    return next;
}

// The most gain a byte first. Where no index gains by itself, those that a statement's plan needs come together.
std::vector<std::vector<Item>> SelectionReport::ordered(const SearchAnswer& answer) const {
    Set set = cache_.today();
    std::vector<double> now(context_.statements.size());
    for (std::size_t s = 0; s < now.size(); ++s)
        now[s] = known_cost(s, set);
    std::vector<char> left(cache_.items());
    std::vector<double> ranks(cache_.items());
    std::set<std::pair<double, Item>> queue;
    const auto value = [&](Item item) {
        queue.erase({-ranks[item], item});
        ranks[item] = rank({item}, known_gain({item}, set, now));
        queue.insert({-ranks[item], item});
    };
    for (const Item item : answer.created) {
        left[item] = 1;
        value(item);
    }
    std::vector<std::vector<Item>> order;
    while (!queue.empty()) {
        std::vector<Item> next = {queue.begin()->second};
        if (ranks[next.front()] <= 0.0)
            if (std::vector<Item> several = together(left, set, now); !several.empty())
                next = std::move(several);
        std::set<std::size_t> touched;
        for (const Item item : next) {
            set[item] = 1;
            left[item] = 0;
            queue.erase({-ranks[item], item});
            touched.insert(cache_.statements_of(item).begin(), cache_.statements_of(item).end());
        }
        std::set<Item> stale;
        for (const std::size_t s : touched) {
            now[s] = known_cost(s, set);
            for (const Item item : cache_.items_of(s))
                if (left[item] != 0)
                    stale.insert(item);
        }
        for (const Item item : stale)
            value(item);
        order.push_back(std::move(next));
    }
    return order;
}

Configuration SelectionReport::changes(const std::vector<Item>& items, const Set& set) const {
    Configuration configuration;
    for (const Item item : items) {
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
    return context_.source.write_cost(relation, changes(concerned_on_[relation], set));
}

Step SelectionReport::step(Item item, const std::vector<Item>& group) {
    Step step;
    step.index = cache_.candidate(item);
    step.bytes = context_.source.size(step.index);
    for (const Item other : group)
        if (other != item)
            step.together.push_back(cache_.candidate(other));
    const RelationId relation = cache_.relation(item);
    step.write_cost = writes(relation, final_);
    final_[item] = 0;
    step.write_cost -= writes(relation, final_);
    final_[item] = 1;
    for (const Item covered : context_.stand_ins.covered(item))
        if (cache_.is_existing(covered) && final_[covered] == 0 && !context_.droppable.at(covered).freely)
            step.replaces.push_back(cache_.existing(covered));
    return step;
}

Drop SelectionReport::drop(Item item) {
    const DroppableIndex& droppable = context_.droppable.at(item);
    Drop drop;
    drop.index = droppable.index.id;
    drop.relation = cache_.relation(item);
    drop.bytes = droppable.index.bytes;
    drop.reason = droppable.reason;
    drop.covered_by = droppable.covered_by;
    if (!droppable.freely)
        for (const Item other : context_.stand_ins.covering(item)) {
            if (final_[other] == 0)
                continue;
            if (subsumes(droppable.as_candidate, context_.as_candidate(other)))
                drop.reason = DropReason::duplicate;
            if (cache_.is_existing(other))
                drop.covered_by = cache_.existing(other);
            else
                drop.covered_by_step = cache_.candidate(other);
            break;
        }
    for (const std::size_t s : cache_.statements_of(item))
        drop.cost_change += context_.statements[s].weight * cost(s, final_);
    drop.write_saving = -writes(drop.relation, final_);
    Set with = final_;
    with[item] = 1;
    drop.write_saving += writes(drop.relation, with);
    for (const std::size_t s : cache_.statements_of(item))
        drop.cost_change -= context_.statements[s].weight * cost(s, with);
    return drop;
}

Selection SelectionReport::make(const SearchAnswer& answer) {
    Selection selection;
    final_ = answer.present;
    final_.resize(cache_.items());
    for (Item item = 0; item < cache_.items(); ++item)
        if (final_[item] != 0 || cache_.is_existing(item)) {
            concerned_.push_back(item);
            concerned_on_[cache_.relation(item)].push_back(item);
        }
    Set set = cache_.today();
    std::vector<double> now = context_.base;
    double total = context_.initial;
    selection.cost_before = total;
    for (const std::vector<Item>& group : ordered(answer)) {
        std::set<std::size_t> touched;
        const auto flip = [&](Item item, bool there) {
            set[item] = there ? 1 : 0;
            touched.insert(cache_.statements_of(item).begin(), cache_.statements_of(item).end());
        };
        for (const Item item : group) {
            flip(item, true);
            for (const Item covered : context_.stand_ins.covered(item))
                if (cache_.is_existing(covered) && final_[covered] == 0 && set[covered] != 0 &&
                    !context_.droppable.at(covered).freely)
                    flip(covered, false);
        }
        const double before = total;
        std::vector<Helped> helped;
        for (const std::size_t s : touched) {
            const double after = cost(s, set);
            total += context_.statements[s].weight * (after - now[s]);
            if (after < now[s] * visibly_less)
                helped.push_back({s, now[s], after});
            now[s] = after;
        }
        for (const Item item : group) {
            Step made = step(item, group);
            made.cost_before = before;
            made.cost_after = total;
            made.helped = helped;
            selection.steps.push_back(std::move(made));
        }
    }
    finish(selection);
    selection.budget_was_binding = answer.budget_binding;
    return selection;
}

void SelectionReport::finish(Selection& selection) {
    const Configuration all = changes(concerned_, final_);
    double worst = 1.0 / visibly_less;
    for (std::size_t s = 0; s < context_.statements.size(); ++s) {
        const double weight = context_.statements[s].weight;
        const double after = cost(s, final_);
        selection.cost_after += weight * after;
        selection.lower_bound += weight * std::min(cache_.floor(s), after);
        const double old_cost = std::max(context_.base[s] + context_.source.statement_write_cost(s, {}), 1e-9);
        const double new_cost = after + context_.source.statement_write_cost(s, all);
        if (new_cost > old_cost * worst) {
            worst = new_cost / old_cost;
            selection.worst_hit = Helped{s, old_cost, new_cost};
        }
    }
    for (const auto& [relation, items] : concerned_on_)
        if (std::any_of(items.begin(), items.end(),
                        [&](Item item) { return (final_[item] != 0) != cache_.is_existing(item); }))
            selection.write_cost += writes(relation, final_);
    for (const auto& [item, droppable] : context_.droppable)
        if (final_[item] == 0)
            selection.drops.push_back(drop(item));
    selection.asked = cache_.asked();
    selection.computed = cache_.computed();
    selection.candidates = cache_.items() - context_.droppable.size();
}

} // namespace citadel::advisor
