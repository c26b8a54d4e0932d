// How large indexes of the other access methods will be, before they exist: hash, BRIN, GiST. GIN: gin_size.hpp.
#pragma once

#include "advisor/index_size.hpp"
#include "advisor/key_frequency.hpp"

#include <vector>

namespace citadel::advisor {

// After _hash_init() and _hash_doinsert(): buckets by fill factor in steps of the splitpoints, overflow pages for what
// one bucket cannot hold. Without classes, keys are taken as unique.
IndexSize hash_size(double rows, const std::vector<KeyClass>& classes, int fill_factor);

// One summary of `tuple_bytes` for each range of pages, and the map to them.
IndexSize brin_size(double table_pages, int pages_per_range, double tuple_bytes);

// A tree of tuples of `tuple_bytes` on leaves and `inner_bytes` above, its pages full to the share `fill`.
IndexSize gist_size(double rows, double tuple_bytes, double inner_bytes, double fill);

} // namespace citadel::advisor
