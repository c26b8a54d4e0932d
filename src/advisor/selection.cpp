#include "advisor/selection.hpp"

#include "advisor/answer_explorer.hpp"
#include "advisor/plan_sampler.hpp"
#include "advisor/selection_context.hpp"
#include "advisor/selection_problem.hpp"
#include "advisor/selection_report.hpp"
#include "advisor/smaller_indexes.hpp"

#include <algorithm>
#include <limits>

namespace citadel::advisor {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t max_rounds = 6;

class Advisor {
  public:
    Advisor(const std::vector<StatementUse>& statements, const ExistingIndexes& existing, CostSource& source,
            const SelectionRules& rules)
        : context_(statements, existing, source, rules), sampler_(context_), explorer_(context_, sampler_) {}

    Selection run() {
        context_.offer_existing();
        context_.offer(candidates_for(context_.statements, context_.rules.candidates, context_.existing));
        price_base();
        const bool may_create = context_.rules.budget_bytes != std::uint64_t{0} && context_.rules.max_indexes != 0;
        if (may_create)
            fold_alike();
        without_existing();
        if (may_create)
            sample();
        refine();
        return report();
    }

  private:
    void price_base() {
        for (std::size_t s = 0; s < context_.statements.size(); ++s) {
            context_.base[s] = context_.cache.cost(s, context_.cache.today(s));
            context_.initial += context_.statements[s].weight * context_.base[s];
            notify(SelectionProgress::Phase::pricing, s);
        }
        context_.enough = context_.share_enough() * context_.initial;
    }

    // From here on one statement stands for all that are like it, at both ends: today, and with everything on offer.
    void fold_alike() {
        std::vector<BestPlan> best(context_.statements.size());
        for (std::size_t s = 0; s < context_.statements.size() && !context_.stopped(); ++s) {
            const CostCache::Plan& plan = context_.cache.price(s, sampler_.with_all(s));
            best[s] = {plan.cost, plan.used};
            notify(SelectionProgress::Phase::pricing, s);
        }
        if (!context_.stopped())
            context_.folding = fold(context_.statements, context_.base, best);
    }

    void without_existing() {
        for (std::size_t s = 0; s < context_.statements.size() && !context_.droppable.empty(); ++s)
            if (context_.leads(s))
                sampler_.without_existing(s);
    }

    void sample() {
        std::vector<std::pair<double, std::size_t>> order;
        for (std::size_t s = 0; s < context_.statements.size(); ++s)
            if (context_.leads(s))
                order.emplace_back(context_.room(s, context_.base[s]), s);
        std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
        sampler_.with_substitutes();
        std::size_t done = 0;
        for (const auto& [gain, s] : order) {
            if (context_.stopped() || gain <= context_.trifle())
                break;
            sampler_.sample(s);
            notify(SelectionProgress::Phase::searching, ++done);
        }
    }

    // Rounds of a quick search and of asking around its answer; then a thorough search over all that is known, whose
    // answer is asked about in turn. What counts in the end is what the planner said of the whole answer.
    void refine() {
        double byte_price = 0.0;
        answer_ = search_indexes(problem_of(context_, context_.enough, byte_price, false));
        SearchAnswer best;
        double best_cost = infinity;
        bool thorough = false;
        for (std::size_t round = 0; round < max_rounds && !context_.stopped(); ++round) {
            answer_.present.resize(context_.cache.items());
            context_.enough = context_.share_enough() * answer_.read_cost;
            const double searched_with = byte_price;
            byte_price = context_.rules.budget_bytes
                             ? 0.0
                             : context_.rules.space_price * answer_.read_cost / context_.table_bytes();
            const std::uint64_t computed = context_.cache.computed();
            explorer_.extend(answer_);
            double cost = explorer_.explore(answer_);
            double believed = answer_.objective;
            for (const Item item : answer_.created) { // the first search knew no price of space
                cost += (byte_price - searched_with) * context_.bytes(item);
                believed += (byte_price - searched_with) * context_.bytes(item);
            }
            answer_.present.resize(context_.cache.items());
            if (context_.stopped())
                break;
            const bool hardly = cost > best_cost * 0.9995;
            const bool confirmed = cost <= believed * 1.001;
            if (cost < best_cost) {
                best = answer_;
                best_cost = cost;
            }
            if (thorough && hardly && confirmed) // else it knows better now
                break;
            thorough = thorough || hardly || context_.cache.computed() == computed;
            SearchAnswer next =
                search_indexes(problem_of(context_, context_.enough, byte_price, thorough), &answer_.present);
            next.budget_binding = next.budget_binding || answer_.budget_binding;
            const bool same = next.present == answer_.present;
            answer_ = std::move(next);
            notify(SelectionProgress::Phase::refining, 0);
            if (same && thorough)
                break;
        }
        if (best_cost < infinity)
            answer_ = std::move(best);
        answer_.present.resize(context_.cache.items());
        SmallerIndexes(context_).take(answer_, byte_price);
    }

    Selection report() {
        SelectionReport report(context_, !context_.halted);
        Selection selection = report.make(answer_);
        selection.stopped = context_.halted;
        notify(SelectionProgress::Phase::reporting, context_.statements.size());
        return selection;
    }

    void notify(SelectionProgress::Phase phase, std::size_t done) {
        if (!context_.rules.progress)
            return;
        SelectionProgress progress;
        progress.phase = phase;
        progress.done = done;
        progress.statements = context_.statements.size();
        progress.candidates = context_.cache.items();
        progress.chosen = answer_.created.size();
        progress.cost_before = context_.initial;
        progress.cost_so_far = answer_.created.empty() ? context_.initial : answer_.read_cost;
        context_.rules.progress(progress);
    }

    SelectionContext context_;
    PlanSampler sampler_;
    AnswerExplorer explorer_;
    SearchAnswer answer_;
};

} // namespace

Selection select_indexes(const std::vector<StatementUse>& statements, const ExistingIndexes& existing,
                         CostSource& source, const SelectionRules& rules) {
    return Advisor(statements, existing, source, rules).run();
}

} // namespace citadel::advisor
