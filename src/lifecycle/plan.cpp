#include "lifecycle/plan.hpp"

#include "lifecycle/calendar.hpp"

#include <algorithm>

namespace citadel::lifecycle {

namespace {

constexpr std::size_t most_periods = 2000; // of one plan; the next run goes on

// The clock on the wall for the key of this table. Only whole days of a timestamptz key depend on the zone: hours are
// the same everywhere, and the other kinds are written as the wall clock shows them.
class Wall {
  public:
    Wall(const Policy& policy, const Zone& zone)
        : zone_(zone), converts_(policy.kind == ColumnKind::timestamptz && policy.interval.micros == 0),
          kind_(policy.kind) {}
    std::int64_t from_key(Place place) const { return converts_ && finite(place) ? zone_.to_local(place) : place; }
    Place to_key(std::int64_t local) const { return converts_ && finite(local) ? zone_.to_utc(local) : local; }
    std::int64_t from_now(std::int64_t now) const {
        return converts_ || kind_ != ColumnKind::timestamptz ? zone_.to_local(now) : now;
    }

  private:
    static bool finite(Place place) { return place != open_low && place != open_high; }
    const Zone& zone_;
    bool converts_;
    ColumnKind kind_;
};

std::vector<Partition> ranges(const std::vector<Partition>& partitions) {
    std::vector<Partition> sorted;
    for (const Partition& partition : partitions)
        if (!partition.is_default)
            sorted.push_back(partition);
    std::sort(sorted.begin(), sorted.end(), [](const Partition& a, const Partition& b) { return a.lower < b.lower; });
    return sorted;
}

const Partition* default_of(const std::vector<Partition>& partitions) {
    for (const Partition& partition : partitions)
        if (partition.is_default)
            return &partition;
    return nullptr;
}

// The first partition that ends after `place`: the one that covers it, or the next one above.
const Partition* at_or_above(const std::vector<Partition>& sorted, Place place) {
    const auto found = std::upper_bound(sorted.begin(), sorted.end(), place,
                                        [](Place p, const Partition& partition) { return p < partition.upper; });
    return found == sorted.end() ? nullptr : &*found;
}

const Partition* covering(const std::vector<Partition>& sorted, Place place) {
    const Partition* partition = at_or_above(sorted, place);
    return partition != nullptr && partition->lower <= place ? partition : nullptr;
}

Place anchor(const Facts& facts) {
    return facts.policy.kind == ColumnKind::integer ? facts.newest.value_or(0) : facts.now;
}

class Planner {
  public:
    Planner(const Facts& facts, const Zone& zone)
        : facts_(facts), policy_(facts.policy), zone_(zone), wall_(facts.policy, zone),
          sorted_(ranges(facts.partitions)), default_(default_of(facts.partitions)) {}

    std::vector<Step> run() {
        finalize_pending();
        default_rows();
        ahead();
        default_partition();
        going_on();
        expired();
        return std::move(steps_);
    }

  private:
    std::string destructive_block(bool enabled, const char* what) const {
        if (std::string elsewhere = not_at_home(policy_); !elsewhere.empty())
            return elsewhere;
        if (!enabled)
            return std::string("the policy has ") + what + " switched off";
        if (!hours_allow(policy_, facts_.now, zone_))
            return "outside the allowed hours " + policy_.allowed_hours;
        return {};
    }

    Step step(Action action, std::string target, std::string lock, std::string reason) const {
        Step made;
        made.action = action;
        made.target = std::move(target);
        made.lock = std::move(lock);
        made.reason = std::move(reason);
        return made;
    }

    std::string name_of(const Partition& partition) const { return partition.schema + "." + partition.name; }

    std::string attach_lock() const {
        std::string lock = "SHARE UPDATE EXCLUSIVE on " + facts_.relation;
        if (default_ != nullptr)
            lock += ", ACCESS EXCLUSIVE on " + name_of(*default_);
        return lock;
    }

    std::string bounds_text(Place lower, Place upper) const {
        return "[" + facts_.place_text(lower, policy_) + ", " + facts_.place_text(upper, policy_) + ")";
    }

