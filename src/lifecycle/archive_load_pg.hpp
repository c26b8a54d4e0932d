// Putting an archive's rows into a table of its own, straight into the storage.
#pragma once

#include "lifecycle/archive_entry_pg.hpp"

extern "C" {
#include "access/heapam.h"
}

namespace citadel::lifecycle::archive {

// Rows on their way into a table that has neither indexes nor triggers yet, some hundred at a time. Neither defaults
// nor generation expressions run: what was archived is what is stored. finish() writes the rest; without it the
// transaction has to be aborted.
class BulkLoader {
  public:
    BulkLoader(Oid table, const Entry& entry, int encoding);
    BulkLoader(const BulkLoader&) = delete;
    BulkLoader& operator=(const BulkLoader&) = delete;
    // The fields of one row, in the order of the entry's columns. Runs the types' functions as the current user.
    void add(const format::Field* fields);
    // The same, already as values of the right types.
    void add(TupleTableSlot* row);
    void finish();

  private:
    static constexpr int batch_rows = 500;
    static constexpr std::size_t batch_bytes = 1024 * 1024;
    TupleTableSlot* next_slot();
    void stored(std::size_t bytes);
    void flush();
    OpenRelation table_;
    RowDecoder decoder_;
    std::vector<AttrNumber> numbers_;
    MemoryContext rows_;  // the values of the batch
    MemoryContext slots_; // the slots themselves
    StringInfoData scratch_{};
    TupleTableSlot* batch_[batch_rows] = {};
    int count_ = 0;
    std::size_t bytes_ = 0;
    BulkInsertState state_ = nullptr;
};

// Loads one part into the table; raises XX001 when it is not what was archived.
void load_part(const Entry& entry, const Part& part, Oid table);

} // namespace citadel::lifecycle::archive
