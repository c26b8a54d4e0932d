#include "advisor/planner_costs_pg.hpp"

#include "advisor/access_paths_pg.hpp"
#include "advisor/foreign_keys_pg.hpp"
#include "advisor/index_definition_pg.hpp"
#include "advisor/planner_facts_pg.hpp"
#include "advisor/planning_limit_pg.hpp"
#include "advisor/regimes.hpp"
#include "advisor/table_sample_pg.hpp"
#include "advisor/trust_pg.hpp"
#include "advisor/write_facts_pg.hpp"
#include "capture/normalize.hpp"

#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "pg/subtransaction.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <cmath>

extern "C" {
#include "catalog/pg_authid.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

// What ends the whole run, not one statement: cancel, shutdown, a full disk. Lack of memory is the statement's own as a
// rule (its partitions do not fit the lock table, its plan does not fit), and its subtransaction gives it back.
bool ends_the_run(const pg::Error& error) {
    const int code = error.sqlerrcode();
    return error.is_intervention() ||
           (ERRCODE_TO_CATEGORY(code) == ERRCODE_INSUFFICIENT_RESOURCES && code != ERRCODE_OUT_OF_MEMORY);
}

// Everything that plans runs in a subtransaction that is rolled back, so no lock on a user's table outlives one call.
template <class Body>
std::optional<pg::Error> without_locks(Body&& body) {
    return pg::try_discarded_subtransaction(std::forward<Body>(body));
}

constexpr int most_failures = 3;

// What can stand in the place of each index, over all plans of a statement: where several use it, in all of them.
class Substitutions {
  public:
    // `paths`: nullptr when nothing was noted.
    void add(const AccessPaths* paths, const std::vector<PlannedStmt*>& plans, const ArmedIndexes& armed) {
        std::map<Oid, std::map<Oid, double>> here;
        if (paths != nullptr)
            for (const Place& place : paths->places(plans))
                for (const OtherAccess& other : place.others)
                    here[place.index].emplace(other.index, other.change);
        for (const Oid index : armed.added_used_by(plans)) {
            const auto [entry, is_new] = changes_.try_emplace(index, here[index]);
            if (is_new)
                continue;
            std::erase_if(entry->second, [&](const auto& change) { return here[index].count(change.first) == 0; });
            for (auto& [other, change] : entry->second)
                change += here[index].at(other);
        }
    }

    // As positions in the configuration that the armed indexes are part of. `share`: of one plan in the cost.
    std::vector<Substitution> take(const ArmedIndexes& armed, const std::vector<std::size_t>& positions,
                                   double share) const {
        std::vector<Substitution> found;
        for (const auto& [index, others] : changes_) {
            if (others.empty())
                continue;
            Substitution substitution{positions.at(armed.position_of(index).value()), {}};
            for (const auto& [other, change] : others) {
                const std::optional<std::size_t> position = armed.position_of(other);
                if (position)
                    substitution.others.push_back({positions.at(*position), 0, share * change});
                else
                    substitution.others.push_back({std::nullopt, other, share * change});
            }
            found.push_back(std::move(substitution));
        }
        return found;
    }

  private:
    std::map<Oid, std::map<Oid, double>> changes_; // of each index that is used: by what would be used instead
};

bool role_exists(Oid role) {
    return pg::guard([role] { return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)); });
}

} // namespace

// The role that statements are planned as; kept from one call to the next as long as it is the same, because pinning a
// search_path costs as much as a small plan.
class PlannerCosts::Role {
  public:
    Role(Oid user, std::optional<std::string> path)
        : user_(user), path_(std::move(path)), scope_(user, path_ ? *path_ : "\"$user\", public") {}
    bool is(Oid user, const std::optional<std::string>& path) const { return user_ == user && path_ == path; }

  private:
    Oid user_;
    std::optional<std::string> path_;
    pg::RoleScope scope_;
};

PlannerCosts::PlannerCosts(std::map<RelationId, WriteRates> counted)
    : memory_(CurrentMemoryContext), writes_(std::move(counted), expressions_) {}

PlannerCosts::~PlannerCosts() = default;

void PlannerCosts::leave_role() {
    role_.reset();
}

void PlannerCosts::enter_role(const Entry& entry) {
    if (entry.user == InvalidOid) {
        role_.reset();
        return;
    }
    if (role_ != nullptr && role_->is(entry.user, entry.search_path))
        return;
    role_.reset();
    role_ = std::make_unique<Role>(entry.user, entry.search_path);
}

