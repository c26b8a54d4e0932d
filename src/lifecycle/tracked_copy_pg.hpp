// A copy of a table that is in use: in partitions of their own, brought about in batches, with whatever is written
// meanwhile copied again.
//
// Three objects beside the source, all its owner's: a partitioned table that nobody knows of (`citadel_split_N`), whose
// partitions the rows are copied into; a table of changes (`citadel_changes_N`), into which a trigger of the same name
// writes the key of each row that is inserted, updated or deleted. Keys are all that is needed: to catch up, the rows
// of a key are taken out of the copy and copied again as they are by then. So it does not matter in which order changes
// are noted, nor whether a batch had seen them, and a key need not be unique.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

#include <string>
#include <vector>

namespace citadel::lifecycle::plain {

class TrackedCopy {
  public:
    // `operation` makes its names.
    TrackedCopy(const Policy& policy, Oid source, std::int64_t operation);

    // Makes the three. Takes SHARE ROW EXCLUSIVE on the source: what commits afterwards is noted.
    void create();
    // Why the copy is no longer one of the source: somebody removed or switched off a part of it, emptied the source
    // or changed its columns. Empty: it is.
    std::string trouble() const;
    // Makes partitions for all rows of the source that have none, for the periods between, and up to `end`. Number of
    // new ones.
    int make_partitions(const Zone& zone, Place end);
    std::vector<Partition> partitions() const;

    // Copies the rows in the blocks [first, end) of the source, as they are now.
    void copy_blocks(std::int64_t first, std::int64_t end);
    // Noted changes, counted up to `most`.
    std::int64_t pending(std::int64_t most) const;
    // Copies the rows of up to `most` noted changes again; how many it took. One by one, or (many) in one look through
    // both sides.
    enum class Look { by_key, through_all };
    std::int64_t catch_up(std::int64_t most, Look look = Look::by_key);
    // Compares the rows of [lower, upper) on both sides, but for those that are noted as changed. Call it in a
    // REPEATABLE READ transaction. Raises XX001 when they differ. Rows compared.
    std::int64_t compare(Place lower, Place upper) const;
    // Removes the triggers, the changes and the partitioned table, with all partitions that are still in it.
    void remove();

    const std::string& table() const { return copy_; }

  private:
    void make_partition(Place lower, Place upper);
    std::vector<std::string> keys() const;
    std::string same_key(const char* one, const char* other) const;

    const Policy& policy_;
    Oid source_;
    std::string from_, copy_, changes_, name_;
};

} // namespace citadel::lifecycle::plain
