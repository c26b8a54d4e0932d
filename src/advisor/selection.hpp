// Which of the candidates to create: greedy by gain per byte, with exact costs asked for only where they can matter.
#pragma once

#include "advisor/candidates.hpp"
#include "advisor/model.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace citadel::advisor {

// Where costs come from: the what-if engine, or a table in a test. `configuration` holds the indexes that exist on top
// of the real ones, sorted, and only those which concern the statement.
class CostSource {
  public:
    virtual ~CostSource() = default;
    virtual double cost(std::size_t statement, const std::vector<Candidate>& configuration) = 0;
    // Bytes on disk.
    virtual std::uint64_t size(const Candidate& candidate) = 0;
    // The indexes of a configuration that the statement's plan uses; none when the source cannot tell.
    virtual std::vector<Candidate> used(std::size_t, const std::vector<Candidate>&) { return {}; }
    // What keeping the index costs over the same workload, in the same unit as `cost` times weight. None yet by
    // default.
    virtual double write_cost(const Candidate&) { return 0.0; }
};

struct SelectionRules {
    CandidateRules candidates;
    std::optional<std::uint64_t> budget_bytes; // none: no limit
    double min_gain = 0.003;                   // of the cost of the whole workload, for an index to be worth having
    std::size_t max_indexes = 64;
};

// What one statement gets from one step.
struct Helped {
    std::size_t statement = 0;
    double cost_before = 0.0; // of one execution
    double cost_after = 0.0;
};

struct Step {
    Candidate index;
    std::uint64_t bytes = 0;
    double cost_before = 0.0; // of the workload, weighted, before and after this step
    double cost_after = 0.0;
    double write_cost = 0.0;
    std::vector<Helped> helped;
    // Indexes that pay only together (both arms of an OR, both sides of a merge join) are chosen together: the figures
    // of each are those of all of them.
    std::vector<Candidate> together;
};

struct Selection {
    std::vector<Step> steps; // in the order of choice
    double cost_before = 0.0;
    double cost_after = 0.0;
    std::uint64_t asked = 0;    // costs wanted
    std::uint64_t computed = 0; // of these, computed by the source; the rest came from the cache
    std::size_t candidates = 0;
    bool budget_was_binding = false;
};

// Costs by (statement, the indexes that concern it). Nothing is computed twice.
class CostCache {
  public:
    CostCache(const std::vector<StatementUse>& statements, CostSource& source)
        : statements_(statements), source_(source) {}
    double cost(std::size_t statement, const std::vector<Candidate>& configuration);
    std::uint64_t asked() const { return asked_; }
    std::uint64_t computed() const { return computed_; }

  private:
    const std::vector<StatementUse>& statements_;
    CostSource& source_;
    std::map<std::pair<std::size_t, std::vector<Candidate>>, double> known_;
    std::uint64_t asked_ = 0;
    std::uint64_t computed_ = 0;
};

// Chooses indexes for the workload.
//
// Greedy by gain per byte (Valentin et al., DB2Advis; Schlosser et al., Extend), where each step either adds a
// candidate or replaces chosen indexes by one that starts with their columns. The gain of a candidate is bounded from
// above by what its statements would gain if they had every candidate at once (one call a statement); only a candidate
// whose bound leads the field has its costs asked, its most promising statement first, so the choice is that of plain
// greedy with a fraction of the calls. Statements a candidate cannot touch are never asked. When the budget cut
// something off, greedy by plain gain is tried as well and the better answer kept. What later choices made useless is
// dropped at the end.
Selection select_indexes(const std::vector<StatementUse>& statements, const ExistingIndexes& existing,
                         CostSource& source, const SelectionRules& rules);

} // namespace citadel::advisor
