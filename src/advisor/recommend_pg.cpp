#include "advisor/recommend_pg.hpp"

#include "advisor/alternatives_pg.hpp"
#include "advisor/drops_pg.hpp"
#include "advisor/existing_indexes_pg.hpp"
#include "advisor/predicates_pg.hpp"
#include "advisor/progress_pg.hpp"
#include "advisor/wording_pg.hpp"

#include "pg/fault.hpp"
#include "pg/subtransaction.hpp"

#include <algorithm>
#include <chrono>

namespace citadel::advisor {

namespace {

// Statements whose load was measured share the planner cost of all of them in proportion to that load: what runs slower
// than the planner thinks counts for more.
void weigh(const std::vector<WorkloadStatement>& workload, const std::vector<std::size_t>& positions,
           PlannerCosts& costs) {
    std::vector<StatementUse>& uses = costs.uses();
    double load = 0.0;
    double planned = 0.0;
    std::vector<double> single(uses.size());
    for (std::size_t s = 0; s < uses.size(); ++s) {
        const WorkloadStatement& statement = workload[positions[s]];
        single[s] = std::max(costs.first_cost(s), 0.01);
        uses[s].weight = std::max(statement.calls, 0.0);
        if (statement.load_ms > 0.0) {
            load += statement.load_ms;
            planned += statement.calls * single[s];
        }
    }
    for (std::size_t s = 0; s < uses.size(); ++s)
        if (const double measured = workload[positions[s]].load_ms; measured > 0.0 && planned > 0.0)
            uses[s].weight = measured / load * planned / single[s];
}

// Without keeping the table locked. A table that went away meanwhile has none; nothing is recommended on it, because
// its statements cannot be planned any more.
std::vector<ExistingIndex> indexes_of(RelationId relation, PlannerCosts& costs) {
    std::vector<ExistingIndex> indexes;
    const std::optional<pg::Error> failure =
        pg::try_discarded_subtransaction([&] { indexes = existing_indexes(relation, costs.expressions()); });
    pg::rethrow_cancel(failure);
    return indexes;
}

// One call of recommend().
class Run {
  public:
    Run(const std::vector<WorkloadStatement>& workload, const AdviceRules& rules)
        : workload_(workload), rules_(rules), costs_(rules.writes), wording_(costs_) {}

    Advice advise() {
        analyse();
        share_predicates(costs_.uses(), costs_.expressions());
        weigh(workload_, positions_, costs_);
        read_indexes();
        pg::fault_point("advise analysed");
        const Selection selection = select();
        note(selection);
        recommend_steps(selection);
        for (const Drop& drop : selection.drops)
            recommend_drop(drop);
        note_withheld();
        advice_.planner_calls = costs_.planner_calls();
        return std::move(advice_);
    }

  private:
    bool out_of_time() const {
        return slot_.asked_to_stop() || (rules_.time_limit_ms && std::chrono::steady_clock::now() - started_ >
                                                                     std::chrono::milliseconds(*rules_.time_limit_ms));
    }

    void analyse() {
        for (std::size_t i = 0; i < workload_.size(); ++i) {
            slot_.analysing(i, workload_.size());
            if (out_of_time())
                advice_.skipped.push_back({i, "the time was up"});
            else if (const std::optional<std::string> reason = costs_.add(workload_[i]))
                advice_.skipped.push_back({i, *reason});
            else
                positions_.push_back(i);
        }
        advice_.examined = positions_.size();
        for (std::size_t i = 0; i < positions_.size(); ++i)
            advice_.examined_statements.push_back({positions_[i], costs_.notes(i), costs_.uses()[i].relations});
    }

    void read_indexes() {
        costs_.leave_role();
        for (const StatementUse& use : costs_.uses())
            for (const RelationUse& relation : use.relations)
                if (const auto [entry, is_new] = indexes_.try_emplace(relation.relation); is_new)
                    entry->second = indexes_of(relation.relation, costs_);
    }

    SelectionRules selection_rules() {
        SelectionRules rules;
        rules.candidates.max_key_columns = rules_.max_key_columns;
        rules.candidates.kinds = rules_.kinds;
        rules.max_indexes = rules_.max_indexes;
        if (rules_.budget_bytes)
            rules.budget_bytes = static_cast<std::uint64_t>(*rules_.budget_bytes);
        rules.consider_drops = rules_.consider_drops;
        if (rules_.consider_drops && standbys_exist()) {
            rules.consider_drops = false;
            advice_.drops_withheld = "a standby exists, and what its queries use is not known here";
        }
        rules.stop = [this] { return costs_.cancelled() || out_of_time(); };
        rules.progress = [this](const SelectionProgress& progress) {
            slot_.update(progress, costs_.planner_calls());
            if (progress.candidates > 0)
                pg::fault_point("advise searching");
        };
        return rules;
    }

    Selection select() {
        const ExistingIndexes existing = [this](RelationId relation) -> const std::vector<ExistingIndex>& {
            return indexes_.at(relation);
        };
        const SelectionRules rules = selection_rules();
        if (rules_.cancel_is_stop)
            costs_.take_cancel_as_stop();
        Selection selection = select_indexes(costs_.uses(), existing, costs_, rules);
        costs_.take_cancel_as_error();
        costs_.leave_role();
        return selection;
    }

    void note(const Selection& selection) {
        advice_.stopped = selection.stopped;
        advice_.write_cost = selection.write_cost;
        advice_.lower_bound = selection.lower_bound;
        if (selection.worst_hit)
            advice_.worst_hit = beneficiary(*selection.worst_hit);
        advice_.cost_before = selection.cost_before;
        advice_.cost_after = selection.cost_after;
        advice_.candidates = selection.candidates;
        advice_.budget_was_binding = selection.budget_was_binding;
    }

