// CREATE INDEX as text: read for what-if, written for recommendations.
#pragma once

#include "advisor/expressions_pg.hpp"
#include "advisor/model.hpp"
#include "advisor/what_if_pg.hpp"

#include <string>

namespace citadel::advisor {

// Reads one CREATE INDEX statement (CONCURRENTLY, IF NOT EXISTS and ONLY are allowed and mean nothing here) and
// resolves it as the server would; expressions are made in the current memory context. Errors: 42601 for anything else
// than one CREATE INDEX; 42P01 / 42703 for an unknown table or column; 42809 for a relation that check_indexable()
// refuses; 0A000 for other access methods than B-tree, hash, BRIN, GIN and GiST and for what a method cannot do; 42P17
// for functions that are not immutable; the server's own for operator classes, collations and options.
HypotheticalIndex parse_index_definition(const std::string& definition);

// The index that the candidate stands for, resolved as CREATE INDEX would. Its expressions belong to the registry; it
// has no name yet.
HypotheticalIndex hypothetical_index(const Candidate& candidate, const Expressions& expressions);

// The CREATE INDEX statement that builds the index, names qualified and quoted where needed, so that it means the same
// under any search_path; CONCURRENTLY where the server allows it (not on a partitioned table).
std::string create_index_statement(const HypotheticalIndex& index);

// `table_column_..._idx`, cut to the server's name length, and different from every name in the table's schema.
std::string choose_index_name(const HypotheticalIndex& index);

} // namespace citadel::advisor
