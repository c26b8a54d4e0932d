#include "advisor/statement_pg.hpp"

#include "advisor/inner_position_pg.hpp"
#include "capture/lexer.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "pg/plan_tree.hpp"
#include "pg/text.hpp"

#include <utility>

extern "C" {
#include "commands/explain.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace citadel::advisor {

namespace {

const Query* planning = nullptr;

RawStmt* parse_one(const char* text) {
    List* parsed = pg_parse_query(text);
    if (list_length(parsed) == 0)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("there is no statement in the text"),
                        errhint("Give one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement.")));
    if (list_length(parsed) > 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the text holds %d statements", list_length(parsed)),
                        errhint("Give one statement at a time.")));
    RawStmt* statement = linitial_node(RawStmt, parsed);
    switch (nodeTag(statement->stmt)) {
    case T_SelectStmt:
        if (reinterpret_cast<SelectStmt*>(statement->stmt)->intoClause == nullptr)
            break;
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("SELECT INTO cannot be planned here"),
                        errhint("Give the SELECT without its INTO clause.")));
        break;
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        break;
    default:
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("%s is a utility statement and has no plan",
                               GetCommandTagName(CreateCommandTag(statement->stmt))),
                        errhint("Give a SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement.")));
    }
    return statement;
}

// Other extensions (pg_stat_statements among them) note every analysed statement; ours are no statements of a user.
List* analyse_unnoticed(RawStmt* statement, const char* text, Oid** types, int* count) {
    const post_parse_analyze_hook_type noticing = post_parse_analyze_hook;
    List* queries = NIL;
    post_parse_analyze_hook = nullptr;
    PG_TRY();
    { queries = pg::analyze_and_rewrite_varparams(statement, text, types, count); }
    PG_FINALLY();
    { post_parse_analyze_hook = noticing; }
    PG_END_TRY();
    return queries;
}

} // namespace

// The relations of one analysed statement with their locks. The invalidation callback marks it when one of them
// changes; it has the address, so this is never moved.
struct Statement::Watch {
    struct Relation {
        Oid relation;
        LOCKMODE lock;
    };
    std::vector<Relation> relations;
    bool changed = false;
    Watch* next = nullptr;
    Watch* previous = nullptr;
    static Watch* first;

    Watch() : next(first) {
        if (first != nullptr)
            first->previous = this;
        first = this;
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
        (previous != nullptr ? previous->next : first) = next;
        if (next != nullptr)
            next->previous = previous;
    }

    // Called from inside the server, at any point where it takes in messages: compares numbers, no more.
    static void on_change(Datum, Oid relation) {
        for (Watch* watch = first; watch != nullptr; watch = watch->next)
            for (const Relation& one : watch->relations)
                if (relation == InvalidOid || one.relation == relation) {
                    watch->changed = true;
                    break;
                }
    }
};

Statement::Watch* Statement::Watch::first = nullptr;

Statement::Statement() = default;

Statement::Statement(Statement&& other) noexcept
    : watch_(std::move(other.watch_)), vet_(std::move(other.vet_)), text_(std::move(other.text_)),
      memory_(std::exchange(other.memory_, nullptr)), queries_(std::exchange(other.queries_, nullptr)),
      parameter_types_(std::move(other.parameter_types_)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
    std::swap(watch_, other.watch_);
    std::swap(vet_, other.vet_);
    std::swap(text_, other.text_);
    std::swap(memory_, other.memory_);
    std::swap(queries_, other.queries_);
    std::swap(parameter_types_, other.parameter_types_);
    return *this;
}

Statement::~Statement() {
    if (memory_ != nullptr)
        MemoryContextDelete(memory_);
}

namespace {

// Which of $1, $2 ... stand in the text, by position; the server allows 65535. EXECUTE ... USING passes values that the
// text need not use, and the parser can infer no type for a number that is missing.
std::vector<bool> parameters_in(std::string_view text) {
    std::vector<bool> found;
    capture::Lexer lexer(text);
    for (capture::Token token = lexer.next(); token.kind != capture::TokenKind::end; token = lexer.next()) {
        if (token.kind != capture::TokenKind::parameter)
            continue;
        const std::string_view digits = lexer.text(token).substr(1);
        std::size_t number = 0;
        for (std::size_t i = 0; i < digits.size() && number <= UINT16_MAX; ++i)
            number = number * 10 + static_cast<std::size_t>(digits[i] - '0');
        if (number == 0 || number > UINT16_MAX)
            continue; // the parser refuses it
        if (found.size() < number)
            found.resize(number);
        found[number - 1] = true;
    }
    return found;
}

} // namespace