    // An interrupted concurrent detach hides the partition's rows and refuses new ones in its range.
    void finalize_pending() {
        for (const Partition& partition : sorted_) {
            if (!partition.detach_pending || operation_of(partition.oid) != nullptr)
                continue;
            Step made = step(Action::finalize_detach, name_of(partition),
                             "ACCESS EXCLUSIVE on " + name_of(partition) + " and its parent's catalogue entry",
                             "a concurrent detach was interrupted: its rows are hidden and inserts in its range fail");
            made.subject = partition.oid;
            if (!policy_.detach_enabled)
                made.blocked = "the policy has detaching switched off";
            steps_.push_back(made);
        }
    }

    const Operation* operation_of(std::uint32_t oid) const {
        for (const Operation& operation : facts_.open)
            if (operation.kind == "expire" && operation.subject == oid)
                return &operation;
        return nullptr;
    }

    // The period of `local`, cut to what no partition covers. False when `place` itself is covered.
    bool gap_at(Place place, Place& lower, Place& upper) const {
        const std::int64_t local = wall_.from_key(place);
        lower = wall_.to_key(period_start(local, policy_.interval));
        upper = wall_.to_key(next_period(local, policy_.interval));
        for (const Partition& partition : sorted_) {
            if (partition.lower <= place && place < partition.upper)
                return false;
            if (partition.upper <= place)
                lower = std::max(lower, partition.upper);
            else if (partition.lower > place)
                upper = std::min(upper, partition.lower);
        }
        return lower < upper;
    }

    void default_rows() {
        if (default_ == nullptr)
            return;
        for (const Place place : facts_.default_places) {
            Place lower = 0;
            Place upper = 0;
            if (!gap_at(place, lower, upper) || planned(lower))
                continue;
            Step made = step(Action::move_default_rows, bounds_text(lower, upper), attach_lock(),
                             "rows of this range lie in the default partition");
            made.lower = lower;
            made.upper = upper;
            made.subject = default_->oid;
            made.blocked = not_at_home(policy_);
            if (made.blocked.empty())
                made.blocked = policy_.create_enabled ? facts_.brake : "the policy has making partitions switched off";
            steps_.push_back(made);
        }
    }

    bool planned(Place lower) const {
        return std::any_of(steps_.begin(), steps_.end(), [lower](const Step& s) {
            return (s.action == Action::move_default_rows || s.action == Action::create_partition) &&
                   s.lower <= lower && lower < s.upper;
        });
    }

    void ahead() {
        const std::int64_t first = period_start(
            policy_.kind == ColumnKind::integer ? anchor(facts_) : wall_.from_now(facts_.now), policy_.interval);
        std::int64_t horizon = first;
        for (int i = 0; i <= policy_.premake; ++i)
            horizon = next_period(horizon, policy_.interval);
        std::int64_t local = first;
        while (local < horizon && steps_.size() < most_periods) {
            const Place place = wall_.to_key(local);
            if (const Partition* there = covering(sorted_, place)) {
                if (there->upper == open_high)
                    return;
                local = wall_.from_key(there->upper);
                continue;
            }
            std::int64_t next = next_period(local, policy_.interval);
            if (const Partition* above = at_or_above(sorted_, place))
                if (above->lower < wall_.to_key(next))
                    next = wall_.from_key(above->lower);
            const Place upper = wall_.to_key(next);
            if (next <= local || upper <= place || upper > facts_.highest)
                return;
            if (!planned(place))
                create(place, upper);
            local = next;
        }
    }

    void create(Place lower, Place upper) {
        Step made =
            step(Action::create_partition, bounds_text(lower, upper), attach_lock(),
                 std::to_string(policy_.premake) + " partitions of " + policy_.interval_text + " are to exist ahead");
        made.lower = lower;
        made.upper = upper;
        if (!policy_.create_enabled)
            made.blocked = "the policy has making partitions switched off";
        steps_.push_back(made);
    }

