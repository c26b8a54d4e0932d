// The sets that search.cpp walks through, and what a step from one to another changes. For search.cpp alone.
#pragma once

#include "advisor/search.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

namespace citadel::advisor {

constexpr double least_bytes = 8192.0; // a page: gain a byte of next to nothing means nothing

// Which of a plan's items are not there: how many, and what tells them from others without a look at them.
struct Missing {
    std::uint32_t count = 0;
    std::uint32_t signature = 0; // exclusive or of the items' own; equal sets have equal ones

    bool operator==(const Missing&) const = default;
};

// A set of indexes under construction, with the cost of every statement kept up to date.
struct SearchState {
    std::vector<char> present;
    std::vector<std::uint32_t> plan; // a statement: its cheapest plan that is possible, in the row of all plans
    std::vector<Missing> missing;    // a plan: what of its items is not there
    std::vector<double> written;     // a group: what its writes cost
    std::vector<Item> created;       // in the order of choice
    std::vector<double> value;       // a bundle: adding it gains that at most
    std::vector<std::uint32_t> open; // every bundle whose value is worth a look, and perhaps others
    std::vector<char> is_open;       // a bundle: in `open`
    std::size_t ranked = 0;          // of `open`: that many are sorted by what they promise a byte
    double reads = 0.0;
    double writes = 0.0;
    double bytes = 0.0; // of created ones
    std::size_t existing = 0;
};

class SearchSpace {
  public:
    explicit SearchSpace(const SearchProblem& problem);

    double objective(const SearchState& state) const;
    SearchState initial();
    // What the objective changes by when these items come or go; infinity when that is not allowed. Budget and number
    // are the caller's. The state is the same afterwards.
    double change(SearchState& state, const std::vector<Item>& flips);
    void apply(SearchState& state, const std::vector<Item>& flips);
    // Adding what the bundle lacks; what its members stand in for goes.
    void adding(const SearchState& state, std::uint32_t b, std::vector<Item>& flips) const;
    // Taking it away; what it stood in for comes back if it existed.
    std::vector<Item> removing(const SearchState& state, Item item) const;
    double bytes_of(const SearchState& state, const std::vector<Item>& flips) const;
    bool fits(const SearchState& state, const std::vector<Item>& flips) const;
    // The gain of a bundle; the better of letting go what it stands in for, and keeping it.
    double gain(SearchState& state, std::uint32_t b, std::vector<Item>& flips);
    // Gives every bundle a value that it cannot exceed.
    void bound_all(SearchState& state);
    bool worth_a_look(const SearchState& state, std::uint32_t b);
    void set_value(SearchState& state, std::uint32_t b, double value);
    // Indexes came: gains elsewhere can only have shrunk, except those of bundles that need fewer now. Returns these.
    const std::vector<std::uint32_t>& refresh_after_adding(SearchState& state, const std::vector<Item>& flips);
    // Indexes went: a statement that costs more now has that much more to gain.
    void refresh_after_removing(SearchState& state, const std::vector<Item>& flips);
    // The open bundles that a step has a look at: unless it wants all, of very many the most promising and those opened
    // lately.
    void promising(SearchState& state, bool all, std::vector<std::uint32_t>& found);

    // From here on what happens to the state is written down, so that it can be taken back: a step costs as much as it
    // changes, not as much as there is.
    void begin(SearchState& state);
    void roll_back(SearchState& state);
    void commit();
    // What came or went since begin() has all gone or come again: what was found to be best then is best now.
    // Unless it looks everywhere: then a step may find what those before it did not look at.
    bool is_back() const { return journal_.on && !everywhere_ && journal_.differing == 0 && !journal_.flipped.empty(); }
    // Where space is short, what one step frees may serve anything: each step ranks all that promises something. Else
    // it looks at what it opens itself.
    void look_everywhere(bool everywhere) { everywhere_ = everywhere; }
    // What came or went since begin().
    const std::vector<Item>& flipped() const { return journal_.flipped; }

    // Items that somebody might do without since the last time they were taken: used by statements that have a plan
    // with one that came or went.
    std::vector<Item> take_suspects();
    void suspect(const std::vector<Item>& items);
    // What taking a created item out costs. Remembered until something around it changes.
    double loss(SearchState& state, Item item);
    // Before another state is asked about.
    void forget_losses();
    // The created items that plans of the same statements use.
    std::vector<Item> neighbours(const SearchState& state, Item item) const;
    // Are the plans of all its statements those that were known when the start was searched for?
    bool knows_no_more(Item item) const;

    // Less is no difference.
    double least_gain() const { return least_gain_; }
    const SearchProblem& problem() const { return problem_; }
    // Is there no room for everything that some plan uses?
    bool space_is_short() const { return space_is_short_; }
    std::uint32_t bundles() const { return static_cast<std::uint32_t>(bundles_.size()); }
    const std::vector<Item>& bundle(std::uint32_t b) const { return bundles_[b]; }
    const std::vector<Item>& existing() const { return existing_; }
    std::uint64_t operations() const { return operations_; }

  private:
    static constexpr std::uint32_t no_bundle = std::numeric_limits<std::uint32_t>::max();
    // All plans stand in one row, those of a statement beside each other, cheapest first; the last of a statement uses
    // nothing.
    struct Plan {
        double cost;
        std::uint32_t statement;
        std::uint32_t first_used; // in used_, up to the next plan's
        std::uint32_t bundle;
    };

