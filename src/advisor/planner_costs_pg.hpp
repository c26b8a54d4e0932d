// Costs from the planner: the selection's CostSource over statements of a workload, each planned as its own user.
#pragma once

#include "advisor/clause_notes_pg.hpp"
#include "advisor/expressions_pg.hpp"
#include "advisor/others_code_pg.hpp"
#include "advisor/selection.hpp"
#include "advisor/statement_pg.hpp"
#include "advisor/what_if_pg.hpp"
#include "advisor/writes_pg.hpp"

#include "pg/role.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace citadel::advisor {

// Values that a statement once ran with.
struct KnownValues {
    std::vector<std::string> literals;             // source tokens, to put back into the normalised text
    std::vector<std::optional<std::string>> binds; // of $1, $2 ...; none: NULL
};

struct WorkloadStatement {
    std::string text;
    std::int64_t query_id = 0;
    Oid user = InvalidOid;                  // InvalidOid: the caller
    std::optional<std::string> search_path; // none: as it is
    double calls = 1.0;
    double load_ms = 0.0; // measured; 0: unknown, weighted by calls alone
    std::vector<KnownValues> known;
    bool truncated = false; // the text was too long to be kept whole
};

// The statements that could be analysed, in a row of their own: numbers here are positions in this list.
class PlannerCosts : public CostSource {
  public:
    // Rows written to each table in the time the workload stands for: what an index there costs. Where nothing was
    // counted, the workload's own writing statements say it.
    explicit PlannerCosts(std::map<RelationId, WriteRates> counted = {});
    PlannerCosts(const PlannerCosts&) = delete;
    PlannerCosts& operator=(const PlannerCosts&) = delete;
    ~PlannerCosts() override;

    // Analyses and plans the statement as its own user: generically (parameters unknown) and with each set of known
    // values. Returns why it cannot be examined, or nothing. The caller, too, must be allowed to read what it reads. An
    // error other than a cancel stays inside. No lock outlives a call of this class.
    std::optional<std::string> add(const WorkloadStatement& statement);

    const std::vector<StatementUse>& uses() const { return uses_; }
    std::vector<StatementUse>& uses() { return uses_; }
    std::uint64_t planner_calls() const { return planner_calls_; }

    // Mean over the parameter regimes of the statement; what any of their plans uses.
    Priced price(std::size_t statement, const Configuration& configuration) override;
    double cost(std::size_t statement, const Configuration& configuration) {
        return price(statement, configuration).cost;
    }
    // Of one execution, as it was planned when it was added: without any statistics of expressions.
    double first_cost(std::size_t statement) const { return entries_.at(statement).last_cost; }
    void prepare(const std::vector<Candidate>& candidates) override;
    std::uint64_t size(const Candidate& candidate) override;
    double write_cost(RelationId relation, const Configuration& configuration) override;
    double statement_write_cost(std::size_t statement, const Configuration& configuration) override;

    // A cancel (of the statement, or by its time limit) comes as an error until this is called. From then on it is
    // taken as the wish to settle for the best so far: nothing is planned any more, and `cancelled` says so.
    void take_cancel_as_stop() { cancel_stops_ = true; }
    bool cancelled() const { return cancelled_; }
    // From here on it is an error again.
    void take_cancel_as_error() { cancel_stops_ = false; }

    struct Explained {
        std::string plan; // EXPLAIN (FORMAT JSON), with constants as they are
        bool known_values = false;
    };
    Explained explain(std::size_t statement, const Configuration& configuration);

    const HypotheticalIndex& hypothetical(const Candidate& candidate);

    // An index that was not considered, because describing it would run code of somebody who does not own the table, or
    // (`code_of_others` false) because others than the owner read it.
    struct Withheld {
        RelationId relation = 0;
        std::string function; // qualified, with its arguments
        bool code_of_others = false;
        std::vector<std::size_t> statements; // that read the table
    };
    const std::vector<Withheld>& withheld() const { return withheld_; }

    // What the statements' expressions and predicates are, for as long as this lives.
    Expressions& expressions() { return expressions_; }

    // What planning the statement told beside its facts.
    const StatementNotes& notes(std::size_t statement) const { return entries_.at(statement).notes; }

    // Back to the caller's own role; before anything but costs is done.
    void leave_role();

  private:
    struct Variant {
        Statement statement;
        ParamListInfo parameters;
        bool known_values;
    };
    // What the server's triggers ask for each row that the statement deletes.
    struct ReferenceCheck {
        Statement statement;
        double times;
    };
    struct Entry {
        Oid user;
        std::optional<std::string> search_path;
        std::vector<Variant> variants;
        StatementNotes notes;
        std::vector<ReferenceCheck> checks;
        double last_cost = 0.0;
        int failures = 0; // of planning it, after the first time
    };
    class Role;

    void enter_role(const Entry& entry);
    // Raises 42501 when planning the statement as that user would run what others may have changed.
    void vet(const Statement& statement, Oid user) const;
    // Those that can be built, and where they stand in the list that was asked for.
    struct Resolved {
        std::vector<PreparedIndex*> indexes;
        std::vector<std::size_t> positions;
    };
    PreparedIndex* prepared(const Candidate& candidate);
    void enter_describing_role(const Candidate& candidate, const HypotheticalIndex& index);
    Resolved resolve(const std::vector<Candidate>& candidates);
    void analyse(const WorkloadStatement& statement, Entry& entry, StatementUse& use, std::vector<PlannedStmt*>& plans,
                 std::string& reason);

    void add_reference_checks(const std::vector<PlannedStmt*>& plans, Entry& entry, StatementUse& use);

    MemoryContext memory_; // the maker's: what lasts as long as this
    Expressions expressions_;
    WorkloadWrites writes_;
    std::vector<Entry> entries_;
    std::vector<StatementUse> uses_;
    IndexPool pool_;
    std::map<Candidate, PreparedIndex*> prepared_;
    std::vector<Withheld> withheld_;
    std::unique_ptr<Role> role_;
    std::optional<OthersCode> others_code_; // read when there is a statement of a superuser
    std::uint64_t planner_calls_ = 0;
    bool cancel_stops_ = false;
    bool cancelled_ = false;
};

} // namespace citadel::advisor
