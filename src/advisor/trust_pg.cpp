#include "advisor/trust_pg.hpp"

#include "advisor/table_sample_pg.hpp"

#include "pg/guard.hpp"
#include "pg/plan_tree.hpp"
#include "pg/text.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

// ---- Under one guard: plain data, no C++ objects.

struct Search {
    const OthersCode* code;
    bool found = false;
    Oid role = InvalidOid;     // whose it is, or
    Oid function = InvalidOid; // what may call others' code
    Oid relation = InvalidOid; // what may be planned with such a function
};

template <class Form>
Oid owner_in(int cache, Oid object, Oid Form::*owner) {
    HeapTuple tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
    if (!HeapTupleIsValid(tuple))
        return InvalidOid; // gone: planning will say so
    const Oid found = reinterpret_cast<Form*>(GETSTRUCT(tuple))->*owner;
    ReleaseSysCache(tuple);
    return found;
}

bool note(Oid owner, Search* search) {
    if (!OidIsValid(owner) || superuser_arg(owner))
        return false;
    search->found = true;
    search->role = owner;
    return true;
}

bool check_relation(Oid relation, Search* search) {
    if (note(owner_in(RELOID, relation, &FormData_pg_class::relowner), search))
        return true;
    const auto known = search->code->relations.find(relation);
    if (known == search->code->relations.end())
        return false;
    search->found = true;
    search->role = known->second;
    search->relation = relation;
    return true;
}

bool check_function(Oid function, void* context) {
    auto* search = static_cast<Search*>(context);
    if (note(owner_in(PROCOID, function, &FormData_pg_proc::proowner), search))
        return true;
    if (search->code->functions.find(function) == search->code->functions.end())
        return false;
    search->found = true;
    search->function = function;
    return true;
}

// Partitions and children are planned as well, and may have owners of their own.
bool check_table(const RangeTblEntry* entry, Search* search) {
    if (check_relation(entry->relid, search))
        return true;
    if (!entry->inh || !has_subclass(entry->relid))
        return false;
    const ListCell* cell;
    foreach (cell, find_all_inheritors(entry->relid, NoLock, nullptr))
        if (check_relation(lfirst_oid(cell), search))
            return true;
    return false;
}

bool walk(Node* node, void* context) {
    auto* search = static_cast<Search*>(context);
    if (node == nullptr)
        return false;
    if (IsA(node, Query)) {
        auto* query = reinterpret_cast<Query*>(node);
        const ListCell* cell;
        foreach (cell, query->rtable) {
            const auto* entry = lfirst_node(RangeTblEntry, cell);
            if (entry->rtekind == RTE_RELATION && check_table(entry, search))
                return true;
        }
        return pg::walk_query(query, walk, context);
    }
    if (check_functions_in_node(node, check_function, context))
        return true;
    return pg::walk_expression(node, walk, context);
}

} // namespace

std::string distrust(const Statement& statement, Oid role, const OthersCode& code) {
    Search search{&code};
    pg::guard([&] {
        if (!superuser_arg(role))
            return;
        const ListCell* cell;
        foreach (cell, statement.queries())
            if (walk(static_cast<Node*>(lfirst(cell)), &search))
                return;
    });
    // Binding a value runs the type's input function and the checks of a domain.
    for (const Oid type : statement.parameter_types())
        pg::guard([&] {
            if (!search.found && superuser_arg(role))
                note(owner_in(TYPEOID, type, &FormData_pg_type::typowner), &search);
        });
    if (!search.found)
        return {};
    if (OidIsValid(search.role)) {
        const char* name = pg::guard([&search] { return GetUserNameFromId(search.role, true); });
        return "its user is a superuser, and it uses what role " +
               (name == nullptr ? std::to_string(search.role) : pg::quote_identifier(name)) + " owns and may change";
    }
    const char* name = pg::guard([&search]() -> const char* {
        return OidIsValid(search.function) ? format_procedure_qualified(search.function) : nullptr;
    });
    return "its user is a superuser, and " +
           (name == nullptr ? "a function that " + pg::qualified_name(search.relation) + " depends on"
                            : "the function " + std::string(name)) +
           " may call what others own and may change";
}

Oid describing_role(Oid table, const std::vector<const Node*>& parts) {
    const Oid owner = pg::guard([table]() -> Oid {
        HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
        if (!HeapTupleIsValid(tuple))
            return InvalidOid;
        const auto* form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
        const bool plain = form->relkind == RELKIND_RELATION && !form->relispartition;
        const Oid found = plain && !superuser_arg(form->relowner) ? form->relowner : InvalidOid;
        ReleaseSysCache(tuple);
        return found;
    });
    if (!OidIsValid(owner))
        return InvalidOid;
    for (const Node* part : parts)
        if (part != nullptr && !calls_trusted_code_only(part, owner))
            return InvalidOid;
    return owner;
}

namespace {

bool find_untrusted(Node* node, void* found) {
    if (node == nullptr)
        return false;
    const auto note_untrusted = [](Oid function, void* context) {
        HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
        if (!HeapTupleIsValid(tuple))
            return false;
        const auto* form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
        const bool compiled = form->prolang == INTERNALlanguageId || form->prolang == ClanguageId;
        const bool untrusted = !compiled || !superuser_arg(form->proowner);
        ReleaseSysCache(tuple);
        if (untrusted)
            *static_cast<Oid*>(context) = function;
        return untrusted;
    };
    return check_functions_in_node(node, note_untrusted, found) || pg::walk_expression(node, find_untrusted, found);
}

} // namespace

std::string untrusted_function(const std::vector<const Node*>& parts) {
    for (const Node* part : parts) {
        auto* node = const_cast<Node*>(part);
        const char* name = pg::guard([node]() -> const char* {
            Oid found = InvalidOid;
            return find_untrusted(node, &found) ? format_procedure_qualified(found) : nullptr;
        });
        if (name != nullptr)
            return name;
    }
    return {};
}

} // namespace citadel::advisor
