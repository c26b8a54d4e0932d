// How large indexes of the other access methods will be, before they exist: hash, BRIN, GIN, GiST.
#pragma once

#include "advisor/index_size.hpp"

#include <cstdint>
#include <vector>

namespace citadel::advisor {

// The keys of a sample of rows: how often each was seen.
struct SampledKeys {
    double rows = 0.0;          // sampled
    double occurrences = 0.0;   // of keys in them
    double distinct = 0.0;      // keys seen
    double once = 0.0;          // keys seen exactly once
    std::vector<double> common; // how often each of the keys was seen that are too frequent for chance
    bool whole = false;         // the sample is the table
    // Distinct keys among `total` occurrences, of which the sample is a part: Duj1 of Haas and Stokes, as ANALYZE uses.
    double distinct_of(double total) const;
};

// Counts equal hashes; sorts them.
SampledKeys count_keys(std::vector<std::uint64_t>& hashes, double rows, bool whole);

// After _hash_init() and _hash_doinsert(): buckets by fill factor in steps of the splitpoints, overflow pages for what
// one bucket cannot hold. `distinct` 0: unknown, taken as unique; `common`: rows of the most common keys.
IndexSize hash_size(double rows, double distinct, const std::vector<double>& common, int fill_factor);

// One summary of `tuple_bytes` for each range of pages, and the map to them.
IndexSize brin_size(double table_pages, int pages_per_range, double tuple_bytes);

struct SizedGin {
    double rows = 0.0;           // of the table
    double rows_per_page = 60.0; // of the table
    SampledKeys keys;            // over all columns
    double key_bytes = 4.0;      // mean of an entry's key as stored
    bool several_columns = false;
};

// Entries with their lists of row pointers, compressed as ginCompressPostingList() does, in the entry's own tuple or in
// a tree of pages when it grows beyond a third of a page. Assumes that the rows of a key lie anywhere in the table.
IndexSize gin_size(const SizedGin& index);

// A tree of tuples of `tuple_bytes` on leaves and `inner_bytes` above. `sorted`: the operator class can build it from
// sorted rows, which fills pages; otherwise they are as full as splits leave them.
IndexSize gist_size(double rows, double tuple_bytes, double inner_bytes, bool sorted, int fill_factor);

} // namespace citadel::advisor
