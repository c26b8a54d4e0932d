// Whose code planning a statement would run.
#pragma once

#include "advisor/others_code_pg.hpp"
#include "advisor/statement_pg.hpp"

#include <string>
#include <vector>

namespace citadel::advisor {

// Planning folds immutable functions, and predicates and expressions of indexes. Who owns them may have changed them
// since the statement ran: planning it again as its user would run their code with his rights. For a statement of a
// superuser that is never worth it: returns the reason when somebody who is none owns a table, function or type that
// it uses, or code that is run when one of its tables is planned, or may be called by a function in it; empty when
// there is nobody, or when `role` is no superuser. To be asked before parameters are bound.
std::string distrust(const Statement& statement, Oid role, const OthersCode& code);

// Describing an index folds the constants of its expressions and predicate, which may run code of others than
// superusers. Only the role that owns the table and all of that code may describe it then, as it could create the
// index: returns that role, InvalidOid when there is none, or when it is a superuser. Not for partitions and
// partitioned tables, whose indexes are described for tables of other owners too.
Oid describing_role(Oid table, const std::vector<const Node*>& parts);

// The first function in the expressions that calls_trusted_code_only() does not take, as regprocedure writes it; empty:
// it is no function (a domain).
std::string untrusted_function(const std::vector<const Node*>& parts);

} // namespace citadel::advisor