    void default_partition() {
        if (!policy_.default_partition)
            return;
        if (*policy_.default_partition && default_ == nullptr) {
            Step made = step(Action::create_default, facts_.relation, "ACCESS EXCLUSIVE on " + facts_.relation,
                             "the policy wants a default partition");
            if (!policy_.create_enabled)
                made.blocked = "the policy has making partitions switched off";
            steps_.push_back(made);
        } else if (!*policy_.default_partition && default_ != nullptr) {
            Step made = step(Action::drop_default, name_of(*default_), "ACCESS EXCLUSIVE on " + facts_.relation,
                             "the policy wants no default partition");
            made.subject = default_->oid;
            made.blocked =
                !facts_.default_is_empty ? "it holds rows" : destructive_block(policy_.detach_enabled, "detaching");
            steps_.push_back(made);
        }
    }

    // The steps of one expiring partition from `state` on. What follows a step that is not done waits, too.
    void chain(const std::string& state, std::uint32_t subject, const std::string& target, std::int64_t operation,
               Place lower, Place upper, const std::string& obstacle, const std::string& holds,
               const std::optional<std::int64_t>& not_before, const std::string& begun_to) {
        const bool archives = !begun_to.empty() || policy_.on_expiry == OnExpiry::archive;
        const std::string& destination = begun_to.empty() ? policy_.archive_to : begun_to;
        const bool moves = archives && destination.rfind("schema", 0) == 0;
        std::string waits;
        const auto add = [&](Action action, std::string lock, std::string reason, std::string blocked) {
            Step made = step(action, target, std::move(lock), std::move(reason));
            made.subject = subject;
            made.operation_id = operation;
            made.lower = lower;
            made.upper = upper;
            made.blocked = !waits.empty() ? waits : std::move(blocked);
            if (!made.blocked.empty() && waits.empty())
                waits = "waits for the step before it";
            steps_.push_back(made);
        };
        const auto first_of = [](const std::string& a, const std::string& b) { return a.empty() ? b : a; };
        const std::string pause =
            not_before && *not_before > facts_.now ? "tried again after " + time_text(*not_before) : std::string();
        const std::string kept = first_of(holds, obstacle);

        const bool undo = state == "undoing";
        if (undo) {
            add(Action::undo, attach_lock(), "the expiry is being undone", not_at_home(policy_));
            return;
        }
        if (state == "planned" || state == "detaching")
            add(Action::detach,
                default_ != nullptr ? "ACCESS EXCLUSIVE on " + facts_.relation + ", briefly"
                                    : "SHARE UPDATE EXCLUSIVE on " + facts_.relation,
                "lies wholly before " + cutoff_text(),
                first_of(first_of(kept, destructive_block(policy_.detach_enabled, "detaching")), pause));
        if (policy_.on_expiry == OnExpiry::detach && !archives)
            return;
        const bool open = state == "planned" || state == "detaching" || state == "detached";
        if (open)
            add(Action::close_to_writers, "ACCESS EXCLUSIVE on " + target, "nobody may change it from here on",
                first_of(first_of(kept, archives ? destructive_block(policy_.archive_enabled, "archiving")
                                                 : destructive_block(policy_.drop_enabled, "dropping")),
                         pause));
        const bool uncopied = open || state == "closed" || state == "copying";
        if (archives && uncopied)
            add(Action::archive, moves ? "ACCESS EXCLUSIVE on " + target : "ACCESS SHARE on " + target,
                "to " + destination,
                first_of(
                    first_of(first_of(kept, destructive_block(policy_.archive_enabled, "archiving")), facts_.brake),
                    pause));
        if (archives && (uncopied || state == "verifying"))
            add(Action::verify, "ACCESS SHARE on " + target,
                moves ? "the catalogue gets its rows and hash" : "the copy is read again where it lies",
                first_of(first_of(destructive_block(policy_.archive_enabled, "archiving"), facts_.brake), pause));
        if (moves)
            return;
        std::string quarantine;
        if (state == "quarantined" || state == "dropping")
            quarantine = not_before && *not_before > facts_.now ? "in quarantine until " + time_text(*not_before) : "";
        else if (policy_.quarantine_us > 0)
            quarantine = "in quarantine for " + std::to_string(policy_.quarantine_us / micros_per_hour) +
                         " hours after the step before it";
        add(Action::drop, "ACCESS EXCLUSIVE on " + target,
            archives ? "a verified copy lies in " + destination : "the policy says drop",
            first_of(first_of(kept, destructive_block(policy_.drop_enabled, "dropping")), quarantine));
    }

