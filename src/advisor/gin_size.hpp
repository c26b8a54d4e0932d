// How large a GIN index will be, before it exists.
#pragma once

#include "advisor/index_size.hpp"
#include "advisor/key_frequency.hpp"

#include <vector>

namespace citadel::advisor {

struct SizedGin {
    double occurrences = 0.0; // of keys, one for each row that has it
    double table_pages = 0.0; // over which the rows are spread
    std::vector<KeyClass> classes;
    bool several_columns = false;
    bool keys_by_reference = true;
    double work_memory = 64.0 * 1024 * 1024; // maintenance_work_mem, bytes
};

// Entries with their lists of row pointers, compressed as ginCompressPostingList() does, in the entry's own tuple or in
// a tree of pages when it grows beyond a third of a page. Rows are gathered in memory (BuildAccumulator); each time
// that is full, they are put in in the order of the keys: pages are split in halves that stay as they are, until a next
// round fills and splits them again.
IndexSize gin_size(const SizedGin& index);

} // namespace citadel::advisor