void PlannerCosts::vet(const Statement& statement, Oid user) const {
    if (!others_code_ || user == InvalidOid)
        return;
    if (const std::string why = distrust(statement, user, *others_code_); !why.empty())
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, why);
}

// Under the statement's role. Fills the entry with one variant for each parameter regime that can be analysed; `reason`
// says why there is none.
void PlannerCosts::analyse(const WorkloadStatement& statement, Entry& entry, StatementUse& use,
                           std::vector<PlannedStmt*>& plans, std::string& reason) {
    struct Regime {
        std::string text;
        const KnownValues* values;
    };
    std::vector<Regime> regimes;
    regimes.push_back({capture::parsable_text(statement.text), nullptr});
    for (const KnownValues& values : statement.known)
        regimes.push_back({capture::restore_literals(statement.text, values.literals), &values});

    Regimes uses;
    std::map<Oid, std::string> unsupported;
    for (const Regime& regime : regimes) {
        const std::optional<pg::Error> failure = without_locks([&] {
            Statement analysed = Statement::analyse(
                regime.text, [this, user = entry.user](const Statement& known) { vet(known, user); });
            const bool bound = regime.values != nullptr && !analysed.parameter_types().empty();
            ParamListInfo parameters = nullptr;
            if (bound) {
                const pg::MemorySwitch lasting(memory_);
                parameters = analysed.bind(regime.values->binds);
            }
            const FactCollector facts(expressions_);
            const NoteCollector notes;
            ++planner_calls_;
            const PlanningLimit limit(settings::advise_planning_limit_ms);
            const std::vector<PlannedStmt*> made = analysed.plan(parameters);
            if (made.empty())
                pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED, "the statement's rules leave nothing to plan");
            check_permissions(made);
            plans.insert(plans.end(), made.begin(), made.end());
            if (regime.values == nullptr)
                uses.generic = facts.uses();
            else
                uses.known.push_back(facts.uses());
            if (entry.variants.empty())
                use.writes = writes_of(analysed, made);
            entry.last_cost += total_cost(made);
            unsupported.insert(facts.unsupported().begin(), facts.unsupported().end());
            merge(entry.notes, notes.notes());
            entry.variants.push_back(Variant{std::move(analysed), parameters, regime.values != nullptr});
        });
        if (failure && ends_the_run(*failure))
            throw *failure;
        if (failure && reason.empty())
            reason = failure->what();
    }
    use.relations = merged(uses);
    if (!entry.variants.empty())
        entry.last_cost /= static_cast<double>(entry.variants.size());
    // What only writes matters for what indexes cost.
    if (!entry.variants.empty() && use.relations.empty() && (use.writes.empty() || !unsupported.empty())) {
        entry.variants.clear();
        reason = unsupported.empty() ? "it reads no table" : unsupported.begin()->second;
    }
}

// Foreign keys that reference what the statement deletes or changes: their look-ups are part of its cost, and the
// tables that they look into part of its use. Under the statement's role; what that role may not read is left out.
void PlannerCosts::add_reference_checks(const std::vector<PlannedStmt*>& plans, Entry& entry, StatementUse& use) {
    for (const ReferencedChange& change : referenced_changes(plans))
        for (const std::string& text : reference_checks(change)) {
            const std::optional<pg::Error> failure = without_locks([&] {
                Statement check =
                    Statement::analyse(text, [this, user = entry.user](const Statement& known) { vet(known, user); });
                const FactCollector facts(expressions_);
                ++planner_calls_;
                const PlanningLimit limit(settings::advise_planning_limit_ms);
                const std::vector<PlannedStmt*> made = check.plan(nullptr);
                check_permissions(made);
                const double times = std::max(change.rows, 1.0);
                entry.last_cost += times * total_cost(made);
                use.relations.insert(use.relations.end(), facts.uses().begin(), facts.uses().end());
                entry.checks.push_back(ReferenceCheck{std::move(check), times});
            });
            if (failure && ends_the_run(*failure))
                throw *failure;
        }
}