namespace {

struct Locks {
    List* relations; // of Oid
    List* modes;     // of int
};

// Whatever the parser locked: relations of the statement, its subqueries, and views, which the rewriter has replaced by
// their queries but kept the relation of.
bool find_locks(Node* node, void* context) {
    if (node == nullptr)
        return false;
    if (!IsA(node, Query))
        return pg::walk_expression(node, find_locks, context);
    Locks* locks = static_cast<Locks*>(context);
    ListCell* cell = nullptr;
    foreach (cell, reinterpret_cast<Query*>(node)->rtable) {
        const RangeTblEntry* entry = lfirst_node(RangeTblEntry, cell);
        if (!OidIsValid(entry->relid) || entry->rellockmode == NoLock)
            continue;
        locks->relations = lappend_oid(locks->relations, entry->relid);
        locks->modes = lappend_int(locks->modes, entry->rellockmode);
    }
    return pg::walk_query(reinterpret_cast<Query*>(node), find_locks, context);
}

} // namespace

Statement Statement::analyse(const std::string& text, Vet vet) {
    static bool watching = false;
    if (!watching)
        pg::guard([] { CacheRegisterRelcacheCallback(Watch::on_change, static_cast<Datum>(0)); });
    watching = true;
    Statement statement;
    statement.text_ = text;
    statement.vet_ = std::move(vet);
    statement.analyse_text();
    return statement;
}

void Statement::analyse_text() {
    // Not CurTransactionContext: that may be a subtransaction's, which ends before the statement does.
    const MemoryContext memory = pg::guard(
        [] { return AllocSetContextCreate(TopTransactionContext, "citadel_opt statement", ALLOCSET_DEFAULT_SIZES); });
    if (memory_ != nullptr)
        MemoryContextDelete(memory_);
    memory_ = memory;
    queries_ = nullptr;
    // Before the analysis: a change from then on counts.
    watch_ = std::make_unique<Watch>();
    const pg::MemorySwitch inside(memory_);
    const char* source = text_.c_str();
    Oid* types = nullptr;
    const std::vector<bool> used = parameters_in(text_);
    int count = static_cast<int>(used.size());
    if (count > 0) {
        types = static_cast<Oid*>(pg::guard([count] { return palloc0(sizeof(Oid) * static_cast<Size>(count)); }));
        for (std::size_t i = 0; i < used.size(); ++i)
            types[i] = used[i] ? InvalidOid : TEXTOID;
    }
    List* queries = NIL;
    Locks locks = {NIL, NIL};
    pg::guard([&] {
        ErrorContextCallback callback;
        InnerPosition::link(callback, source);
        RawStmt* raw = parse_one(source);
        List* rewritten = analyse_unnoticed(raw, source, &types, &count);
        ListCell* cell;
        foreach (cell, rewritten) {
            Query* query = lfirst_node(Query, cell);
            query->queryId = 0; // planning is not to be counted by anybody
            if (query->commandType != CMD_UTILITY && query->commandType != CMD_NOTHING)
                queries = lappend(queries, query);
        }
        InnerPosition::unlink(callback);
        foreach (cell, queries)
            find_locks(static_cast<Node*>(lfirst(cell)), &locks);
    });
    queries_ = queries;
    parameter_types_.assign(types, types + count);
    const ListCell* relation = nullptr;
    const ListCell* mode = nullptr;
    forboth(relation, locks.relations, mode, locks.modes)
        watch_->relations.push_back({lfirst_oid(relation), lfirst_int(mode)});
    if (vet_)
        vet_(*this);
}

// As the plan cache does it: locks first, which takes in the messages about changes, then a look at whether there were
// any. Locks already held cost next to nothing.
void Statement::lock_relations() {
    const Watch* const watch = watch_.get();
    pg::guard([watch] {
        for (const Watch::Relation& one : watch->relations)
            LockRelationOid(one.relation, one.lock);
    });
    if (!watch_->changed)
        return;
    const std::vector<Oid> types = parameter_types_;
    analyse_text();
    if (types != parameter_types_)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "a table was changed while the advisor ran");
}