    std::string time_text(std::int64_t utc) const {
        Policy utc_policy = policy_;
        utc_policy.kind = ColumnKind::timestamptz;
        return facts_.place_text(utc, utc_policy);
    }

    std::string cutoff_text() const {
        const std::optional<Place> place = cutoff(facts_, zone_);
        return place ? facts_.place_text(*place, policy_) : "the cutoff that held when it was detached";
    }

    void going_on() {
        for (const Operation& operation : facts_.open)
            if (operation.kind == "expire")
                chain(operation.state, operation.subject, operation.subject_schema + "." + operation.subject_name,
                      operation.id, open_low, open_high, operation.obstacle, operation.holds, operation.not_before,
                      operation.archive_to);
    }

    void expired() {
        const std::optional<Place> before = cutoff(facts_, zone_);
        if (!before)
            return;
        for (const Partition& partition : sorted_) {
            // An open upper end never expires, whatever lies inside.
            if (partition.upper == open_high || partition.upper > *before || partition.detach_pending ||
                operation_of(partition.oid) != nullptr)
                continue;
            chain("planned", partition.oid, name_of(partition), 0, partition.lower, partition.upper, partition.obstacle,
                  partition.holds, std::nullopt, {});
        }
    }

    const Facts& facts_;
    const Policy& policy_;
    const Zone& zone_;
    Wall wall_;
    std::vector<Partition> sorted_;
    const Partition* default_;
    std::vector<Step> steps_;
};

} // namespace

const char* action_name(Action action) {
    switch (action) {
    case Action::create_partition:
        return "create partition";
    case Action::create_default:
        return "create default partition";
    case Action::drop_default:
        return "drop default partition";
    case Action::move_default_rows:
        return "move rows out of default";
    case Action::finalize_detach:
        return "finalize detach";
    case Action::detach:
        return "detach";
    case Action::close_to_writers:
        return "shut out writers";
    case Action::archive:
        return "archive";
    case Action::verify:
        return "verify";
    case Action::drop:
        return "drop";
    case Action::undo:
        return "undo";
    case Action::move_rows:
        return "move rows";
    case Action::convert:
        return "convert";
    case Action::split:
        return "split";
    case Action::restore:
        return "restore";
    }
    return "?";
}

std::vector<Step> plan(const Facts& facts, const Zone& zone) {
    return Planner(facts, zone).run();
}

std::optional<Place> cutoff(const Facts& facts, const Zone& zone) {
    if (!facts.policy.retain)
        return std::nullopt;
    if (facts.policy.kind == ColumnKind::integer) {
        if (!facts.newest)
            return std::nullopt;
        return minus(*facts.newest, *facts.policy.retain);
    }
    const Wall wall(facts.policy, zone);
    return wall.to_key(minus(wall.from_now(facts.now), *facts.policy.retain));
}

std::optional<Place> covered_until(const Facts& facts) {
    const std::vector<Partition> sorted = ranges(facts.partitions);
    Place place = anchor(facts);
    const Partition* partition = covering(sorted, place);
    if (partition == nullptr)
        return std::nullopt;
    while (partition != nullptr) {
        place = partition->upper;
        if (place == open_high)
            break;
        partition = covering(sorted, place);
    }
    return place;
}

std::string not_at_home(const Policy& policy) {
    if (policy.at_home)
        return {};
    return "this database was restored or cloned: resume_lifecycle_policy(" + std::to_string(policy.id) + ") first";
}

bool hours_allow(const Policy& policy, std::int64_t now, const Zone& zone) {
    const auto hours = parse_hours(policy.allowed_hours);
    return !hours || within_hours(*hours, zone.to_local(now));
}

std::string outside_hours(const Policy& policy) {
    return "outside the hours " + policy.allowed_hours;
}

} // namespace citadel::lifecycle
