// A sample of a table's rows, read once a run, and the values of columns and expressions in it.
#pragma once

#include "advisor/key_frequency.hpp"

#include "pg/server.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

extern "C" {
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
}

namespace citadel::advisor {

// One column or expression over the sampled rows, in their order. Lives as long as the sample.
struct SampledValues {
    Oid type = InvalidOid;
    std::int32_t modifier = -1;
    Oid collation = InvalidOid;
    std::int16_t length = -1; // as pg_type.typlen
    bool by_value = false;
    char alignment = 'i';
    char storage = 'p';   // as pg_attribute.attstorage
    char compression = 0; // as pg_attribute.attcompression
    std::size_t count = 0;
    const Datum* values = nullptr; // an expression's in the sample's memory, a column's inside its tuple
    const bool* nulls = nullptr;
    // Of each value: its bytes in an index tuple without alignment (-1: NULL), and a hash of its image. Worked out at
    // first need.
    std::vector<std::int32_t> bytes;
    std::vector<std::uint64_t> hashes;
};

// Does the expression call nothing but functions that a superuser wrote in C, or that came with the server? Other code
// must not run in a worker, nor as a table's owner, for somebody who only asks. With `owner`, functions of that role
// are taken as well.
bool calls_trusted_code_only(const Node* expression, Oid owner = InvalidOid);

// What index_form_tuple() makes of a value that is neither compressed nor stored elsewhere: long ones are compressed.
// `storage` and `compression` as in pg_attribute. Under a guard.
std::int32_t bytes_in_index(varlena* plain, char storage, char compression);

class TableSample {
  public:
    // Reads at most `most_rows` rows of at most `most_pages` pages, spread over the table, the same ones for the same
    // table; without regard to row security, and noted by nobody. `rows` and `pages`: the planner's estimates.
    TableSample(Oid table, double rows, BlockNumber pages);
    TableSample(const TableSample&) = delete;
    TableSample& operator=(const TableSample&) = delete;
    ~TableSample();

    std::size_t size() const { return count_; }
    bool whole() const { return whole_; } // every row there is
    MemoryContext memory() const { return memory_; }

    // nullptr when there is nothing to be had: the expression uses other functions than those that a superuser wrote
    // in C, or it fails for a row. Expressions run as the table's owner, restricted. They are over Vars with
    // varno 1; equal ones are evaluated once.
    SampledValues* column(AttrNumber column);
    SampledValues* expression(const Node* expression);
    // In which rows the predicate (a list with AND between its members) holds; nullptr as above.
    const std::vector<bool>* matches(const List* predicate);

    // Fills `bytes` and `hashes`.
    void measure(SampledValues& values);

    // Keys that were counted, by columns (sorted) and rows.
    using Counted =
        std::map<std::pair<std::vector<SampledValues*>, const std::vector<bool>*>, std::shared_ptr<CountedKeys>>;
    Counted& counted() { return counted_; }

    static constexpr int most_rows = 30000;
    static constexpr int most_pages = 10000;

  private:
    struct Known {
        AttrNumber column;
        const Node* expression; // nullptr: the column
        bool failed;
        SampledValues values;
    };
    struct Matched {
        const List* predicate;
        bool failed;
        std::vector<bool> rows;
    };
    Oid table_;
    MemoryContext memory_;
    HeapTuple* rows_ = nullptr;
    TupleDesc descriptor_ = nullptr;
    std::size_t count_ = 0;
    bool whole_ = false;
    std::vector<std::unique_ptr<Known>> known_;
    std::vector<std::unique_ptr<Matched>> matched_;
    Counted counted_;

    Known& evaluate(const Node* expression);
};

} // namespace citadel::advisor
