#include "advisor/clause_notes_pg.hpp"

#include "advisor/planner_facts_pg.hpp"
#include "advisor/what_if_pg.hpp"

#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/plan_tree.hpp"

#include <algorithm>

extern "C" {
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
}

namespace citadel::advisor {

namespace {

NoteCollector* collecting = nullptr;
set_rel_pathlist_hook_type previous_hook = nullptr;

// ---- Everything down to the next line of this kind runs under one guard: plain data, palloc'd, no C++ objects.

struct RawNote {
    AttrNumber column;
    Wrapping wrapping;
    bool join;
    double selectivity;
    const char* expression;
    const char* comparison;
    const char* column_type;
    const char* other_type;
    const char* index;
};

constexpr int most_notes = 32; // of one table in one statement

struct RawNotes {
    RawNote items[most_notes];
    int count;
    double offset;
};

struct Place {
    PlannerInfo* root;
    RelOptInfo* relation;
    const RangeTblEntry* entry;
    RawNotes* notes;
};

Node* unlabelled(Node* node) {
    while (node != nullptr && IsA(node, RelabelType))
        node = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg);
    return node;
}

bool is_column(const Place& place, Node* node) {
    node = unlabelled(node);
    if (node == nullptr || !IsA(node, Var))
        return false;
    const Var* var = reinterpret_cast<Var*>(node);
    return var->varno == static_cast<decltype(var->varno)>(place.relation->relid) && var->varlevelsup == 0 &&
           var->varattno > 0;
}

// The one column of our table that the expression reads; nullptr when it reads several, or anything else.
Var* only_column(const Place& place, Node* expression) {
    Var* only = nullptr;
    ListCell* cell = nullptr;
    foreach (cell,
             pull_var_clause(expression, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS)) {
        Node* node = static_cast<Node*>(lfirst(cell));
        if (!is_column(place, node))
            return nullptr;
        Var* var = reinterpret_cast<Var*>(node);
        if (only != nullptr && only->varattno != var->varattno)
            return nullptr;
        only = var;
    }
    return only;
}

struct Redaction {
    int next;
};

// Constants become $1, $2 ..., but for the words that name a unit of time: those belong to the shape.
Node* redact(Node* node, void* context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Const)) {
        const Const* constant = reinterpret_cast<Const*>(node);
        static const char* const units[] = {"microseconds", "milliseconds", "second",  "minute", "hour",   "day",
                                            "week",         "month",        "quarter", "year",   "decade", "century",
                                            "epoch",        "dow",          "doy",     "isodow", "isoyear"};
        if (constant->consttype == TEXTOID && !constant->constisnull) {
            const char* word = TextDatumGetCString(constant->constvalue);
            for (const char* unit : units)
                if (strcmp(word, unit) == 0)
                    return static_cast<Node*>(copyObjectImpl(node));
        }
        Param* placeholder = makeNode(Param);
        placeholder->paramkind = PARAM_EXTERN;
        placeholder->paramid = ++static_cast<Redaction*>(context)->next;
        placeholder->paramtype = constant->consttype;
        placeholder->paramtypmod = constant->consttypmod;
        placeholder->paramcollid = constant->constcollid;
        placeholder->location = -1;
        return reinterpret_cast<Node*>(placeholder);
    }
    return pg::mutate_expression(node, redact, context);
}

// nullptr when there is no name to deparse with.
const char* shape_of(const Place& place, Node* expression, bool implicit_casts) {
    const char* name = get_rel_name(place.entry->relid);
    if (name == nullptr)
        return nullptr;
    Redaction redaction = {0};
    Node* shape = redact(static_cast<Node*>(copyObjectImpl(expression)), &redaction);
    ChangeVarNodes(shape, static_cast<int>(place.relation->relid), 1, 0);
    return deparse_expression(shape, deparse_context_for(name, place.entry->relid), false, implicit_casts);
}

// Is the node `constant op column` or `column op constant`? Its column's side is the plain column then.
bool holds_plain(const Place& place, List* arguments) {
    ListCell* cell = nullptr;
    foreach (cell, arguments)
        if (is_column(place, static_cast<Node*>(lfirst(cell))))
            return true;
    return false;
}

