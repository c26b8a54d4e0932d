// Transactions of background workers.
#pragma once

namespace citadel::pg {

// A transaction with an active snapshot, as a worker uses it. commit() ends it well; the destructor of an uncommitted
// one aborts. `activity` is shown in pg_stat_activity meanwhile.
class Transaction {
  public:
    explicit Transaction(const char* activity = nullptr);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    void commit();

  private:
    bool open_ = true;
};

} // namespace citadel::pg