std::optional<std::string> PlannerCosts::add(const WorkloadStatement& statement) {
    Entry entry{statement.user, statement.search_path, {}, {}, {}, 0.0, 0};
    StatementUse use;
    std::string reason;
    if (statement.truncated)
        return "its text was too long to be kept whole";
    if (statement.user != InvalidOid && !role_exists(statement.user))
        return "its user no longer exists";
    const bool sees_all = statement.user == InvalidOid || statement.user == GetUserId() || superuser();
    const pg::MemoryScope scratch("citadel_opt first plans");
    std::vector<PlannedStmt*> plans;
    if (!others_code_ && statement.user != InvalidOid && pg::guard([&] { return superuser_arg(statement.user); })) {
        leave_role();
        others_code_ = OthersCode::read();
    }
    enter_role(entry);
    analyse(statement, entry, use, plans, reason);
    if (entry.variants.empty())
        return reason;
    // One variant's plan tells what it deletes from; all of them would count the checks several times.
    if (sees_all)
        add_reference_checks({plans.begin(), plans.begin() + std::min<std::ptrdiff_t>(1, std::ssize(plans))}, entry,
                             use);
    leave_role();
    if (entry.user != InvalidOid && entry.user != GetUserId() && !superuser()) {
        // Who asks must be allowed to see it as well: estimates tell about data.
        const std::optional<pg::Error> failure = without_locks([&] { check_permissions(plans); });
        if (failure && ends_the_run(*failure))
            throw *failure;
        if (failure)
            return failure->what();
    }
    writes_.add(use, statement.calls);
    entries_.push_back(std::move(entry));
    uses_.push_back(std::move(use));
    return std::nullopt;
}

// Describing an index folds the constants of its expressions and predicate. The statements that others ran are planned
// as them; this is done by whoever asks, unless it would run code of others than superusers. Then it is done as the
// owner of that code and of the table, when every statement that reads the table is the owner's own; else not at all.
void PlannerCosts::enter_describing_role(const Candidate& candidate, const HypotheticalIndex& index) {
    leave_role();
    std::vector<const Node*> parts = {index.predicate};
    for (const HypotheticalColumn& column : index.key)
        parts.push_back(column.expression);
    const bool others =
        std::any_of(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.user != InvalidOid; });
    if (!others || std::all_of(parts.begin(), parts.end(),
                               [](const Node* part) { return part == nullptr || calls_trusted_code_only(part); }))
        return;
    const Oid role = describing_role(candidate.relation, parts);
    const Entry* own = nullptr;
    std::vector<std::size_t> readers;
    bool all_own = role != InvalidOid;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        const StatementUse& use = uses_[i];
        const auto reads = [&](const RelationUse& one) { return one.relation == candidate.relation; };
        if (std::none_of(use.relations.begin(), use.relations.end(), reads))
            continue;
        readers.push_back(i);
        own = &entries_[i];
        all_own = all_own && entries_[i].user == role;
    }
    if (own != nullptr && all_own) {
        enter_role(*own);
        return;
    }
    withheld_.push_back({candidate.relation, untrusted_function(parts), role == InvalidOid, std::move(readers)});
    pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "it would run code of others");
}

// nullptr when it cannot be built: a row is too long for it, or its table was dropped or changed meanwhile.
PreparedIndex* PlannerCosts::prepared(const Candidate& candidate) {
    const auto known = prepared_.find(candidate);
    if (known != prepared_.end())
        return known->second;
    leave_role();
    PreparedIndex* made = nullptr;
    const std::optional<pg::Error> failure = without_locks([&] {
        HypotheticalIndex index = hypothetical_index(candidate, expressions_);
        enter_describing_role(candidate, index);
        index.name = "candidate_" + std::to_string(prepared_.size() + 1);
        PreparedIndex& described = pool_.prepare(index);
        if (candidate.method == AccessMethod::btree)
            (void)pool_.bytes(described); // looks at the rows of every partition
        if (too_long_row(described) == 0)
            made = &described;
    });
    leave_role();
    if (failure && ends_the_run(*failure))
        throw *failure;
    prepared_.emplace(candidate, made);
    return made;
}

const HypotheticalIndex& PlannerCosts::hypothetical(const Candidate& candidate) {
    PreparedIndex* const index = prepared(candidate);
    if (index == nullptr)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "a table was changed while the advisor ran");
    return description_of(*index);
}

PlannerCosts::Resolved PlannerCosts::resolve(const std::vector<Candidate>& candidates) {
    Resolved resolved;
    for (std::size_t i = 0; i < candidates.size(); ++i)
        if (PreparedIndex* const index = prepared(candidates[i]); index != nullptr) {
            resolved.indexes.push_back(index);
            resolved.positions.push_back(i);
        }
    return resolved;
}

void PlannerCosts::prepare(const std::vector<Candidate>& candidates) {
    for (const Candidate& candidate : candidates)
        (void)prepared(candidate);
}

