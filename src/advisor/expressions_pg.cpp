#include "advisor/expressions_pg.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "pg/path.hpp"
#include "pg/plan_tree.hpp"
#include "pg/text.hpp"

#include <algorithm>

extern "C" {
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
}

namespace citadel::advisor {

namespace {

struct Inspection {
    Index variable;
    int variables = 0;
    bool foreign = false; // something that an index expression cannot hold
};

// Checks what may stand in an index expression, and brings Vars into the form that the catalogues store.
bool inspect(Node* node, void* context) {
    auto* found = static_cast<Inspection*>(context);
    if (node == nullptr)
        return false;
    switch (nodeTag(node)) {
    case T_Var: {
        Var* var = reinterpret_cast<Var*>(node);
        if (static_cast<Index>(var->varno) != found->variable || var->varlevelsup != 0 || var->varattno <= 0) {
            found->foreign = true;
            return true;
        }
        pg::make_catalogue_var(var);
        ++found->variables;
        return false;
    }
    case T_Param:
    case T_Aggref:
    case T_GroupingFunc:
    case T_WindowFunc:
    case T_SubLink:
    case T_SubPlan:
    case T_AlternativeSubPlan:
    case T_PlaceHolderVar:
    case T_CurrentOfExpr:
    case T_NextValueExpr:
    case T_RestrictInfo:
        found->foreign = true;
        return true;
    default:
        return pg::walk_expression(node, inspect, context);
    }
}

// The tree in catalogue form, or nullptr when no index can be built on it.
Node* indexable_copy(const Node* node, Index variable) {
    Node* copy = static_cast<Node*>(copyObjectImpl(node));
    Inspection found{variable};
    (void)inspect(copy, &found);
    if (found.foreign || found.variables == 0 || expression_returns_set(copy) || contain_mutable_functions(copy))
        return nullptr;
    return copy;
}

const char* deparse(const Node* node, Oid relation) {
    const char* name = get_rel_name(relation);
    if (name == nullptr)
        return "";
    return deparse_expression(const_cast<Node*>(node), deparse_context_for(name, relation), false, false);
}

List* implicit_and(const Node* node) {
    return make_ands_implicit(reinterpret_cast<Expr*>(copyObjectImpl(node)));
}

} // namespace

Expressions::Expressions()
    : memory_(AllocSetContextCreate(CurrentMemoryContext, "citadel_opt expressions", ALLOCSET_DEFAULT_SIZES)) {}

Expressions::~Expressions() {
    MemoryContextDelete(memory_);
}

ExpressionId Expressions::intern(const Node* node, Oid relation, Index variable) {
    const pg::MemorySwitch lasting(memory_);
    const Node* copy = pg::guard([=] { return indexable_copy(node, variable); });
    if (copy == nullptr)
        return 0;
    const auto [begin, end] = by_relation_.equal_range(relation);
    for (auto known = begin; known != end; ++known) {
        const Node* other = at(known->second).node;
        if (pg::guard([=] { return equal(copy, other); }))
            return at(known->second).sql.empty() ? 0 : known->second;
    }
    Entry entry;
    entry.node = copy;
    entry.relation = relation;
    // Under a pinned search_path, so that the text means the same to whoever runs it. An error ends the
    // (sub)transaction, and the setting with it.
    const int level = pg::pin_search_path();
    entry.sql = pg::guard([=] { return deparse(copy, relation); });
    pg::unpin_search_path(level);
    if (entry.sql.size() > longest)
        entry.sql.clear();
    pg::guard([&] {
        entry.type = exprType(copy);
        entry.type_modifier = exprTypmod(copy);
        entry.collation = exprCollation(copy);
    });
    Bitmapset* columns = nullptr;
    pg::guard([&] { pull_varattnos(const_cast<Node*>(copy), 1, &columns); });
    for (int member = bms_next_member(columns, -1); member >= 0; member = bms_next_member(columns, member))
        entry.columns.push_back(static_cast<ColumnNumber>(member + FirstLowInvalidHeapAttributeNumber));
    const bool usable = !entry.sql.empty();
    entries_.push_back(std::move(entry));
    const auto id = static_cast<ExpressionId>(entries_.size());
    by_relation_.emplace(relation, id);
    return usable ? id : 0;
}

ExpressionId Expressions::conjunction(std::vector<ExpressionId> predicates) {
    std::sort(predicates.begin(), predicates.end());
    predicates.erase(std::unique(predicates.begin(), predicates.end()), predicates.end());
    if (predicates.size() < 2)
        return predicates.empty() ? 0 : predicates.front();
    List* all = NIL;
    for (const ExpressionId id : predicates) {
        const Node* one = node(id);
        pg::guard([&] { all = list_concat(all, implicit_and(one)); });
    }
    const Node* both = pg::guard([&] { return reinterpret_cast<Node*>(make_ands_explicit(all)); });
    return intern(both, relation(predicates.front()));
}

bool Expressions::implied(ExpressionId predicate, const std::vector<ExpressionId>& holding) const {
    if (std::find(holding.begin(), holding.end(), predicate) != holding.end())
        return true;
    const pg::MemoryScope scratch("citadel_opt proof");
    List* clauses = NIL;
    for (const ExpressionId id : holding) {
        const Node* one = node(id);
        pg::guard([&] { clauses = list_concat(clauses, implicit_and(one)); });
    }
    const Node* wanted = node(predicate);
    return pg::guard([&] { return predicate_implied_by(implicit_and(wanted), clauses, false); });
}

} // namespace citadel::advisor
