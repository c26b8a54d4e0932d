// Strings, identifiers and SQL arguments on the way in and out of the server.
#pragma once

#include "pg/guard.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace citadel::pg {

// One bound parameter or result column: a type and a value in the form that the server's own input functions take.
struct Arg {
    Oid type = InvalidOid;
    bool is_null = false;
    Datum value = 0;                 // for pass-by-value types
    std::optional<std::string> text; // for types that are passed by reference: text, or the input form of `type`
};

Arg arg(std::int64_t value);
Arg arg(std::int32_t value);
Arg arg(double value);
Arg arg(bool value);
Arg arg(std::string value);
Arg arg(const char* value);
Arg arg_oid(Oid value);
// Microseconds since 2000-01-01, the server's TimestampTz.
Arg arg_timestamptz(TimestampTz value);
// Any type by its input form, for instance arg_as(JSONBOID, "{}") or arg_as(TEXTARRAYOID, "{a,b}").
Arg arg_as(Oid type, std::string input);
Arg null(Oid type = TEXTOID);

// The value as a Datum in the current memory context. May run the type's input function.
Datum to_datum(const Arg& argument);

std::string to_string(const text* value);
std::string to_string(const char* value);
// The output form of a value of any type.
std::string to_string(Datum value, Oid type);
text* to_text(const std::string& value);

// text[] argument as strings; a NULL element raises 22004 naming `what`.
std::vector<std::string> text_array(ArrayType* array, const char* what);
// float8[] argument; a NULL element raises 22004 naming `what`.
std::vector<double> float8_array(ArrayType* array, const char* what);
// The input form of a text[] with these elements.
std::string text_array_literal(const std::vector<std::string>& elements);

std::string quote_identifier(const std::string& name);
std::string quote_literal(const std::string& value);
// schema.name, quoted where needed; empty when the relation is gone.
std::string qualified_name(Oid relation);

} // namespace citadel::pg
