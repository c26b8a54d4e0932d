// Reading relations in the form in which archives are hashed and stored.
#pragma once

#include "lifecycle/content_hash.hpp"
#include "lifecycle/row_codec_pg.hpp"

#include <functional>
#include <string>
#include <vector>

extern "C" {
#include "storage/block.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
}

namespace citadel::lifecycle {

// Encoded rows, some hundred kilobytes at a time.
using RowSink = std::function<void(const char* rows, std::size_t bytes)>;

// An open relation. close() keeps the lock; on the way of an error the transaction's abort closes it.
class OpenRelation {
  public:
    OpenRelation(Oid relation, LOCKMODE lock);
    OpenRelation(OpenRelation&& other) noexcept : relation_(other.relation_) { other.relation_ = nullptr; }
    OpenRelation(const OpenRelation&) = delete;
    OpenRelation& operator=(const OpenRelation&) = delete;
    void close();
    Relation get() const { return relation_; }
    TupleDesc shape() const;
    BlockNumber blocks() const;
    // Whether its rows can be read block by block.
    bool has_blocks() const;

  private:
    Relation relation_;
};

// All visible rows in the blocks [first, end) of a table, straight from the storage: no rule, policy, trigger or
// permission has a say. `sink` may be empty.
ContentHash scan_blocks(const OpenRelation& relation, const RowEncoder& encoder, BlockNumber first, BlockNumber end,
                        const RowSink& sink);

// Gets each row of a query; runs inside a guarded call, so it may ereport and must own nothing.
using SlotTaker = std::function<void(TupleTableSlot*)>;

// The rows of a query, run as the current user; columns in the query's order. Counts and hashes. A query that changes
// data is one too, if it returns rows.
ContentHash hash_query(const std::string& sql, const SlotTaker& take = {});

// The rows of a relation, or of its `columns`, or those that satisfy `where`. Storage is read directly when `direct` is
// set and there is no condition; otherwise as the current user, in whose name the caller has to be.
ContentHash hash_content(Oid relation, const std::vector<std::string>& columns, const std::string& where, bool direct);

} // namespace citadel::lifecycle