Priced PlannerCosts::price(std::size_t statement, const Configuration& configuration) {
    Entry& entry = entries_.at(statement);
    Priced priced;
    priced.knows_used = true;
    priced.cost = entry.last_cost;
    if (cancelled_ || entry.failures >= most_failures)
        return priced;
    std::vector<bool> used(configuration.added.size());
    const Resolved added = resolve(configuration.added);
    enter_role(entry);
    double sum = 0.0;
    const std::optional<pg::Error> failure = without_locks([&] {
        pg::guard([] { CHECK_FOR_INTERRUPTS(); });
        const pg::MemoryScope scratch("citadel_opt plan");
        const ArmedIndexes armed(pool_, added.indexes, configuration.hidden);
        Substitutions substitutions;
        const auto add = [&](Statement& planned, ParamListInfo parameters, double times) {
            ++planner_calls_;
            const PlanningLimit limit(settings::advise_planning_limit_ms);
            std::optional<AccessPaths> paths;
            if (times == 1.0 && !added.indexes.empty())
                paths.emplace();
            const std::vector<PlannedStmt*> plans = planned.plan(parameters);
            substitutions.add(paths ? &*paths : nullptr, plans, armed);
            sum += times * total_cost(plans);
            const std::vector<bool> these = armed.used_by(plans);
            for (std::size_t i = 0; i < these.size(); ++i)
                if (these[i])
                    used[added.positions[i]] = true;
            const std::vector<Oid> existing = armed.existing_used_by(plans);
            priced.existing.insert(priced.existing.end(), existing.begin(), existing.end());
        };
        for (Variant& variant : entry.variants)
            add(variant.statement, variant.parameters, 1.0);
        for (ReferenceCheck& check : entry.checks)
            add(check.statement, nullptr, check.times * static_cast<double>(entry.variants.size()));
        priced.substitutions =
            substitutions.take(armed, added.positions, 1.0 / static_cast<double>(entry.variants.size()));
    });
    if (failure) {
        if (cancel_stops_ && failure->is_cancel())
            cancelled_ = true;
        else if (ends_the_run(*failure))
            throw *failure;
        // Planned before, and fails now: these indexes gain nothing here. One that fails again and again, because its
        // table is gone or locked, is not tried for ever: each try may wait for lock_timeout.
        // One that takes too long to plan would take so again.
        entry.failures += failure->sqlerrcode() == ERRCODE_PROGRAM_LIMIT_EXCEEDED ? most_failures : 1;
        priced.existing.clear();
        priced.substitutions.clear();
        return priced;
    }
    priced.cost = sum / static_cast<double>(entry.variants.size());
    for (std::size_t i = 0; i < used.size(); ++i)
        if (used[i])
            priced.added.push_back(configuration.added[i]);
    if (configuration.added.empty() && configuration.hidden.empty())
        entry.last_cost = priced.cost;
    return priced;
}

std::uint64_t PlannerCosts::size(const Candidate& candidate) {
    std::int64_t bytes = 0;
    PreparedIndex* const index = prepared(candidate);
    std::optional<pg::Error> failure;
    if (index != nullptr)
        failure = without_locks([&] { bytes = pool_.bytes(*index); });
    if (failure && ends_the_run(*failure))
        throw *failure;
    // It cannot be built, or the table went away, or is another one now: too large to be worth anything.
    constexpr std::uint64_t never = std::uint64_t{1} << 50;
    return failure || index == nullptr || too_long_row(*index) > 0
               ? never
               : static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 1));
}

double PlannerCosts::write_cost(RelationId relation, const Configuration& configuration) {
    if (configuration.added.empty() && configuration.hidden.empty())
        return 0.0;
    leave_role();
    return writes_.cost(relation, configuration, [this](const Candidate& candidate) { return size(candidate); });
}

double PlannerCosts::statement_write_cost(std::size_t statement, const Configuration& configuration) {
    if (uses_.at(statement).writes.empty())
        return 0.0;
    leave_role();
    return writes_.statement_cost(uses_[statement], configuration,
                                  [this](const Candidate& candidate) { return size(candidate); });
}

PlannerCosts::Explained PlannerCosts::explain(std::size_t statement, const Configuration& configuration) {
    Entry& entry = entries_.at(statement);
    const Resolved added = resolve(configuration.added);
    enter_role(entry);
    // Known values give the plan that somebody really got.
    Variant& variant = entry.variants.back();
    Explained explained;
    explained.known_values = variant.known_values;
    const std::optional<pg::Error> failure = without_locks([&] {
        const pg::MemoryScope scratch("citadel_opt plan");
        const ArmedIndexes armed(pool_, added.indexes, configuration.hidden);
        ++planner_calls_;
        explained.plan =
            explain_json(variant.statement.plan(variant.parameters), variant.statement.text(), variant.parameters);
    });
    if (failure && ends_the_run(*failure))
        throw *failure;
    leave_role();
    return explained;
}

} // namespace citadel::advisor
