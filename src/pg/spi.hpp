// SQL from C++: the one way in. Parameters are bound, search_path is pinned, results are C++ strings.
#pragma once

#include "pg/text.hpp"

#include <string>
#include <vector>

namespace citadel::pg {

// The rows of one query, materialised: they outlive the Spi scope. Columns count from 0. Reading a NULL as a value
// gives the empty string, 0 or false; ask is_null() where that matters.
class Rows {
  public:
    std::size_t size() const { return rows_; } // a row may have no column
    bool empty() const { return rows_ == 0; }
    bool is_null(std::size_t row, std::size_t column) const { return !cell(row, column).has_value(); }
    const std::string& text(std::size_t row, std::size_t column) const;
    std::int64_t int64(std::size_t row, std::size_t column) const;
    double float8(std::size_t row, std::size_t column) const;
    bool boolean(std::size_t row, std::size_t column) const;
    Oid oid(std::size_t row, std::size_t column) const;

  private:
    friend class Spi;
    const std::optional<std::string>& cell(std::size_t row, std::size_t column) const {
        return cells_.at(row * columns_ + column);
    }
    std::size_t rows_ = 0;
    std::size_t columns_ = 0;
    std::vector<std::optional<std::string>> cells_;
};

// An SPI connection for the length of a scope. While it lasts, search_path is `pg_catalog, pg_temp`: every object of
// ours is named with its schema. Needs an open transaction; read-write.
class Spi {
  public:
    Spi();
    Spi(const Spi&) = delete;
    Spi& operator=(const Spi&) = delete;
    ~Spi();

    // Runs one statement and returns its rows; more than `max_rows` (0: no limit) are not fetched.
    Rows query(const std::string& sql, const std::vector<Arg>& arguments = {}, long max_rows = 0);
    // Runs one statement; the number of rows it processed.
    std::uint64_t execute(const std::string& sql, const std::vector<Arg>& arguments = {});

  private:
    int run(const std::string& sql, const std::vector<Arg>& arguments, long max_rows);
    int guc_level_ = 0;
};

} // namespace citadel::pg
