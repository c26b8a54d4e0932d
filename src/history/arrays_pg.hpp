// Columns of rows on their way into INSERT ... SELECT FROM unnest(...), as array parameters.
#pragma once

#include "pg/text.hpp"

#include <string>
#include <vector>

namespace citadel::history {

// Values of one pass-by-value type.
class ValueArray {
  public:
    explicit ValueArray(Oid element) : element_(element) {}
    void add(Datum value);
    void add_null();
    pg::Arg arg() const; // allocated in the current memory context

  private:
    Oid element_;
    std::vector<Datum> values_;
    std::vector<char> nulls_;
};

class TextArray {
  public:
    void add(std::string value);
    void add_null();
    pg::Arg arg() const; // text[]

  private:
    std::vector<std::string> values_;
    std::vector<char> nulls_;
};

class BytesArray {
  public:
    void add(std::string value) { values_.push_back(std::move(value)); }
    pg::Arg arg() const; // bytea[]

  private:
    std::vector<std::string> values_;
};

} // namespace citadel::history