    // The plans of one statement that use an item.
    struct Uses {
        std::uint32_t statement;
        std::uint32_t first;
        std::uint32_t end;
    };
    struct Change {
        std::uint32_t statement;
        double dearer; // weighted
    };
    struct Journal {
        bool on = false;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> plans; // a statement: its plan before
        std::vector<std::pair<std::uint32_t, double>> values;       // a bundle: its value before
        std::vector<std::pair<std::uint32_t, double>> written;      // a group
        std::vector<Item> flipped;
        std::size_t differing = 0; // so many of them are not as they were
        std::vector<Item> created;
        std::size_t opened = 0; // so many bundles were open
        bool ranked = false;    // anew, since then
        double reads = 0.0;
        double writes = 0.0;
        double bytes = 0.0;
        std::size_t existing = 0;
    };

    // In search_plans.cpp.
    void prepare_statements();
    // A plan that needs more and costs no less than another is never taken.
    static void drop_dominated(std::vector<KnownPlan>& plans);
    void prepare_items();
    void prepare_bundles();
    // The rarest first: that one decides most often that a plan is not possible.
    void order_used();

    void suspect(Item item);
    void suspect_around(const SearchState& state, const std::vector<Item>& flips);
    void doubt_losses(const SearchState& state, const std::vector<Item>& flips);
    bool possible(std::uint32_t plan, const std::vector<char>& present);
    static std::uint32_t signature_of(Item item);
    // Of the items that come with these flips, which are made in the state but not in what plans miss.
    void look_at_coming(const SearchState& state, const std::vector<Item>& flips);
    // Can those that come be what a plan misses, `item` among them? If not, nobody need look at the plan.
    bool may_be_what_misses(const Missing& missing, std::uint32_t item) const;
    std::uint32_t next_possible(std::uint32_t plan, const SearchState& state);
    bool uses_item(std::uint32_t plan, Item item);
    static void flip(SearchState& state, const std::vector<Item>& flips);
    // Also in the count of what plans miss.
    void flip_for_good(SearchState& state, Item item);
    void find_plans(const SearchState& state, const std::vector<Item>& flips);
    // Writes and charges of flips that are made in the state; clears `allowed` when an existing index goes that nothing
    // stands in for.
    double other_change(const SearchState& state, const std::vector<Item>& flips, bool& allowed);
    double charge_of(Item item) const;
    bool stood_in_for(const SearchState& state, Item item) const;
    double written(std::uint32_t group, const std::vector<char>& present);
    std::size_t created_with(const SearchState& state, const std::vector<Item>& flips) const;
    bool take(std::uint32_t b); // for the first time in this round
    void refresh(SearchState& state, std::uint32_t b);
    static bool has_all(const std::vector<Item>& bundle, const std::vector<Item>& items);
    // By what they promise a byte, least first; negative.
    double rank_of(const SearchState& state, std::uint32_t b) const;
    void rank_open(SearchState& state);
    void rank_if_needed(SearchState& state);

    const SearchProblem& problem_;
    std::vector<Plan> plans_;
    std::vector<Item> used_;
    std::vector<std::uint32_t> first_plan_;   // a statement
    std::vector<std::vector<Uses>> uses_of_;  // an item
    std::vector<std::uint32_t> using_plans_;  // what they point into; within one of them cheapest first
    std::vector<std::vector<Item>> covering_; // an item: those that stand in for it
    std::vector<Item> existing_;
    std::vector<std::vector<Item>> groups_;
    std::vector<char> written_to_;           // a group: do its indexes cost anything
    std::vector<std::vector<Item>> bundles_; // indexes that a plan needs together; none of them existing
    std::vector<std::vector<std::uint32_t>> plans_of_bundle_; // that need just its indexes, and perhaps existing ones
    std::vector<std::vector<std::uint32_t>> bundles_of_item_;
    std::vector<std::uint64_t> seen_;    // a statement: in touched_ if it equals stamp_
    std::vector<std::uint32_t> planned_; // its plan then
    std::vector<std::uint32_t> touched_;
    std::vector<std::uint32_t> coming_; // signatures of the items that come, for find_plans()
    std::uint32_t all_coming_ = 0;      // of all of them together
    std::vector<Item> suspects_;
    std::vector<char> suspected_; // an item: in suspects_
    std::vector<char> differs_;   // an item: not as it was at begin()
    std::vector<double> losses_;  // an item; not a number: not known
    std::vector<Change> changed_; // by the last apply()
    std::vector<std::uint64_t> refreshed_mark_;
    std::vector<std::uint32_t> refreshed_;
    std::vector<Item> scratch_;
    std::vector<std::pair<double, std::uint32_t>> ranks_;
    std::vector<std::uint32_t> touched_groups_; // by the last other_change(): written to
    std::map<std::pair<std::uint32_t, std::vector<Item>>, double> written_;
    Journal journal_;
    double least_gain_ = 0.0;
    double last_change_ = 0.0; // by the last apply()
    bool space_is_short_ = false;
    bool everywhere_ = true;
    bool stale_ = false; // many of the open bundles that were looked at are worth nothing any more
    std::uint64_t stamp_ = 0;
    std::uint64_t refresh_stamp_ = 0;
    std::uint64_t operations_ = 0;
};

} // namespace citadel::advisor
