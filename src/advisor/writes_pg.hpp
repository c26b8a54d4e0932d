// The writes of a workload, and what indexes cost them.
#pragma once

#include "advisor/existing_indexes_pg.hpp"
#include "advisor/expressions_pg.hpp"
#include "advisor/model.hpp"
#include "advisor/write_cost.hpp"

#include <functional>
#include <map>
#include <vector>

namespace citadel::advisor {

// Rows written in each table over the last 7 days, as the snapshots counted them; partitions are counted for their
// root. An hour that brought more than half of the rows that the table holds now was a load, which will not come again
// with every week: its inserts do not count.
std::map<RelationId, WriteRates> measured_writes();

class WorkloadWrites {
  public:
    using Size = std::function<std::uint64_t(const Candidate&)>;

    WorkloadWrites(std::map<RelationId, WriteRates> counted, Expressions& expressions)
        : counted_(std::move(counted)), expressions_(expressions) {}

    // Takes in a statement of the workload that runs `calls` times.
    void add(const StatementUse& use, double calls);
    // What the writes of a table cost with these changes to its indexes, less what they cost today.
    double cost(RelationId relation, const Configuration& configuration, const Size& size);
    // What one execution of a statement spends on rows and index entries, beyond its plan.
    double statement_cost(const StatementUse& use, const Configuration& configuration, const Size& size);

  private:
    struct Table {
        TableWrites writes;
        std::vector<std::pair<IndexId, MaintainedIndex>> indexes; // that exist
        double today = 0.0;
    };
    Table& table(RelationId relation);
    MaintainedIndex maintained(const Candidate& candidate, std::uint64_t bytes) const;
    std::vector<MaintainedIndex> with(const Table& table, RelationId relation, const Configuration& configuration,
                                      const Size& size) const;

    std::map<RelationId, WriteRates> counted_;
    Expressions& expressions_;
    std::map<RelationId, TableWrites> from_texts_;
    std::map<RelationId, double> rows_;
    std::map<ExpressionId, double> shares_; // of a predicate
    std::map<RelationId, Table> tables_;
};

} // namespace citadel::advisor
