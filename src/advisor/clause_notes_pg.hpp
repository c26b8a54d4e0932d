// Clauses that no index can serve as they are written, noted while the planner plans: columns wrapped in casts,
// functions or arithmetic, searches in the middle of a text, and how far OFFSET skips.
#pragma once

#include "advisor/findings.hpp"

#include "pg/server.hpp"

#include <string>
#include <vector>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// A clause of one table. Constants do not appear in `expression`.
struct ClauseNote {
    Oid relation = InvalidOid;
    AttrNumber column = InvalidAttrNumber;
    Wrapping wrapping = Wrapping::cast;
    bool join = false;
    double selectivity = 1.0;
    double rows = 0.0; // of the table
    std::string expression;
    std::string comparison;
    std::string column_type;
    std::string other_type;
    std::string index; // that begins with the column; qualified as needed, empty: none
    friend bool operator==(const ClauseNote&, const ClauseNote&) = default;
};

// What one statement told, over all its parameter regimes.
struct StatementNotes {
    std::vector<ClauseNote> clauses;
    double most_offset = 0.0; // 0: none, or not known
};

// While alive, planner calls of ours (Statement::plan) leave their notes here. Nests: an inner one replaces the outer.
class NoteCollector {
  public:
    NoteCollector();
    NoteCollector(const NoteCollector&) = delete;
    NoteCollector& operator=(const NoteCollector&) = delete;
    ~NoteCollector();

    const StatementNotes& notes() const { return notes_; }

    // For the hook.
    void note(PlannerInfo* root, RelOptInfo* relation, const RangeTblEntry* entry);

  private:
    NoteCollector* outer_;
    StatementNotes notes_;
};

// Adds what `more` knows and `notes` does not.
void merge(StatementNotes& notes, const StatementNotes& more);

// Installs the planner hook that feeds NoteCollector.
void install_clause_notes();

} // namespace citadel::advisor
