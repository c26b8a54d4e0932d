// Rows to and from the binary form in which archives are hashed and stored: that of COPY ... (FORMAT binary), in the
// database's encoding. A type without send or receive function is taken in its text form.
//
// encode() and decode() run many times a guarded call: they may ereport, own nothing, and leave their allocations in
// the current memory context. Types' functions run as whoever is current: callers are in the owner's RoleScope.
#pragma once

#include "lifecycle/archive_format.hpp"
#include "pg/server.hpp"

#include <string>
#include <vector>

extern "C" {
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
}

namespace citadel::lifecycle {

// While in scope, the types' functions that convert text from and to the client's encoding leave it in `encoding`.
class EncodingScope {
  public:
    explicit EncodingScope(int encoding);
    EncodingScope(const EncodingScope&) = delete;
    EncodingScope& operator=(const EncodingScope&) = delete;
    ~EncodingScope();

  private:
    int before_;
};

class RowEncoder {
  public:
    // The columns `names` of a row type, in that order; without names all that are not dropped.
    RowEncoder(TupleDesc shape, const std::vector<std::string>& names, int encoding);
    // Appends one row.
    void encode(TupleTableSlot* slot, StringInfo out) const;
    std::size_t columns() const { return columns_.size(); }

  private:
    enum class Form { two_bytes, four_bytes, eight_bytes, one_byte, variable, uuid, send, output };
    struct Column {
        AttrNumber number;
        Form form;
        FmgrInfo function;
    };
    static Form form_of(Oid send_function, int encoding);
    void encode_value(const Column& column, Datum value, StringInfo out) const;
    std::vector<Column> columns_;
    EncodingScope encoding_;
};

class RowDecoder {
  public:
    RowDecoder(TupleDesc shape, const std::vector<std::string>& names, int encoding);
    // Stores the fields into a virtual slot of that row type; columns without a field become NULL. Checks all of it.
    void decode(const format::Field* fields, TupleTableSlot* slot, StringInfo scratch) const;

  private:
    enum class Form { two_bytes, four_bytes, eight_bytes, text, receive, input };
    struct Column {
        int index; // into the slot
        Form form;
        FmgrInfo function;
        Oid parameter;
        std::int32_t modifier;
        bool not_null;
        const char* name; // in the row type
    };
    Datum decode_value(const Column& column, const format::Field& field, StringInfo scratch, bool* null) const;
    int encoding_number_;
    std::vector<Column> columns_;
    EncodingScope encoding_;
};

// Number of the column, from 1; raises 42703 when there is none.
AttrNumber column_number(TupleDesc shape, const std::string& name);
// The columns that are not dropped, in order.
std::vector<std::string> column_names(TupleDesc shape);

} // namespace citadel::lifecycle
