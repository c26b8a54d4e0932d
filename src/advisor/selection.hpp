// Which indexes to create and which to drop, for a workload, under a budget.
#pragma once

#include "advisor/candidates.hpp"
#include "advisor/cost_cache.hpp"
#include "advisor/drops.hpp"
#include "advisor/model.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

namespace citadel::advisor {

// Where a selection stands; for whoever waits for it.
struct SelectionProgress {
    enum class Phase : std::uint8_t { pricing, searching, refining, reporting };
    Phase phase = Phase::pricing;
    std::size_t done = 0; // of the statements, in this phase
    std::size_t statements = 0;
    std::size_t candidates = 0;
    std::size_t chosen = 0;
    double cost_before = 0.0;
    double cost_so_far = 0.0;
};

struct SelectionRules {
    CandidateRules candidates;
    std::optional<std::uint64_t>
        budget_bytes; // for all created indexes together, without what drops free; none: no limit
    std::size_t max_indexes = std::numeric_limits<std::size_t>::max(); // created ones
    // What an index must gain at least, of the cost of the workload with the answer. None: a tenth of what a statement
    // costs on average, but no more than 1 %.
    std::optional<double> min_gain;
    // Without a budget: what an index as large as all tables of the workload must gain at least, of the cost of the
    // workload with the answer; smaller ones in proportion. With a budget the space is paid for.
    double space_price = 0.1;
    // A set under which a statement's plan costs more than this share above today's is refused. Index entries that a
    // statement writes do not count here, but against the gain.
    double max_regression = 0.1;
    bool consider_drops = false;
    std::function<bool()> stop;                             // true: settle for the best so far
    std::function<void(const SelectionProgress&)> progress; // called now and then
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
    double write_cost = 0.0; // what writes cost more with this index than without it, with the whole answer
    std::vector<Helped> helped;
    // Indexes that pay only together (both arms of an OR, both sides of a merge join) are chosen together: the figures
    // of each are those of all of them.
    std::vector<Candidate> together;
    // Existing indexes that go because this one does what they do.
    std::vector<IndexId> replaces;
};

struct Drop {
    IndexId index = 0;
    RelationId relation = 0;
    std::uint64_t bytes = 0;
    DropReason reason = DropReason::unused;
    IndexId covered_by = 0;                   // duplicate, redundant: by that existing index ...
    std::optional<Candidate> covered_by_step; // ... or by this one of the answer
    double write_saving = 0.0;
    double cost_change = 0.0; // of the workload's reads, weighted
};

struct Selection {
    std::vector<Step> steps; // in the order of choice
    std::vector<Drop> drops;
    double cost_before = 0.0; // of the workload's plans, weighted
    double cost_after = 0.0;
    double write_cost = 0.0;  // what writes cost more with the answer than today
    double lower_bound = 0.0; // no set of the indexes considered costs less to read with
    // The statement that gets worst by the answer, if any does; with what it spends on index entries.
    std::optional<Helped> worst_hit;
    std::uint64_t asked = 0;    // costs wanted
    std::uint64_t computed = 0; // of these, computed by the source; the rest was known
    std::size_t candidates = 0;
    bool budget_was_binding = false;
    bool stopped = false; // the best that was found until then
};

// Chooses indexes for the workload.
//
// Plans first, sets afterwards. A statement is planned with everything on offer, then with what remains when the
// indexes that it used are taken away, or when only smaller ones are left, table by table and all together: that gives
// its plans from the best down to today's, each with the indexes that it needs, and says of most candidates that they
// are good for nothing. The search over sets (search.hpp) asks for no cost. Its answer is then priced, the plans around
// it (one index more, one less, longer ones) as well, and the search repeated with what was learned, until nothing
// changes.
Selection select_indexes(const std::vector<StatementUse>& statements, const ExistingIndexes& existing,
                         CostSource& source, const SelectionRules& rules);

} // namespace citadel::advisor
