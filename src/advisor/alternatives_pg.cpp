#include "advisor/alternatives_pg.hpp"

#include "advisor/index_definition_pg.hpp"
#include "pg/subtransaction.hpp"

#include <algorithm>

namespace citadel::advisor {

namespace {

constexpr std::size_t most_statements = 30;

// The first column alone, the same without INCLUDE, without the predicate, a plain B-tree of the same columns.
std::vector<Candidate> obvious_ones(const Candidate& index) {
    std::vector<Candidate> obvious;
    const auto add = [&](Candidate candidate) {
        if (candidate != index && std::find(obvious.begin(), obvious.end(), candidate) == obvious.end())
            obvious.push_back(std::move(candidate));
    };
    Candidate first = index;
    first.key.resize(1);
    first.included.clear();
    add(first);
    Candidate narrow = index;
    narrow.included.clear();
    add(narrow);
    Candidate whole = index;
    whole.predicate = 0;
    add(whole);
    if (index.method == AccessMethod::brin || index.method == AccessMethod::hash) {
        Candidate btree = index;
        btree.method = AccessMethod::btree;
        for (KeyColumn& column : btree.key)
            column.operator_class = 0;
        add(btree);
    }
    return obvious;
}

// Of what the index saves in the statements that it helps most, the share that `with` saves.
double share_of_gain(const Configuration& with, const std::vector<Helped>& helped, PlannerCosts& costs) {
    const std::size_t asked = std::min(helped.size(), most_statements);
    double gain = 0.0;
    double saved = 0.0;
    for (std::size_t i = 0; i < asked; ++i) {
        const double weight = costs.uses()[helped[i].statement].weight;
        gain += weight * (helped[i].cost_before - helped[i].cost_after);
        saved += weight * (helped[i].cost_before - costs.price(helped[i].statement, with).cost);
    }
    costs.leave_role();
    return gain > 0.0 ? std::clamp(saved / gain, 0.0, 1.0) : 0.0;
}

} // namespace

std::vector<Alternative> alternatives(const Candidate& index, const std::vector<Candidate>& before,
                                      const std::vector<Helped>& helped, PlannerCosts& costs) {
    std::vector<Alternative> found;
    for (const Candidate& candidate : obvious_ones(index)) {
        Configuration with{before, {}};
        with.added.push_back(candidate);
        std::sort(with.added.begin(), with.added.end());
        with.added.erase(std::unique(with.added.begin(), with.added.end()), with.added.end());
        Alternative alternative;
        alternative.share_of_gain = share_of_gain(with, helped, costs);
        const std::optional<pg::Error> failure = pg::try_discarded_subtransaction([&] {
            alternative.bytes = costs.size(candidate);
            HypotheticalIndex described = costs.hypothetical(candidate);
            described.name = choose_index_name(described);
            alternative.definition = create_index_statement(described);
        });
        pg::rethrow_intervention(failure);
        if (!failure)
            found.push_back(std::move(alternative));
    }
    return found;
}

} // namespace citadel::advisor