ParamListInfo Statement::bind(const std::vector<std::optional<std::string>>& values) const {
    if (values.size() < parameter_types_.size())
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE,
                  "the statement has " + std::to_string(parameter_types_.size()) + " parameters, but " +
                      std::to_string(values.size()) + " values were given",
                  {}, "Give a value (or NULL) for each parameter, or no values at all for a generic plan.");
    if (parameter_types_.empty())
        return nullptr;
    const int count = static_cast<int>(parameter_types_.size());
    ParamListInfo list = pg::guard([count] { return makeParamList(count); });
    for (int i = 0; i < count; ++i) {
        const auto& value = values[static_cast<std::size_t>(i)];
        ParamExternData& parameter = list->params[i];
        parameter.ptype = parameter_types_[static_cast<std::size_t>(i)];
        parameter.pflags = PARAM_FLAG_CONST;
        parameter.isnull = !value.has_value() || parameter.ptype == InvalidOid;
        parameter.value = parameter.isnull ? 0 : pg::to_datum(pg::arg_as(parameter.ptype, *value));
    }
    return list;
}

std::vector<PlannedStmt*> Statement::plan(ParamListInfo parameters) {
    lock_relations();
    std::vector<PlannedStmt*> plans;
    plans.reserve(static_cast<std::size_t>(list_length(queries_)));
    const char* source = text_.c_str();
    const ListCell* cell;
    foreach (cell, queries_) {
        const Query* analysed = lfirst_node(Query, cell);
        const Query* const outer = planning;
        PlannedStmt* plan = nullptr;
        try {
            plan = pg::guard([=] {
                // The planner scribbles on its input.
                Query* query = static_cast<Query*>(copyObjectImpl(analysed));
                planning = query;
                ErrorContextCallback callback;
                InnerPosition::link(callback, source);
                PlannedStmt* made = planner(query, source, CURSOR_OPT_PARALLEL_OK, parameters);
                InnerPosition::unlink(callback);
                return made;
            });
        } catch (...) {
            planning = outer;
            throw;
        }
        planning = outer;
        plans.push_back(plan);
    }
    return plans;
}

const Query* query_being_planned() {
    return planning;
}

double total_cost(const std::vector<PlannedStmt*>& plans) {
    double cost = 0;
    for (const PlannedStmt* plan : plans)
        cost += plan->planTree->total_cost;
    return cost;
}

void check_permissions(const std::vector<PlannedStmt*>& plans) {
    for (PlannedStmt* plan : plans)
        pg::guard([plan] { pg::check_plan_permissions(plan); });
}

namespace {

const char* explain_one(PlannedStmt* plan, const char* text, ParamListInfo parameters) {
    if (parameters == nullptr)
        pg::clear_run_time_pruning(plan);
    QueryDesc* query =
        CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot, None_Receiver, parameters, nullptr, 0);
    // Not through the hooks: nothing runs, and nobody is to count it.
    standard_ExecutorStart(query, EXEC_FLAG_EXPLAIN_ONLY);
    ExplainState* state = NewExplainState();
    state->format = EXPLAIN_FORMAT_JSON;
    state->costs = true;
    ExplainBeginOutput(state);
    ExplainOpenGroup("Query", nullptr, true, state);
    ExplainPrintPlan(state, query);
    ExplainCloseGroup("Query", nullptr, true, state);
    ExplainEndOutput(state);
    standard_ExecutorEnd(query);
    FreeQueryDesc(query);
    return state->str->data;
}

} // namespace

std::string explain_json(const std::vector<PlannedStmt*>& plans, const std::string& text, ParamListInfo parameters) {
    if (plans.empty())
        return "[]";
    const pg::MemoryScope scratch("explain");
    const char* source = text.c_str();
    std::string json;
    for (PlannedStmt* plan : plans) {
        // Each is an array of one; several become one array.
        const std::string one = pg::guard([=] { return explain_one(plan, source, parameters); });
        if (json.empty())
            json = one;
        else
            json = json.substr(0, json.rfind(']')) + "," + one.substr(one.find('[') + 1);
    }
    return json;
}

} // namespace citadel::advisor