bool is_timestamp(Oid type) {
    return type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

// How a built-in function wraps the column; false: in a way that no rewriting undoes.
bool wrapping_of_function(const Place& place, const FuncExpr* call, const Var* column, Wrapping* wrapping) {
    if (!holds_plain(place, call->args))
        return false;
    if (call->funcformat == COERCE_IMPLICIT_CAST || call->funcformat == COERCE_EXPLICIT_CAST) {
        const bool implicit = call->funcformat == COERCE_IMPLICIT_CAST;
        *wrapping = call->funcresulttype == DATEOID && is_timestamp(column->vartype) ? Wrapping::to_day
                    : implicit                                                       ? Wrapping::implicit_cast
                                                                                     : Wrapping::cast;
        return call->funcresulttype != column->vartype; // a length is no type
    }
    if (call->funcid >= FirstGenbkiObjectId)
        return false;
    static const struct {
        const char* name;
        Wrapping wrapping;
    } table[] = {
        {"date", Wrapping::to_day},        {"date_trunc", Wrapping::truncated},  {"date_part", Wrapping::formatted},
        {"extract", Wrapping::formatted},  {"to_char", Wrapping::formatted},     {"left", Wrapping::text_prefix},
        {"substr", Wrapping::text_prefix}, {"substring", Wrapping::text_prefix},
    };
    const char* name = get_func_name(call->funcid);
    for (const auto& row : table)
        if (name != nullptr && strcmp(name, row.name) == 0) {
            *wrapping = row.wrapping;
            return row.wrapping != Wrapping::formatted || is_timestamp(column->vartype) || column->vartype == DATEOID;
        }
    return false;
}

bool wrapping_of(const Place& place, Node* expression, const Var* column, Wrapping* wrapping) {
    expression = unlabelled(expression);
    if (IsA(expression, FuncExpr))
        return wrapping_of_function(place, reinterpret_cast<FuncExpr*>(expression), column, wrapping);
    if (IsA(expression, CoerceViaIO)) {
        const CoerceViaIO* cast = reinterpret_cast<CoerceViaIO*>(expression);
        *wrapping = cast->coerceformat == COERCE_IMPLICIT_CAST ? Wrapping::implicit_cast : Wrapping::cast;
        return is_column(place, reinterpret_cast<Node*>(cast->arg));
    }
    if (IsA(expression, CoalesceExpr)) {
        *wrapping = Wrapping::coalesce;
        return holds_plain(place, reinterpret_cast<CoalesceExpr*>(expression)->args);
    }
    if (IsA(expression, OpExpr)) {
        const OpExpr* operation = reinterpret_cast<OpExpr*>(expression);
        const char* name = get_opname(operation->opno);
        *wrapping = Wrapping::arithmetic;
        return operation->opno < FirstGenbkiObjectId && name != nullptr &&
               (strcmp(name, "+") == 0 || strcmp(name, "-") == 0) && holds_plain(place, operation->args);
    }
    return false;
}

// Is there an index on this very expression? Then the planner has the choice already.
bool is_indexed(const Place& place, Node* expression) {
    ListCell* cell = nullptr;
    foreach (cell, place.relation->indexlist) {
        const IndexOptInfo* index = static_cast<IndexOptInfo*>(lfirst(cell));
        ListCell* inner = nullptr;
        foreach (inner, index->indexprs)
            if (equal(unlabelled(static_cast<Node*>(lfirst(inner))), unlabelled(expression)))
                return true;
    }
    return false;
}

const char* index_that_begins_with(const Place& place, AttrNumber column) {
    ListCell* cell = nullptr;
    foreach (cell, place.relation->indexlist) {
        const IndexOptInfo* index = static_cast<IndexOptInfo*>(lfirst(cell));
        if (index->relam == BTREE_AM_OID && !index->hypothetical && index->indpred == NIL && index->nkeycolumns > 0 &&
            index->indexkeys[0] == column)
            return get_rel_name(index->indexoid);
    }
    return nullptr;
}

void add(const Place& place, const RawNote& note) {
    if (place.notes->count < most_notes)
        place.notes->items[place.notes->count++] = note;
}

void consider(const Place& place, Node* side, Oid operation, bool join, double selectivity) {
    side = unlabelled(side);
    if (side == nullptr || IsA(side, Var) || IsA(side, Const) || IsA(side, Param))
        return;
    const Var* column = only_column(place, side);
    Wrapping wrapping = Wrapping::cast;
    if (column == nullptr || !wrapping_of(place, side, column, &wrapping) || is_indexed(place, side))
        return;
    const char* index = index_that_begins_with(place, column->varattno);
    const char* expression = shape_of(place, side, wrapping == Wrapping::implicit_cast);
    const char* comparison = get_opname(operation);
    if (index == nullptr || expression == nullptr || comparison == nullptr)
        return;
    add(place, {column->varattno, wrapping, join, selectivity, expression, comparison, format_type_be(column->vartype),
                format_type_be(exprType(side)), index});
}

// LIKE '%x', ~ 'x' without an anchor: what only trigrams serve.
void consider_pattern(const Place& place, const OpExpr* clause, double selectivity) {
    Node* left = static_cast<Node*>(linitial(clause->args));
    Node* right = static_cast<Node*>(lsecond(clause->args));
    const char* name = get_opname(clause->opno);
    if (!is_column(place, left) || !IsA(right, Const) || name == nullptr || clause->opno >= FirstGenbkiObjectId)
        return;
    const bool like = strcmp(name, "~~") == 0 || strcmp(name, "~~*") == 0;
    const bool regular = strcmp(name, "~") == 0 || strcmp(name, "~*") == 0;
    const Const* pattern = reinterpret_cast<Const*>(right);
    if ((!like && !regular) || pattern->constisnull || pattern->consttype != TEXTOID)
        return;
    const char* wanted = TextDatumGetCString(pattern->constvalue);
    // Three characters that are no wildcard make a trigram.
    int plain = 0;
    for (const char* c = wanted; *c != '\0'; ++c)
        plain += *c != '%' && *c != '_' ? 1 : 0;
    if (plain < 3 || (like ? wanted[0] != '%' && wanted[0] != '_' : wanted[0] == '^'))
        return;
    const Var* column = reinterpret_cast<Var*>(unlabelled(left));
    const char* expression = shape_of(place, left, false);
    if (expression != nullptr)
        add(place, {column->varattno, Wrapping::infix_pattern, false, selectivity, expression, name,
                    format_type_be(column->vartype), "", ""});
}

void consider_clause(const Place& place, Node* clause, bool join, double selectivity) {
    if (IsA(clause, ScalarArrayOpExpr)) {
        const ScalarArrayOpExpr* any = reinterpret_cast<ScalarArrayOpExpr*>(clause);
        consider(place, static_cast<Node*>(linitial(any->args)), any->opno, join, selectivity);
        return;
    }
    if (!IsA(clause, OpExpr) || list_length(reinterpret_cast<OpExpr*>(clause)->args) != 2)
        return;
    const OpExpr* comparison = reinterpret_cast<OpExpr*>(clause);
    if (!join)
        consider_pattern(place, comparison, selectivity);
    for (int side = 0; side < 2; ++side) {
        Node* ours = static_cast<Node*>(list_nth(comparison->args, side));
        Node* other = static_cast<Node*>(list_nth(comparison->args, 1 - side));
        // The value must be known before the table is read.
        if (bms_is_member(static_cast<int>(place.relation->relid), pull_varnos(place.root, other)) ||
            contain_volatile_functions(other))
            continue;
        const Oid operation = side == 0 ? comparison->opno : get_commutator(comparison->opno);
        if (OidIsValid(operation))
            consider(place, ours, operation, join, selectivity);
    }
}

void collect_joins(const Place& place) {
    if (place.root == nullptr)
        return;
    ListCell* cell = nullptr;
    foreach (cell, place.relation->joininfo)
        consider_clause(place, reinterpret_cast<Node*>(static_cast<RestrictInfo*>(lfirst(cell))->clause), true, 1.0);
    foreach (cell, place.root->eq_classes) {
        const EquivalenceClass* equal_ones = static_cast<EquivalenceClass*>(lfirst(cell));
        if (equal_ones->ec_has_const || equal_ones->ec_has_volatile ||
            !bms_is_member(static_cast<int>(place.relation->relid), equal_ones->ec_relids) ||
            bms_membership(equal_ones->ec_relids) != BMS_MULTIPLE)
            continue;
        ListCell* inner = nullptr;
        foreach (inner, equal_ones->ec_members) {
            const EquivalenceMember* member = static_cast<EquivalenceMember*>(lfirst(inner));
            const Oid type = exprType(reinterpret_cast<Node*>(member->em_expr));
            const Oid equality =
                get_opfamily_member(linitial_oid(equal_ones->ec_opfamilies), type, type, BTEqualStrategyNumber);
            if (OidIsValid(equality) && bms_equal(member->em_relids, place.relation->relids))
                consider(place, reinterpret_cast<Node*>(member->em_expr), equality, true, 1.0);
        }
    }
}

void collect(const Place& place) {
    for (const PlannerInfo* root = place.root; root != nullptr; root = root->parent_root) {
        const Node* offset = root->parse->limitOffset;
        if (offset == nullptr || !IsA(offset, Const))
            continue;
        const Const* constant = reinterpret_cast<const Const*>(offset);
        if (!constant->constisnull && constant->consttype == INT8OID)
            place.notes->offset = Max(place.notes->offset, static_cast<double>(DatumGetInt64(constant->constvalue)));
    }
    ListCell* cell = nullptr;
    foreach (cell, place.relation->baserestrictinfo) {
        RestrictInfo* restriction = static_cast<RestrictInfo*>(lfirst(cell));
        const double selectivity =
            clause_selectivity(place.root, reinterpret_cast<Node*>(restriction), 0, JOIN_INNER, nullptr);
        consider_clause(place, reinterpret_cast<Node*>(restriction->clause), false, selectivity);
    }
    collect_joins(place);
}

// ---- From here on C++ again.

void set_rel_pathlist(PlannerInfo* root, RelOptInfo* relation, Index index, RangeTblEntry* entry) {
    if (previous_hook != nullptr)
        previous_hook(root, relation, index, entry);
    // Partitions would say again what their parent says.
    if (collecting == nullptr || entry->rtekind != RTE_RELATION || relation->reloptkind != RELOPT_BASEREL ||
        !is_ours(root))
        return;
    pg::boundary([&] { collecting->note(root, relation, entry); });
}

} // namespace

