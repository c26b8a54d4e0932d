// One SQL statement, analysed once and planned many times.
#pragma once

#include "pg/server.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

extern "C" {
#include "nodes/params.h"
#include "nodes/plannodes.h"
}

namespace citadel::advisor {

// A parsed, analysed and rewritten statement in a memory context of its own. Analysis and each planning take the locks
// that planning needs; the caller may release them in between, by discarding the subtransaction that it called from.
// When a relation was changed meanwhile, planning analyses the text again. Needs an active snapshot. Not copied; lives
// at most as long as the transaction.
class Statement {
  public:
    // Called after each analysis, before anything is planned; raises when the statement must not be.
    using Vet = std::function<void(const Statement&)>;

    // Errors: the server's own for what does not parse or resolve, with the position inside `text`; 42601 for no or
    // several statements; 0A000 for a utility statement. The text's $n parameters get the types that the statement
    // implies.
    static Statement analyse(const std::string& text, Vet vet = {});
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&& other) noexcept;
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement();

    const std::vector<Oid>& parameter_types() const { return parameter_types_; }

    // Parameter values for planning, from their text forms (nullopt: NULL), in the current memory context. They count
    // as known: the planner folds them. 22023 when there are fewer than the statement has parameters. Runs the types'
    // input functions.
    ParamListInfo bind(const std::vector<std::optional<std::string>>& values) const;

    // Plans the statement in the current memory context. `parameters` nullptr: a generic plan, parameters stay unknown.
    // Rules may have made several queries of it, or none. The caller has armed hypothetical indexes, or not. 55000 when
    // a change gave the parameters other types.
    std::vector<PlannedStmt*> plan(ParamListInfo parameters);

    const std::string& text() const { return text_; }
    // The analysed and rewritten queries; they belong to the statement.
    const List* queries() const { return queries_; }

  private:
    Statement();
    void analyse_text();
    void lock_relations();

    // What the invalidation callback looks at.
    struct Watch;
    std::unique_ptr<Watch> watch_;
    Vet vet_;
    std::string text_;
    MemoryContext memory_ = nullptr;
    List* queries_ = nullptr;
    std::vector<Oid> parameter_types_;
};

// Sum of the plans' total costs, in the planner's unit.
double total_cost(const std::vector<PlannedStmt*>& plans);

// Raises 42501 unless the current user may read (or write) what the plans do: before anything of a plan is shown.
void check_permissions(const std::vector<PlannedStmt*>& plans);

// EXPLAIN (FORMAT JSON) of the plans, as a JSON array with one element each, in the server's form. Nothing is executed.
std::string explain_json(const std::vector<PlannedStmt*>& plans, const std::string& text, ParamListInfo parameters);

// The planner call of ours that is running, or nullptr. Planning runs functions, and those may plan statements of their
// own: only a PlannerInfo whose topmost parent plans this very query is ours.
const Query* query_being_planned();

} // namespace citadel::advisor
