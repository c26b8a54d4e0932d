#include "pg/spi.hpp"

#include "pg/path.hpp"

#include <cstdlib>

extern "C" {
#include "executor/spi.h"
#include "utils/snapmgr.h"
}

namespace citadel::pg {

const std::string& Rows::text(std::size_t row, std::size_t column) const {
    static const std::string nothing;
    const auto& value = cell(row, column);
    return value ? *value : nothing;
}

std::int64_t Rows::int64(std::size_t row, std::size_t column) const {
    return std::strtoll(text(row, column).c_str(), nullptr, 10);
}

double Rows::float8(std::size_t row, std::size_t column) const {
    return std::strtod(text(row, column).c_str(), nullptr);
}

bool Rows::boolean(std::size_t row, std::size_t column) const {
    return text(row, column) == "t";
}

Oid Rows::oid(std::size_t row, std::size_t column) const {
    return static_cast<Oid>(std::strtoul(text(row, column).c_str(), nullptr, 10));
}

Spi::Spi() {
    guc_level_ = pin_search_path();
    guard([] {
        const int code = SPI_connect();
        if (code != SPI_OK_CONNECT)
            elog(ERROR, "SPI_connect failed: %s", SPI_result_code_string(code));
    });
}

Spi::~Spi() {
    // SPI_finish reports by its result, and end_pinned_path only restores what pin_search_path saved.
    SPI_finish();
    unpin_search_path(guc_level_);
}

int Spi::run(const std::string& sql, const std::vector<Arg>& arguments, long max_rows) {
    std::vector<Oid> types;
    std::vector<Datum> values;
    std::vector<char> nulls;
    for (const Arg& argument : arguments) {
        types.push_back(argument.type);
        values.push_back(to_datum(argument));
        nulls.push_back(argument.is_null ? 'n' : ' ');
    }
    const char* text = sql.c_str();
    const int count = static_cast<int>(arguments.size());
    Oid* type_array = types.data();
    Datum* value_array = values.data();
    const char* null_array = nulls.data();
    return guard([=] {
        const int code = SPI_execute_with_args(text, count, type_array, value_array, null_array, false, max_rows);
        if (code < 0)
            elog(ERROR, "SPI could not run \"%s\": %s", text, SPI_result_code_string(code));
        return code;
    });
}

Rows Spi::query(const std::string& sql, const std::vector<Arg>& arguments, long max_rows) {
    run(sql, arguments, max_rows);
    Rows rows;
    SPITupleTable* table = SPI_tuptable;
    if (table == nullptr)
        return rows;
    rows.rows_ = table->numvals;
    rows.columns_ = static_cast<std::size_t>(table->tupdesc->natts);
    rows.cells_.reserve(rows.columns_ * table->numvals);
    for (std::uint64_t row = 0; row < table->numvals; ++row) {
        for (int column = 1; column <= table->tupdesc->natts; ++column) {
            const char* value = guard([=] { return SPI_getvalue(table->vals[row], table->tupdesc, column); });
            if (value == nullptr) {
                rows.cells_.emplace_back(std::nullopt);
            } else {
                rows.cells_.emplace_back(value);
                guard([value] { pfree(const_cast<char*>(value)); });
            }
        }
    }
    SPI_freetuptable(table);
    return rows;
}

std::uint64_t Spi::execute(const std::string& sql, const std::vector<Arg>& arguments) {
    run(sql, arguments, 0);
    const std::uint64_t processed = SPI_processed;
    SPI_freetuptable(SPI_tuptable);
    return processed;
}

} // namespace citadel::pg