    Beneficiary beneficiary(const Helped& statement) const {
        return {positions_[statement.statement], statement.cost_before, statement.cost_after, {}, {}, false};
    }

    double gain(const Helped& statement) const {
        return costs_.uses()[statement.statement].weight * (statement.cost_before - statement.cost_after);
    }

    void recommend_steps(const Selection& selection) {
        std::vector<Candidate> chosen;
        std::vector<Candidate> before; // those that were chosen together count from the last of them on
        for (const Step& step : selection.steps) {
            recommend_step(step, before);
            chosen.push_back(step.index);
            if (chosen.size() == before.size() + 1 + step.together.size())
                before = chosen;
        }
    }

    void recommend_step(const Step& step, const std::vector<Candidate>& before) {
        Recommendation found;
        found.index = step.index;
        found.bytes = step.bytes;
        found.cost_before = step.cost_before;
        found.cost_after = step.cost_after;
        found.write_cost = step.write_cost;
        std::vector<Helped> helped = step.helped;
        std::stable_sort(helped.begin(), helped.end(),
                         [this](const Helped& a, const Helped& b) { return gain(a) > gain(b); });
        std::vector<const StatementUse*> uses;
        for (const Helped& statement : helped) {
            found.helped.push_back(beneficiary(statement));
            uses.push_back(&costs_.uses()[statement.statement]);
        }
        tell_shares(found, helped);
        if (rules_.evidence_statements > 0) {
            take_plans(found, helped, step, before);
            found.alternatives = alternatives(found.index, before, helped, costs_);
        }
        costs_.leave_role();
        if (unchanged([&] { wording_.word(found, step, uses); }))
            advice_.recommendations.push_back(std::move(found));
    }

    void tell_shares(Recommendation& found, const std::vector<Helped>& helped) const {
        double all = 0.0;
        double known = 0.0;
        double measured = 0.0;
        for (const Helped& one : helped) {
            const WorkloadStatement& statement = workload_[positions_[one.statement]];
            all += gain(one);
            if (!statement.known.empty() || statement.text.find('$') == std::string::npos)
                known += gain(one);
            if (statement.load_ms > 0.0)
                measured += gain(one);
        }
        found.known_values_share = all > 0.0 ? known / all : 0.0;
        found.measured_share = all > 0.0 ? measured / all : 0.0;
    }

    // Of the statements that it helps most.
    void take_plans(Recommendation& found, const std::vector<Helped>& helped, const Step& step,
                    const std::vector<Candidate>& before) {
        std::vector<Candidate> after = before;
        after.push_back(step.index);
        after.insert(after.end(), step.together.begin(), step.together.end());
        for (std::size_t i = 0; i < std::min(helped.size(), rules_.evidence_statements); ++i) {
            const PlannerCosts::Explained plan = costs_.explain(helped[i].statement, {after, {}});
            found.helped[i].plan_before = costs_.explain(helped[i].statement, {before, {}}).plan;
            found.helped[i].plan_after = plan.plan;
            found.helped[i].known_values = plan.known_values;
        }
    }

    void recommend_drop(const Drop& drop) {
        const auto& all = advice_.recommendations;
        if (std::any_of(all.begin(), all.end(), [&drop](const Recommendation& r) { return r.existing == drop.index; }))
            return; // said with the index that replaces it
        Recommendation found;
        found.action = Recommendation::Action::drop;
        found.existing = drop.index;
        found.bytes = drop.bytes;
        found.cost_before = advice_.cost_before;
        found.cost_after = advice_.cost_before + drop.cost_change;
        found.write_cost = -drop.write_saving;
        found.known_values_share = 1.0;
        found.measured_share = 1.0;
        bool there = false;
        if (unchanged([&] { there = wording_.word(found, drop, indexes_.at(drop.relation)); }) && there)
            advice_.recommendations.push_back(std::move(found));
    }

    void note_withheld() {
        for (const PlannerCosts::Withheld& index : costs_.withheld()) {
            WithheldIndex there{index.relation, index.function, index.code_of_others, {}};
            for (const std::size_t statement : index.statements)
                there.statements.push_back(positions_[statement]);
            advice_.withheld.push_back(std::move(there));
        }
    }

    // Runs `body` without keeping locks. False: its table was dropped or changed meanwhile.
    template <class Body>
    static bool unchanged(Body&& body) {
        const std::optional<pg::Error> failure = pg::try_discarded_subtransaction(std::forward<Body>(body));
        pg::rethrow_intervention(failure);
        return !failure;
    }

    const std::vector<WorkloadStatement>& workload_;
    const AdviceRules& rules_;
    Advice advice_;
    ProgressSlot slot_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
    PlannerCosts costs_;
    Wording wording_;
    std::vector<std::size_t> positions_; // of the examined statements in the workload
    std::map<RelationId, std::vector<ExistingIndex>> indexes_;
};

} // namespace

const char* action_name(Recommendation::Action action) {
    switch (action) {
    case Recommendation::Action::create:
        return "create";
    case Recommendation::Action::drop:
        return "drop";
    case Recommendation::Action::replace:
        return "replace";
    }
    return "";
}

Advice recommend(const std::vector<WorkloadStatement>& workload, const AdviceRules& rules) {
    return Run(workload, rules).advise();
}

} // namespace citadel::advisor