NoteCollector::NoteCollector() : outer_(collecting) {
    collecting = this;
}

NoteCollector::~NoteCollector() {
    collecting = outer_;
}

void NoteCollector::note(PlannerInfo* root, RelOptInfo* relation, const RangeTblEntry* entry) {
    if (!unsupported_reason(entry->relid).empty())
        return;
    RawNotes raw = {};
    const Place place{root, relation, entry, &raw};
    pg::guard([&place] { collect(place); });
    StatementNotes found;
    found.most_offset = raw.offset;
    for (int i = 0; i < raw.count; ++i) {
        const RawNote& item = raw.items[i];
        found.clauses.push_back({entry->relid, item.column, item.wrapping, item.join, item.selectivity,
                                 relation->tuples, item.expression, item.comparison, item.column_type, item.other_type,
                                 item.index});
    }
    merge(notes_, found);
}

void merge(StatementNotes& notes, const StatementNotes& more) {
    notes.most_offset = std::max(notes.most_offset, more.most_offset);
    for (const ClauseNote& clause : more.clauses)
        if (std::find(notes.clauses.begin(), notes.clauses.end(), clause) == notes.clauses.end())
            notes.clauses.push_back(clause);
}

void install_clause_notes() {
    previous_hook = set_rel_pathlist_hook;
    set_rel_pathlist_hook = set_rel_pathlist;
}

} // namespace citadel::advisor
