// How large a B-tree will be, before it exists.
#pragma once

#include "advisor/key_frequency.hpp"

#include <cstdint>
#include <vector>

namespace citadel::advisor {

// What the size of an index depends on, a column.
struct SizedColumn {
    bool variable_width = false; // varlena or cstring
    int width = 4;               // bytes as stored: fixed length, or the average of pg_stats.avg_width
    int alignment = 4;           // 1, 2, 4 or 8 bytes
    double null_fraction = 0.0;  // 0..1
};

struct SizedIndex {
    double rows = 0.0;
    std::vector<SizedColumn> columns; // key, then included columns
    double tuple_bytes = 0.0;         // measured mean of a tuple, aligned; 0: follows from the columns
    bool tuples_vary = true;          // with measured tuples: they are not all of one size
    std::vector<KeyClass> classes;    // how often keys stand in the table, where measured; else the three below
    double distinct_keys = 0.0;  // distinct values of the whole key, NULL counted as one; 0: unknown, taken as unique
    double distinct_least = 0.0; // what distinct_keys is at least, if its columns are not independent
    std::vector<double> common;  // rows of each of the most common keys, where known; part of distinct_keys
    bool deduplicates = true;    // not for unique keys, INCLUDE, or operator classes without equalimage
    int fill_factor = 90;        // per cent, leaf pages
    int block_size = 8192;
};

struct IndexSize {
    std::uint64_t leaf_pages = 0;
    std::uint64_t pages = 1;   // all, with metapage and inner levels
    int tree_height = 0;       // levels above the leaves, as _bt_getrootheight() counts
    double tuples = 0.0;       // as pg_class.reltuples of the index will say: one a row
    std::int64_t too_long = 0; // bytes of a tuple that the index cannot take, so that its build fails; 0: all fit
    std::uint64_t bytes(int block_size = 8192) const { return pages * static_cast<std::uint64_t>(block_size); }
};

// The longest tuples, aligned, on pages of 8 kB: BTMaxItemSize(), GinMaxItemSize, INDEX_SIZE_MASK.
constexpr std::int64_t longest_btree_tuple = 2704;
constexpr std::int64_t longest_gin_tuple = 2712;
constexpr std::int64_t longest_index_tuple = 8191;

// The size that CREATE INDEX would give. Follows the server's own bulk build: index_form_tuple() for the tuple (8-byte
// header, null bitmap, alignment), _bt_dedup_save_htid() and _bt_load() for posting lists (at most a tenth of a page),
// _bt_buildadd() and _bt_pagestate() for when a page is full (fill factor, high key, 70 % on inner levels), and
// _bt_uppershutdown() for the levels up to the root.
IndexSize btree_size(const SizedIndex& index);

// Average bytes of one index tuple without its line pointer.
double btree_tuple_size(const std::vector<SizedColumn>& columns);

} // namespace citadel::advisor
