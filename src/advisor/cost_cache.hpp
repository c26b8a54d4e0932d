// What statements cost under sets of indexes, and what is known about it without asking again.
#pragma once

#include "advisor/model.hpp"
#include "advisor/search.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace citadel::advisor {

// What a plan's cost changes by when it uses another index in the place of one. `added`: a position in the
// configuration.
struct Substitute {
    std::optional<std::size_t> added;
    IndexId existing = 0; // if not an added one; 0: none at all, the table is read through
    double change = 0.0;
};

struct Substitution {
    std::size_t added = 0; // that is used, by position
    std::vector<Substitute> others;
};

// A statement's plan under a configuration.
struct Priced {
    double cost = 0.0; // of one execution
    // The indexes of the configuration that the plan uses, and the existing ones. Without that knowledge every index
    // that concerns the statement counts as used.
    bool knows_used = false;
    std::vector<Candidate> added;
    std::vector<IndexId> existing;
    // Plans beside this one, as far as they can be told from it: each at about its cost, or less.
    std::vector<Substitution> substitutions = {};
};

// Where costs come from: the what-if engine, or a table in a test.
class CostSource {
  public:
    virtual ~CostSource() = default;
    // `configuration` holds only what concerns the statement.
    virtual Priced price(std::size_t statement, const Configuration& configuration) = 0;
    // Comes before anything is asked about these.
    virtual void prepare(const std::vector<Candidate>&) {}
    // Bytes on disk.
    virtual std::uint64_t size(const Candidate& candidate) = 0;
    // What the workload's writes to this table cost with these changes to its indexes, less what they cost today, in
    // the unit of `price` times weight. Negative when less is to be maintained.
    virtual double write_cost(RelationId, const Configuration&) { return 0.0; }
    // What one execution of a statement spends on writing rows and index entries, beyond its plan.
    virtual double statement_write_cost(std::size_t, const Configuration&) { return 0.0; }
};

// The plans that were made, by statement. A plan that was made with the indexes C on offer and uses U of them is the
// plan under every set between U and C as well: the planner had all of it, and preferred this. So most sets cost no
// planner call (the argument of the index benefit graph, Frank, Omiecinski and Navathe 1992).
class CostCache {
  public:
    struct Plan {
        double cost = 0.0;
        std::vector<Item> used;    // sorted
        std::vector<Item> offered; // sorted
        // What could stand in the place of an item that is used, the joins being the same; sorted by item.
        std::vector<std::pair<Item, std::vector<Item>>> substitutes;
    };
    // The item and what could stand in its place.
    static std::vector<Item> at_place_of(const Plan& plan, Item item);

    CostCache(const std::vector<StatementUse>& statements, CostSource& source);

    // Takes in an index that may be added; the same number for the same index.
    Item add(const Candidate& candidate);
    // Takes in an existing index that may be hidden. It counts as there unless a set leaves it out.
    Item add_existing(RelationId relation, IndexId id);

    std::size_t items() const { return items_.size(); }
    bool is_existing(Item item) const { return items_[item].existing != 0; }
    IndexId existing(Item item) const { return items_[item].existing; }
    RelationId relation(Item item) const { return items_[item].relation; }
    const Candidate& candidate(Item item) const { return items_[item].candidate; }
    std::optional<Item> find(const Candidate& candidate) const;
    // Of an index that may be added, as the source says; 0 of one that exists.
    double bytes(Item item);
    // The items that concern a statement; the statements that an item concerns. In rising order.
    const std::vector<Item>& items_of(std::size_t statement) const { return items_of_[statement]; }
    const std::vector<std::size_t>& statements_of(Item item) const { return items_[item].statements; }

    // What is there is `present[item] != 0`; items beyond its end are not there.
    using Set = std::vector<char>;
    // Nothing added, nothing hidden.
    Set today() const;
    // What is there of a statement's items. Sorted. What one statement needs is asked with these: it costs what
    // concerns the statement, however many items others have.
    using Items = std::vector<Item>;
    Items relevant(std::size_t statement, const Set& present) const;
    Items today(std::size_t statement) const;

    // The plan of a statement under a set: known, or asked for. The reference lasts until the next call.
    const Plan& price(std::size_t statement, const Items& there);
    const Plan& price(std::size_t statement, const Set& present) {
        return price(statement, relevant(statement, present));
    }
    double cost(std::size_t statement, const Items& there) { return price(statement, there).cost; }
    double cost(std::size_t statement, const Set& present) { return price(statement, present).cost; }
    bool is_known(std::size_t statement, const Items& there) const { return known(statement, there) != nullptr; }
    bool is_known(std::size_t statement, const Set& present) const {
        return is_known(statement, relevant(statement, present));
    }
    // The plans made so far.
    const std::vector<Plan>& plans(std::size_t statement) const { return plans_[statement]; }
    // Plans that were not made but told from others: with these indexes the statement costs about that, and no less
    // than any plan that had them on offer.
    const std::map<std::vector<Item>, double>& estimates(std::size_t statement) const { return estimates_[statement]; }
    // The lowest cost seen.
    double floor(std::size_t statement) const { return floor_[statement]; }

    std::uint64_t asked() const { return asked_; }
    std::uint64_t computed() const { return computed_; }

  private:
    struct Entry {
        Candidate candidate;
        RelationId relation = 0;
        IndexId existing = 0;
        std::vector<std::size_t> statements;
        double bytes; // below 0: not asked for yet
    };
    Item take(Entry entry, const Candidate* candidate);
    Configuration configuration(std::size_t statement, const Items& there) const;
    void estimate(std::size_t statement, Plan& plan, const Priced& priced, const Configuration& configuration);
    const Plan* known(std::size_t statement, const Items& there) const;

    const std::vector<StatementUse>& statements_;
    CostSource& source_;
    std::vector<Entry> items_;
    std::map<Candidate, Item> number_;
    std::map<IndexId, Item> number_of_existing_;
    std::map<RelationId, std::vector<std::size_t>> statements_on_;
    std::vector<std::vector<Item>> items_of_;
    std::vector<std::vector<Plan>> plans_;
    std::vector<std::map<std::vector<Item>, double>> estimates_;
    std::vector<double> floor_;
    std::uint64_t asked_ = 0;
    std::uint64_t computed_ = 0;
};

} // namespace citadel::advisor
